/** SIGKILL, then a start over the same directories. */

import { recover, restart, settle, work } from "./rounds.ts";
import type { Fault } from "./types.ts";

export const KILL_LEADER: Fault = {
  name: "kill-leader",
  about: "kills the leader and starts it again once another one leads",
  coverage: ["killedLeaders", "restarts"],
  recoveryP99MaxMs: 2_000,
  async round(context, round) {
    const leader = await settle(context);
    const brokenAtMs = performance.now();
    await leader.kill();
    context.count("killedLeaders");
    if (context.cluster.nodes.length > 1) await recover(context, brokenAtMs);
    await work(context, 50, 700);
    await restart(context, leader);
    if (context.cluster.nodes.length === 1) await recover(context, brokenAtMs);
    context.say(`round ${round}: killed ${leader.serverId}`);
    await work(context, 100, 600);
  },
};

export const KILL_ALL: Fault = {
  name: "kill-all",
  about: "kills every node at once and starts them all again",
  coverage: ["killedAll", "restarts"],
  async round(context, round) {
    await settle(context);
    await context.cluster.killAll();
    context.count("killedAll");
    const brokenAtMs = performance.now();
    await Promise.all(context.cluster.nodes.map((node) => restart(context, node)));
    await recover(context, brokenAtMs);
    context.say(`round ${round}: killed all`);
    await work(context, 100, 600);
  },
};
