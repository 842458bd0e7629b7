/** SIGKILL, then a start over the same directories. */

import type { TestNode } from "../../support/cluster/index.ts";
import { minoritySize, randomFollower, recover, restart, settle, work } from "./rounds.ts";
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

/** Two of five, one of three. */
export const KILL_MINORITY: Fault = {
  name: "kill-minority",
  about:
    "kills as many nodes at once as may be lost, mostly the leader among them; the rest goes on",
  coverage: ["killedLeaders", "killedFollowers", "writesWhileDown", "restarts"],
  nodesMin: 3,
  recoveryP99MaxMs: 2_000,
  async round(context, round) {
    const { cluster, load, random, count } = context;
    const leader = await settle(context);
    const victims = new Set<TestNode>(random.nextChance(0.75) || round === 1 ? [leader] : []);
    while (victims.size < minoritySize(cluster.nodes.length)) {
      victims.add(await randomFollower(context, leader));
    }
    const names = [...victims].map(({ serverId }) => serverId);
    const before = load.answeredByOthers(names).writes;
    const brokenAtMs = performance.now();
    await Promise.all([...victims].map((node) => node.kill()));
    for (const node of victims) count(node === leader ? "killedLeaders" : "killedFollowers");
    await recover(context, brokenAtMs);
    await work(context, 300, 2_000);
    count("writesWhileDown", load.answeredByOthers(names).writes - before);
    await Promise.all([...victims].map((node) => restart(context, node)));
    context.say(`round ${round}: killed ${names.join(" and ")}`);
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
