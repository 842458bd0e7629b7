/**
 * One run: start a cluster, let clients work, break it round by round, let it heal, and check everything that was seen
 * against the history, the index of every node and the logs of all.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Prng } from "../../src/base/index.ts";
import { FAULTY_SERVER, PeerProxies, TestCluster } from "../support/cluster/index.ts";
import { checkBlindly } from "./checks/blind-check.ts";
import { checkFinalStates, readFinalState } from "./checks/final-check.ts";
import { checkByIndex } from "./checks/index-check.ts";
import { auditLogs, type LoggedWrites, readLoggedWrites } from "./checks/log-audit.ts";
import { FAULTS } from "./faults/index.ts";
import { settle } from "./faults/rounds.ts";
import type { Fault, FaultContext } from "./faults/types.ts";
import type { Violation } from "./history.ts";
import { Load, type LoadOptions } from "./load/load.ts";
import type { ChaosOptions, Workload } from "./options.ts";
import { type RunFacts, type Verdict, verdictOf } from "./verdict.ts";

/** Shapes of the load by workload. */
const WORKLOAD_SHAPES: Readonly<
  Record<Workload, Pick<LoadOptions, "writeShare" | "thinkMaxMs"> & { writerShare: number }>
> = {
  // Pauses keep two cores from being what is tested.
  mixed: { writerShare: 1, writeShare: 0.5, thinkMaxMs: 12 },
  reads: { writerShare: 0.25, writeShare: 0.5, thinkMaxMs: 2 },
};
/** So that a node that was away for a round finds that the log no longer reaches back to it. */
const OFTEN_SNAPSHOTS = [
  "-metastore.raft.snapshot-interval=2s",
  "-metastore.raft.snapshot-threshold=200",
  "-metastore.raft.trailing-logs=100",
];
/** Blocks are dated as the load wants them; retention would take old ones for lost as soon as a run passes its interval. */
const NO_RETENTION = "-metastore.index.cleanup-interval=0";
const TIMEOUT_MS = 1_500;
const FAULT_STREAM = 1;
const PROGRESS_MS = 10_000;

export async function runChaos(options: ChaosOptions): Promise<Verdict> {
  const startedAtMs = performance.now();
  const directory = mkdtempSync(join(tmpdir(), "hearth-chaos-"));
  const fault = FAULTS.find(({ name }) => name === options.fault) as Fault;
  const proxies = fault.needsProxies === true ? new PeerProxies() : null;
  const cluster = await TestCluster.create({
    directory,
    nodeCount: options.nodeCount,
    entry: fault.needsFaultyDisk === true ? FAULTY_SERVER : undefined,
    ...(proxies === null ? {} : { openProxy: proxies.open }),
    flags: [
      `-hearth.reader-threads=${options.readerThreads}`,
      "-log.level=info",
      NO_RETENTION,
      ...(options.snapshots ? OFTEN_SNAPSHOTS : []),
      ...(fault.flags ?? []),
    ],
  });
  const facts: RunFacts = {
    counters: new Map(),
    recoveriesMs: [],
    violations: [],
    logEntries: 0,
    keysChecked: 0,
  };
  let load: Load | null = null;
  try {
    await cluster.start();
    say(`${options.nodeCount} nodes are ready, seed ${options.seed}`);
    load = new Load(loadOptions(options), cluster.nodes);
    load.start();
    const running = { options, cluster, proxies, load, facts };
    const context = contextOf(running);
    await breakIt(fault, context, running);
    if (options.snapshots) facts.counters.set("snapshotsKept", await snapshotsKept(cluster));
    await finish(running, async () => fault.settled?.(context));
  } catch (error) {
    load?.stop().catch(() => {});
    const text = `${(error as Error).message}\n${lastWords(cluster)}`;
    facts.violations.push({ check: "run", text });
  } finally {
    await cluster.killAll();
    await proxies?.close();
  }
  const verdict = verdictOf({ options, fault, load, facts, elapsedMs: since(startedAtMs) });
  const isKept = options.keep || verdict.verdict === "fail";
  if (isKept) keepEvidence(directory, cluster, load);
  else rmSync(directory, { recursive: true, force: true });
  return verdict;
}

function loadOptions(options: ChaosOptions): LoadOptions {
  const { writerShare, ...shape } = WORKLOAD_SHAPES[options.workload];
  const { seed, clientCount } = options;
  const writerCount = Math.max(1, Math.round(clientCount * writerShare));
  return { seed, clientCount, writerCount, timeoutMs: TIMEOUT_MS, ...shape };
}

interface Running {
  readonly options: ChaosOptions;
  readonly cluster: TestCluster;
  readonly proxies: PeerProxies | null;
  readonly load: Load;
  readonly facts: RunFacts;
}

