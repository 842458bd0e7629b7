/**
 * Disks that stand still and disks that fail. A stalled leader must give way, since nothing that it could promise becomes
 * durable; a write that fails ends the process, which must not try it again (exit status 74), and a start goes on.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { TestNode } from "../../support/cluster/index.ts";
import { randomFollower, recover, restart, settle, work } from "./rounds.ts";
import type { Fault, FaultContext } from "./types.ts";

/** Five election timeouts (reliability: a leader whose disk hangs). */
const GIVE_WAY_LIMIT_MS = 5_000;
const EXIT_LIMIT_MS = 5_000;
const EXIT_STATUS = 74;
const READY_LIMIT_MS = 60_000;

type Trouble = (context: FaultContext, leader: TestNode) => Promise<void>;

const TROUBLES: Readonly<Record<string, Trouble>> = {
  async stalledLeaders(context, leader) {
    const isStalled = (node: TestNode): boolean => node === leader;
    await stalled(context, leader, async () => {
      await context.cluster.waitForLeader(GIVE_WAY_LIMIT_MS, (node) => !isStalled(node));
    });
  },
  async stalledFollowers(context, leader) {
    await stalled(context, await randomFollower(context, leader), async () => {});
  },
  failedLeaders: (context, leader) => failed(context, leader),
  async failedFollowers(context, leader) {
    await failed(context, await randomFollower(context, leader));
  },
};
const TROUBLE_NAMES = Object.keys(TROUBLES);

export const DISK_STALL: Fault = {
  name: "disk-stall",
  about: "lets the disk of the leader or a follower stand still for seconds, or fail its writes",
  coverage: [...TROUBLE_NAMES, "readsDuringStalls", "writesDuringStalls"],
  needsFaultyDisk: true,
  nodesMin: 3,
  recoveryMaxMs: GIVE_WAY_LIMIT_MS,
  async round(context, round) {
    const name = TROUBLE_NAMES[(round - 1) % TROUBLE_NAMES.length] as string;
    const leader = await settle(context);
    await (TROUBLES[name] as Trouble)(context, leader);
    context.count(name);
    context.say(`round ${round}: ${name}, leader was ${leader.serverId}`);
    await work(context, 300, 1_000);
  },
};

async function stalled(
  context: FaultContext,
  node: TestNode,
  seeOthers: () => Promise<void>,
): Promise<void> {
  const { load, random, count } = context;
  const answered = (): { reads: number; writes: number } => load.answeredByOthers([node.serverId]);
  const before = answered();
  const brokenAtMs = performance.now();
  node.signal("SIGUSR2");
  await seeOthers();
  await recover(context, brokenAtMs);
  await sleep(random.nextBetween(500, 4_000));
  const after = answered();
  node.signal("SIGUSR2");
  count("readsDuringStalls", after.reads - before.reads);
  count("writesDuringStalls", after.writes - before.writes);
  await node.waitUntilReady(READY_LIMIT_MS);
}

async function failed(context: FaultContext, node: TestNode): Promise<void> {
  const brokenAtMs = performance.now();
  node.signal("SIGHUP");
  const ended = await Promise.race([node.exited, sleep(EXIT_LIMIT_MS, null)]);
  if (ended?.code !== EXIT_STATUS) {
    const how = ended === null ? "goes on" : `ends with ${ended.signal ?? ended.code}`;
    const text = `${node.serverId} ${how} after a failed write, not with ${EXIT_STATUS}`;
    context.noteViolation({ check: "failed-write", text });
    await node.kill();
  }
  await recover(context, brokenAtMs);
  await restart(context, node);
}
