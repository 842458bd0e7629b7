/** Leadership moves every two seconds: asked to, because the leader stands still, or because it was killed. */

import { setTimeout as sleep } from "node:timers/promises";
import type { TestNode } from "../../support/cluster/index.ts";
import { recover, restart, settle } from "./rounds.ts";
import type { Fault, FaultContext } from "./types.ts";

const PERIOD_MS = 2_000;
const TRANSFER_LIMIT_MS = 30_000;
const TRANSFERS_MAX = 20;
const TRANSFER_PAUSE_MS = 250;
const PAUSE_LIMIT_MS = 5_000;

export const LEADER_CHANGE: Fault = {
  name: "leader-change",
  about: "moves the leadership every two seconds: by transfer, by SIGSTOP, by SIGKILL",
  coverage: ["leaderChanges", "transfers", "pausedLeaders", "killedLeaders"],
  nodesMin: 3,
  async round(context, round) {
    const startedAtMs = performance.now();
    const leader = await settle(context);
    const brokenAtMs = performance.now();
    // Kills cost a start: one in six is enough to meet them.
    const way = round % 6 === 3 ? kill : round % 2 === 0 ? pause : transfer;
    const heal = await way(context, leader);
    const next = await context.cluster.waitForLeader(PAUSE_LIMIT_MS * 4, (node) => node !== leader);
    context.count("leaderChanges");
    await recover(context, brokenAtMs);
    await heal();
    context.say(`round ${round}: ${way.name}, ${leader.serverId} to ${next.serverId}`);
    await sleep(Math.max(0, PERIOD_MS - (performance.now() - startedAtMs)));
  },
};

/** Returns what brings the old leader back. */
type Way = (context: FaultContext, leader: TestNode) => Promise<() => Promise<void>>;

const transfer: Way = async ({ cluster, count, random }, leader) => {
  const others = cluster.nodes.filter((node) => node !== leader && node.isRunning);
  const to = random.pick(others).serverId;
  for (let tries = 1; ; tries++) {
    try {
      await leader.postJson("/api/v1/leader/transfer", { to }, TRANSFER_LIMIT_MS);
      break;
    } catch (error) {
      // Given up where a processor is not to be had in time, or too late: it does not lead any more.
      const next = await cluster.leader();
      if (next !== null && next !== leader) break;
      if (tries === TRANSFERS_MAX) throw error;
      await sleep(TRANSFER_PAUSE_MS);
    }
  }
  count("transfers");
  return async () => {};
};

const pause: Way = async ({ count }, leader) => {
  leader.pause();
  count("pausedLeaders");
  return async () => leader.resume();
};

const kill: Way = async (context, leader) => {
  await leader.kill();
  context.count("killedLeaders");
  return () => restart(context, leader);
};
