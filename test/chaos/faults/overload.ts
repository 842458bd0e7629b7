/**
 * More than the cluster can do, with one node less than it should have and a client that never reads. Excess is refused, typed
 * and retriable; memory stays bounded; nobody loses the leadership for being busy; what was acknowledged to the flood is
 * there and what was refused is not; the node that was down catches up.
 */

import type { TestNode } from "../../support/cluster/index.ts";
import { DeafClient } from "../load/deaf-client.ts";
import { fill } from "../load/filler.ts";
import { FATE, type FloodReport, type FloodStream, flood } from "../load/flood.ts";
import { checkFates, type FloodFates } from "../load/flood-fates.ts";
import { OverloadWatch } from "./overload-watch.ts";
import { randomFollower, recover, restart, settle, work } from "./rounds.ts";
import type { Fault, FaultContext } from "./types.ts";

const BYTES_PER_MIB = 1024 * 1024;
const FLOOD_MS = 2_000;
/** What the server is given for each request of the flood. */
const TIMEOUT_MS = 5_000;
const CONNECTIONS = 120;
/** Of small blocks a second, until it is known what the cluster does; then three times that. */
const FIRST_PER_SEC = 15_000;
const MOST_PER_SEC = 200_000;
const OVER_CAPACITY = 3;
const SMALL = { datasets: 3 };
/** About 60 KiB. */
const LARGE = { datasets: 450 };
const LARGE_PER_SEC = 600;
const READS_PER_SEC = 10_000;
const CATCH_UP_LIMIT_MS = 60_000;

interface Targets {
  readonly leader: TestNode;
  readonly follower: TestNode;
  readonly perSec: number;
}

/** What is flooded, in turn. */
const FLOODS: readonly ((targets: Targets) => readonly FloodStream[])[] = [
  ({ leader, perSec }) => [writes(leader, perSec)],
  ({ follower, perSec }) => [writes(follower, perSec)],
  ({ leader, follower }) => [
    stream(leader, LARGE, LARGE_PER_SEC),
    stream(follower, LARGE, LARGE_PER_SEC),
  ],
  ({ leader, follower, perSec }) => [
    writes(leader, perSec / 2),
    stream(follower, "reads", READS_PER_SEC),
  ],
];

function writes(node: TestNode, perSec: number): FloodStream {
  return stream(node, SMALL, perSec);
}

function stream(node: TestNode, kind: FloodStream["kind"], perSec: number): FloodStream {
  return { port: node.ports.websocket, kind, perSec, connections: CONNECTIONS };
}

/** What the rounds of one run hand on. */
class Rounds {
  readonly watch: OverloadWatch;
  readonly floods: FloodFates[] = [];
  /** Blocks of the state that the deaf client asks for. */
  readonly filled: number;
  nextSerial = 0;
  perSec = FIRST_PER_SEC;

  constructor(context: FaultContext, filled: number) {
    this.watch = new OverloadWatch(context);
    this.filled = filled;
  }
}

const RUNS = new WeakMap<FaultContext["cluster"], Rounds>();

export const OVERLOAD: Fault = {
  name: "overload",
  about: "floods nodes beyond what they can do, with a follower down and a client that never reads",
  coverage: [
    "floodAcked",
    "floodRefused",
    "floodReads",
    "deafRequests",
    "deafHeldBack",
    "writesDuringFloods",
    "restarts",
    "floodBlocksFound",
  ],
  nodesMin: 3,
  recoveryMaxMs: 5_000,
  async round(context, round) {
    const { cluster, random, count } = context;
    let leader = await settle(context);
    const rounds = RUNS.get(cluster) ?? (await begin(context));
    leader = await cluster.waitForLeader();
    const down = await randomFollower(context, leader);
    await down.kill();
    count("killedFollowers");
    await settle(context);
    leader = await cluster.waitForLeader();
    const follower = await randomFollower(context, leader);
    const deaf = await DeafClient.open(random.pick([leader, follower]), rounds.filled);
    const streams = (FLOODS[(round - 1) % FLOODS.length] as (typeof FLOODS)[number])({
      leader,
      follower,
      perSec: rounds.perSec,
    });
    const report = await underWatch(context, rounds, streams);
    await judgeDeaf(context, deaf);
    judgeFlood(context, report);
    await catchUp(context, down);
    const { sent, acked, heldBack, ackedP99Ms, failedP99Ms } = report;
    const failures = JSON.stringify(Object.fromEntries(report.failures));
    context.say(
      `round ${round}: ${sent} sent, ${heldBack} held back, ${acked} acknowledged (p99 ${ackedP99Ms} ms), ` +
        `failed (p99 ${failedP99Ms} ms): ${failures}`,
    );
    await work(context, 200, 800);
  },
  async settled(context) {
    const rounds = RUNS.get(context.cluster);
    if (rounds === undefined) return;
    const leader = await context.cluster.waitForLeader();
    context.say("looking for the blocks of the floods");
    for (const fates of rounds.floods) await checkFates(context, leader, fates);
  },
};

