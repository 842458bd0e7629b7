/**
 * Members come and go while clients work. Each round does one thing; the first ones do each thing once:
 *
 *   replace   a new node joins, catches up, becomes a voter; an old one, every other time the leader, is removed
 *   crash     the same, and a random node is killed in the middle of it
 *   wipe      a node loses its disk and comes back under its old name: refused, until the old member is removed
 *   demote    a voter becomes a learner and a voter again
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { TestNode } from "../../support/cluster/index.ts";
import { addMember, demoteMember, promoteMember, removeMember } from "./members.ts";
import { randomFollower, recover, restart, settle, work } from "./rounds.ts";
import type { Fault, FaultContext } from "./types.ts";

/** It is told over HTTP whom it belongs to. */
const WAITS_TO_BE_ADDED = ["-metastore.raft.bootstrap-expect-peers=0"];
const READY_LIMIT_MS = 90_000;
/** Long enough for a node without state to have voted or answered, if anybody let it. */
const REFUSED_MS = 3_000;

type Step = (context: FaultContext, round: number) => Promise<void>;

const STEPS: Readonly<Record<string, Step>> = {
  replace: (context, round) => replace(context, round, async () => {}),
  wipe,
  demote,
  crash: (context, round) => replace(context, round, crashSomebody),
};
const STEP_NAMES = Object.keys(STEPS);

export const MEMBERSHIP: Fault = {
  name: "membership",
  about: "adds, promotes, demotes, removes and replaces members, also with crashes and wiped disks",
  coverage: ["added", "promoted", "removed", "removedLeaders", "demoted", "wiped", "refusedWiped"],
  nodesMin: 3,
  async round(context, round) {
    const name =
      round <= STEP_NAMES.length
        ? (STEP_NAMES[round - 1] as string)
        : context.random.pick(STEP_NAMES);
    await settle(context);
    await (STEPS[name] as Step)(context, round);
    await settle(context);
    const members = context.cluster.nodes.map(({ serverId }) => serverId).join(", ");
    context.say(`round ${round}: ${name}, members are ${members}`);
    await work(context, 200, 800);
  },
};

async function replace(
  context: FaultContext,
  round: number,
  disturb: (context: FaultContext) => Promise<void>,
): Promise<void> {
  const { cluster, load, count } = context;
  const serverId = `node-${cluster.nodesMade + 1}`;
  const newcomer = await cluster.addNode(serverId, WAITS_TO_BE_ADDED);
  newcomer.start();
  await addMember(context, newcomer);
  count("added");
  await disturb(context);
  await promoteMember(context, newcomer);
  count("promoted");
  await newcomer.waitUntilReady(READY_LIMIT_MS);
  load.addTarget(newcomer);
  const leader = await cluster.waitForLeader();
  const others = cluster.nodes.filter((node) => node !== newcomer && node !== leader);
  const isLeader = round % 2 === 1 && leader !== newcomer;
  const leaver = isLeader ? leader : context.random.pick(others);
  await removeMember(context, leaver);
  count("removed");
  if (isLeader) count("removedLeaders");
  const brokenAtMs = performance.now();
  await cluster.waitForLeader(undefined, (node) => node !== leaver);
  await recover(context, brokenAtMs);
  // It goes on running for a while: a removed member must disturb nobody.
  await work(context, 200, 1_500);
  load.removeTarget(leaver.serverId);
  await leaver.stop();
  cluster.forget(leaver);
}

async function crashSomebody(context: FaultContext): Promise<void> {
  const node = context.random.pick(context.cluster.nodes);
  await node.kill();
  context.count("killedDuringChanges");
  await work(context, 50, 1_000);
  await restart(context, node).catch(async (error: Error) => {
    // The newcomer is not ready before it is promoted and has caught up; that it runs is enough.
    if (!node.isRunning) throw error;
  });
}

async function wipe(context: FaultContext): Promise<void> {
  const { cluster, count, noteViolation } = context;
  const leader = await cluster.waitForLeader();
  const node = await randomFollower(context, leader);
  await node.kill();
  node.wipe("everything");
  count("wiped");
  node.start();
  await sleep(REFUSED_MS);
  const { serverId } = node;
  const problem = await node.whyNotReady();
  const isRefused = await leader
    .postJson("/api/v1/members", { address: node.peerAddress, serverId }, REFUSED_MS)
    .then(
      () => false,
      () => true,
    );
  if (problem === null || !isRefused) {
    const text = `${serverId} lost its disk and was taken back under its old id (${problem ?? "ready"})`;
    noteViolation({ check: "wiped-refused", text });
    return;
  }
  count("refusedWiped");
  await removeMember(context, node);
  await addMember(context, node);
  await promoteMember(context, node);
  await node.waitUntilReady(READY_LIMIT_MS);
}

async function demote(context: FaultContext): Promise<void> {
  const leader = await context.cluster.waitForLeader();
  const node: TestNode = await randomFollower(context, leader);
  await demoteMember(context, node);
  context.count("demoted");
  await work(context, 300, 1_000);
  await promoteMember(context, node);
  context.count("promoted");
}