function contextOf({ options, cluster, proxies, load, facts }: Running): FaultContext {
  return {
    cluster,
    proxies,
    load,
    random: new Prng(options.seed, FAULT_STREAM),
    stateMiB: options.stateMiB,
    count: (name, by = 1) => facts.counters.set(name, (facts.counters.get(name) ?? 0) + by),
    noteMost: (name, value) =>
      facts.counters.set(name, Math.max(facts.counters.get(name) ?? 0, value)),
    noteRecovery: (durationMs) => facts.recoveriesMs.push(durationMs),
    noteViolation: (violation) => facts.violations.push(violation),
    say,
  };
}

async function breakIt(
  fault: Fault,
  context: FaultContext,
  { options, load, facts }: Running,
): Promise<void> {
  const progress = setInterval(() => {
    say(`${load.reads.length} reads, ${load.writes.length} writes so far`);
  }, PROGRESS_MS);
  try {
    for (let round = 1; ; round++) {
      const isEnough = round > options.times && load.reads.length >= options.reads;
      if (isEnough || facts.violations.length > 0 || load.violations.length > 0) break;
      await fault.round(context, round);
    }
    await settle(context);
  } finally {
    clearInterval(progress);
  }
}

const ANSWER_LIMIT_MS = 60_000;

/** Of all nodes together. */
async function snapshotsKept({ nodes }: TestCluster): Promise<number> {
  const lists = await Promise.all(
    nodes.map((node) => node.getJson("/api/v1/snapshots", ANSWER_LIMIT_MS)),
  );
  return (lists as { readonly snapshots: readonly unknown[] }[]).reduce(
    (sum, { snapshots }) => sum + snapshots.length,
    0,
  );
}

const CONVERGE_LIMIT_MS = 120_000;

const QUIET_MS = 2_000;

/**
 * A write that a client gave up may still be under way, and would be read on some nodes and not on others: waits until no
 * log has grown for a while and every node has applied all of it. Errors: rejects when that does not come.
 */
async function waitUntilQuiet(cluster: TestCluster): Promise<void> {
  const endAtMs = performance.now() + CONVERGE_LIMIT_MS;
  for (let [before, sinceMs] = ["", 0]; ; ) {
    const places = (await cluster.statuses()).map(({ status }) => status?.raft?.appliedIndex ?? -1);
    const place = places.join();
    const nowMs = performance.now();
    if (place !== before || places.some((index) => index < 0 || index !== places[0]))
      sinceMs = nowMs;
    else if (nowMs - sinceMs >= QUIET_MS) return;
    if (nowMs > endAtMs) throw new Error(`Nodes do not get to rest:\n${await cluster.describe()}`);
    before = place;
    await sleep(QUIET_MS / 10);
  }
}

/** Everything is healed: no more load, and every node has to show the same. */
async function finish(
  { cluster, load, facts }: Running,
  onSettled: () => Promise<void>,
): Promise<void> {
  await load.stop();
  say("reading the final state of every node");
  const nodes = cluster.nodes.filter((node) => node.isRunning);
  await Promise.all(nodes.map((node) => node.waitUntilReady(CONVERGE_LIMIT_MS)));
  await waitUntilQuiet(cluster);
  await onSettled();
  const states = await Promise.all(nodes.map((node) => readFinalState(node, load.keys.count)));
  note(facts, checkFinalStates(states, load.history, load.otherBlocks.size));
  const exits = await Promise.all(nodes.map((node) => node.stop()));
  exits.forEach(({ code, signal }, i) => {
    if (code === 0) return;
    const text = `${nodes[i]?.serverId} ends with ${signal ?? code}`;
    facts.violations.push({ check: "orderly-stop", text });
  });
  say("checking the logs and the history");
  // One after the other: a log of minutes is held in memory while it is read.
  const logs: LoggedWrites[] = [];
  for (const node of nodes) logs.push(await readLoggedWrites(node.serverId, node.walDirectory));
  const audit = auditLogs(logs, load.writes);
  facts.logEntries = audit.entries;
  const blind = checkBlindly(load.history);
  facts.keysChecked = blind.keysWithReads;
  for (const found of [audit.violations, blind.violations, checkByIndex(load.history)]) {
    note(facts, found);
  }
}

/** One by one: a lost state is more violations than a call takes arguments. */
function note({ violations }: RunFacts, found: readonly Violation[]): void {
  for (const violation of found) violations.push(violation);
}

const LAST_WORDS_CHARS = 3_000;

function lastWords(cluster: TestCluster): string {
  return cluster.nodes
    .map(({ serverId, output }) => `--- ${serverId}\n${output.slice(-LAST_WORDS_CHARS)}`)
    .join("\n");
}

function keepEvidence(directory: string, cluster: TestCluster, load: Load | null): void {
  for (const { serverId, output } of cluster.nodes) {
    writeFileSync(join(directory, `${serverId}.log`), output);
  }
  if (load !== null) writeFileSync(join(directory, "history.json"), JSON.stringify(load.history));
  say(`kept: ${directory}`);
}

function since(startedAtMs: number): number {
  return performance.now() - startedAtMs;
}

function say(text: string): void {
  process.stderr.write(`[chaos] ${text}\n`);
}
