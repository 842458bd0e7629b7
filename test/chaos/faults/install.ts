/**
 * A large state goes over to a new member while clients write. The first round makes the state (`--state-mib`); each
 * round then adds a node, waits until it has taken over a snapshot and caught up, and removes an old one. From the second
 * round on the newcomer or the leader is killed meanwhile, every other time.
 */

import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeStatus, TestNode } from "../../support/cluster/index.ts";
import { fill } from "../load/filler.ts";
import { InstallWatch } from "./install-watch.ts";
import { addMember, promoteMember, removeMember } from "./members.ts";
import { settle, work } from "./rounds.ts";
import type { Fault, FaultContext } from "./types.ts";

const WAITS_TO_BE_ADDED = ["-metastore.raft.bootstrap-expect-peers=0"];
const BYTES_PER_MIB = 1024 * 1024;
/** A state that takes minutes to write takes minutes to take over. */
const CAUGHT_UP_LIMIT_MS = 900_000;
/** The most that the API allows. */
const SNAPSHOT_LIMIT_MS = 300_000;
const READY_LIMIT_MS = 90_000;
const POLL_MS = 50;
/**
 * Of one process, whatever the size of the state: code and threads take 200 to 300 MiB, chunks and rows under way some
 * tens, entries kept in memory for peers at most 64.
 */
const MEMORY_MAX_MIB = 1_024;

export const INSTALL: Fault = {
  name: "install",
  about: "moves a large state (--state-mib) to new members while clients write, also with crashes",
  coverage: ["filledBlocks", "snapshotInstalls", "writesDuringInstalls", "installedMiB", "added"],
  nodesMin: 3,
  // Old entries must not be what brings the newcomer up.
  flags: ["-metastore.raft.trailing-logs=100"],
  recoveryMaxMs: 5_000,
  async round(context, round) {
    await settle(context);
    if (round === 1) await makeState(context);
    await takeSnapshot(context);
    const newcomer = await context.cluster.addNode(
      `node-${context.cluster.nodesMade + 1}`,
      WAITS_TO_BE_ADDED,
    );
    const watch = new InstallWatch(context);
    const startedAtMs = performance.now();
    newcomer.start();
    await addMember(context, newcomer);
    context.count("added");
    if (round > 1 && context.random.nextChance(0.5)) await crashSomebody(context, newcomer);
    await waitUntilCaughtUp(context, newcomer);
    const seconds = Math.round((performance.now() - startedAtMs) / 1_000);
    judge(context, watch);
    const sizeMiB = await countInstalled(context, newcomer);
    await takeOver(context, newcomer);
    context.say(`round ${round}: ${newcomer.serverId} has ${sizeMiB} MiB after ${seconds} s`);
    await work(context, 200, 800);
  },
};

/** Bytes of blocks as they are sent; in the index they take about as much again. */
async function makeState({ cluster, load, count, say, stateMiB }: FaultContext): Promise<void> {
  say(`making a state of ${stateMiB} MiB`);
  const onAdded = (id: string): void => {
    load.otherBlocks.add(id);
  };
  const { blocks, bytes } = await fill(cluster.nodes, stateMiB * BYTES_PER_MIB, onAdded);
  count("filledBlocks", blocks);
  say(`${blocks} blocks, ${Math.round(bytes / BYTES_PER_MIB)} MiB of them were added`);
}

async function takeSnapshot({ cluster, say }: FaultContext): Promise<void> {
  const leader = await cluster.waitForLeader();
  const path = `/api/v1/snapshots?timeout=${SNAPSHOT_LIMIT_MS}ms`;
  const startedAtMs = performance.now();
  await leader.postJson(path, {}, SNAPSHOT_LIMIT_MS);
  say(`${leader.serverId} has a snapshot after ${seconds(startedAtMs)} s`);
}

/** Kills who sends or who receives, somewhere on the way, and starts it again. */
async function crashSomebody(context: FaultContext, newcomer: TestNode): Promise<void> {
  await work(context, 500, 3_000);
  const isLeader = context.random.nextChance(0.5);
  const node = isLeader ? await context.cluster.waitForLeader() : newcomer;
  await node.kill();
  context.count(isLeader ? "killedSenders" : "killedReceivers");
  await work(context, 50, 500);
  node.start();
}

/** Until it has applied what was committed when it was added. */
async function waitUntilCaughtUp({ cluster }: FaultContext, newcomer: TestNode): Promise<void> {
  let wanted: number | undefined;
  const endAtMs = performance.now() + CAUGHT_UP_LIMIT_MS;
  for (;;) {
    // A busy leader may not answer in time, and another one may lead by then.
    wanted ??= (await (await cluster.waitForLeader()).status())?.raft?.commitIndex;
    const applied = (await newcomer.status())?.raft?.appliedIndex ?? 0;
    if (wanted !== undefined && applied >= wanted) return;
    if (!newcomer.isRunning || performance.now() > endAtMs) {
      const state = await cluster.describe();
      throw new Error(`${newcomer.serverId} has not caught up with ${wanted}:\n${state}`);
    }
    await sleep(POLL_MS);
  }
}

function judge(context: FaultContext, watch: InstallWatch): void {
  const { acks, longestPauseMs, memoryMiB } = watch.end();
  context.count("writesDuringInstalls", acks);
  context.noteRecovery(longestPauseMs);
  context.noteMost("memoryMiB", memoryMiB);
  if (memoryMiB <= MEMORY_MAX_MIB) return;
  const text = `a node took ${memoryMiB} MiB of memory, ${MEMORY_MAX_MIB} are allowed`;
  context.noteViolation({ check: "memory", text });
}

/** What the newcomer has on its disk, and that a snapshot brought it there. Returns MiB. */
async function countInstalled(
  { count, noteMost, noteViolation, stateMiB }: FaultContext,
  node: TestNode,
): Promise<number> {
  const metrics = await (await fetch(`${node.httpUrl}/metrics`)).text();
  const installs = Number(/^hearth_snapshot_installed_total (\d+)$/m.exec(metrics)?.[1] ?? 0);
  count("snapshotInstalls", installs);
  const status = (await node.getJson("/api/v1/status", READY_LIMIT_MS)) as NodeStatus;
  const bytes = status.index?.databaseBytes ?? 0;
  const sizeMiB = Math.round(bytes / BYTES_PER_MIB);
  noteMost("installedMiB", sizeMiB);
  if (sizeMiB < stateMiB) {
    const text = `${node.serverId} holds ${sizeMiB} MiB, of a state of ${stateMiB}`;
    noteViolation({ check: "install", text });
  }
  return sizeMiB;
}

/** The newcomer becomes a voter, and one of the others goes, with all that it had. */
async function takeOver(context: FaultContext, newcomer: TestNode): Promise<void> {
  const { cluster, load, random } = context;
  await promoteMember(context, newcomer);
  await newcomer.waitUntilReady(READY_LIMIT_MS);
  load.addTarget(newcomer);
  const leader = await cluster.waitForLeader();
  const leaver = random.pick(cluster.nodes.filter((node) => node !== newcomer && node !== leader));
  await removeMember(context, leaver);
  load.removeTarget(leaver.serverId);
  await leaver.stop();
  cluster.forget(leaver);
  rmSync(leaver.directory, { recursive: true, force: true });
}

function seconds(sinceMs: number): number {
  return Math.round((performance.now() - sinceMs) / 1_000);
}