async function begin(context: FaultContext): Promise<Rounds> {
  const { cluster, load, stateMiB } = context;
  const onAdded = (id: string): void => {
    load.otherBlocks.add(id);
  };
  const { blocks } = await fill(cluster.nodes, stateMiB * BYTES_PER_MIB, onAdded);
  const rounds = new Rounds(context, blocks);
  RUNS.set(cluster, rounds);
  return rounds;
}

async function underWatch(
  context: FaultContext,
  rounds: Rounds,
  streams: readonly FloodStream[],
): Promise<FloodReport> {
  const { load, count, noteMost } = context;
  const { watch, nextSerial: firstSerial } = rounds;
  const stop = load.onAck(() => count("writesDuringFloods"));
  await watch.begin();
  const plan = { streams, durationMs: FLOOD_MS, timeoutMs: TIMEOUT_MS, firstSerial };
  const report = await flood(plan, stop);
  // What the system still held of the flood has been answered, too: from here on there is nothing to wait behind.
  await recover(context, performance.now());
  await watch.end();
  const isLarge = streams.some(({ kind }) => kind === LARGE);
  rounds.floods.push({ firstSerial, fates: report.fates, isLarge });
  rounds.nextSerial += report.sent;
  const ackedPerSec = (report.acked * 1_000) / FLOOD_MS;
  rounds.perSec = Math.min(MOST_PER_SEC, Math.max(rounds.perSec, OVER_CAPACITY * ackedPerSec));
  noteMost("floodAckedP99Ms", report.ackedP99Ms);
  noteMost("floodFailedP99Ms", report.failedP99Ms);
  return report;
}

/** Codes that say: not now. */
const NOT_NOW: ReadonlySet<string> = new Set([
  "resource_exhausted",
  "unavailable",
  "deadline_exceeded",
]);

function judgeFlood(
  { count, noteViolation }: FaultContext,
  { fates, acked, answeredReads, sent, failures, unanswered, closed }: FloodReport,
): void {
  count("floodSent", sent);
  count("floodAcked", acked);
  count("floodReads", answeredReads);
  count(
    "floodRefused",
    fates.reduce((sum, fate) => sum + (fate === FATE.refused ? 1 : 0), 0),
  );
  const report = (text: string): void => noteViolation({ check: "overload", text });
  for (const [name, times] of failures) {
    const [code] = name.split("/") as [string];
    if (!NOT_NOW.has(code)) report(`${times} requests of a flood failed with ${name}`);
  }
  if (closed.length > 0)
    report(`${closed.length} connections of a flood were closed, by ${closed[0]}`);
  else if (unanswered > 0) report(`${unanswered} requests of a flood were never answered`);
}

async function judgeDeaf({ count, noteViolation }: FaultContext, deaf: DeafClient): Promise<void> {
  const { asked, complete, heldBack, gaps } = await deaf.end();
  count("deafRequests", asked);
  count("deafComplete", complete);
  count("deafHeldBack", heldBack);
  for (const text of gaps) noteViolation({ check: "gap", text });
}

/** Until it has applied what was committed when it was started. */
async function catchUp(context: FaultContext, node: TestNode): Promise<void> {
  const { cluster, noteMost, noteViolation } = context;
  const startedAtMs = performance.now();
  const wanted = (await (await cluster.waitForLeader()).status())?.raft?.commitIndex ?? 0;
  await restart(context, node);
  while (((await node.status())?.raft?.appliedIndex ?? 0) < wanted) {
    if (performance.now() - startedAtMs > CATCH_UP_LIMIT_MS) break;
    await work(context, 50, 100);
  }
  const tookMs = Math.round(performance.now() - startedAtMs);
  noteMost("catchUpMs", tookMs);
  if (tookMs <= CATCH_UP_LIMIT_MS) return;
  const text = `${node.serverId} has not caught up with ${wanted} after ${tookMs} ms`;
  noteViolation({ check: "catch-up", text });
}
