/**
 * A day in the life of compaction, in a few minutes: one real node, simulated workers, and a writer that sends segments in
 * the shapes of real ones at a steady rate. It shows how long a segment waits for its first compaction and how many
 * blocks there are of each level, and checks that every segment was compacted exactly once, also when the node is
 * killed on the way.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { formatDuration } from "../../src/base/index.ts";
import { SimulatedWorker, type SimulatedWorkerModules } from "../../src/cli/worker/index.ts";
import { collectBlocks, connect, type HearthClient } from "../../src/client/index.ts";
import { TestCluster, type TestNode } from "../support/cluster/index.ts";
import { inRoot } from "../support/project.ts";
import { DemoBucket } from "./bucket.ts";
import { type FinalState, type Findings, Ledger } from "./ledger.ts";
import type { DemoOptions } from "./options.ts";
import { type LevelSample, plotLevels } from "./plot.ts";
import { reconcile, type Reconciled } from "./reconcile.ts";
import { SegmentSource, TENANT } from "./segments.ts";

export interface DemoVerdict {
  readonly verdict: "pass" | "fail";
  /** Why it failed, in words. */
  readonly problems: readonly string[];
  readonly segments: number;
  readonly compactedOnce: number;
  readonly compactedTwice: number;
  readonly lost: number;
  readonly waiting: number;
  readonly jobs: number;
  readonly kills: number;
  /** From AddBlock to the first compaction. */
  readonly firstCompactionMs: { readonly p50: number; readonly p90: number; readonly p99: number };
  /** Blocks by level at the end. */
  readonly levels: readonly number[];
  readonly pollIntervalMs: number;
  /** null: there were none. */
  readonly objects: ObjectsVerdict | null;
  readonly elapsedMs: number;
  readonly plot: string;
}

export interface ObjectsVerdict extends Omit<Reconciled, "problems"> {
  /** Objects of compacted blocks that workers deleted, and those that the next jobs would have brought them. */
  readonly deleted: number;
  readonly deletedAtEnd: number;
}

/** The goal for half of the segments, where they wait as long as nodes let them by themselves. */
const FIRST_COMPACTION_P50_MAX_MS = 15_000;
const WORKER_CAPACITY = 4;
const SAMPLE_MS = 2_000;
const SEND_TICK_MS = 50;
const START_LIMIT_MS = 120_000;
/**
 * Takes an age of 36 s at level 0, then a job that may have been lost with its worker's connection; a busy machine takes
 * longer.
 */
const DRAIN_LIMIT_MS = 180_000;
/** Every call survives the restart of the node. */
const CALL_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 60_000;
/** Tombstones go with the next jobs, so that workers delete objects while all runs. */
const CLEANUP_DELAY_MS = 1_000;

export async function runDemo(options: DemoOptions): Promise<DemoVerdict> {
  const directory = mkdtempSync(join(tmpdir(), "hearth-demo-"));
  const cluster = await TestCluster.create({
    directory,
    nodeCount: 1,
    // Tombstones are read through it.
    flags: ["-hearth.allow-raw-commands=true", "-log.level=info"],
  });
  try {
    await cluster.start(START_LIMIT_MS);
    return await new Demo(options, cluster.nodes[0] as TestNode, directory).run();
  } finally {
    await cluster.killAll();
    rmSync(directory, { recursive: true, force: true });
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #node: TestNode;
  readonly #directory: string;
  /** null: blocks are metadata alone. */
  readonly #bucket: DemoBucket | null;
  readonly #ledger = new Ledger();
  readonly #samples: LevelSample[] = [];
  readonly #marks: { atMs: number; text: string }[] = [];
  readonly #clients: HearthClient[] = [];
  readonly #drain = new AbortController();
  readonly #stop = new AbortController();
  #workers: readonly SimulatedWorker[] = [];
  #startedAtMs = 0;
  #failures = 0;

  constructor(options: DemoOptions, node: TestNode, directory: string) {
    this.#options = options;
    this.#node = node;
    this.#directory = directory;
    // Where the node has its own.
    this.#bucket = options.objects ? new DemoBucket(join(directory, "bucket")) : null;
  }

  async run(): Promise<DemoVerdict> {
    const writer = await this.#connect("segment-writer");
    const observer = await this.#connect("tool");
    this.#workers = await Promise.all(
      Array.from({ length: this.#options.workerCount }, (_, i) => this.#makeWorker(i)),
    );
    // The first poll turns compaction on.
    const firstPoll = { worker: "demo", requestId: 1, capacity: 0, waitMs: 0, reports: [] };
    await observer.pollCompactionJobs(firstPoll);
    await this.#setPolicy();
    this.#startedAtMs = Date.now();
    const stop = { signal: this.#stop.signal, drain: this.#drain.signal };
    const working = Promise.all(this.#workers.map((worker) => worker.run(stop)));
    // Awaited at the end; a failure before that is told then.
    working.catch(() => {});
    const sampling = this.#sample(observer);
    const killing = this.#options.kill ? this.#killInTheMiddle() : Promise.resolve();
    try {
      await this.#write(writer);
      await killing;
      await this.#drained(observer);
      this.#drain.abort();
      await Promise.race([working, sleep(STOP_GRACE_MS, undefined, { ref: false })]);
      const state = await readFinalState(observer);
      return this.#judge(state, await this.#reconcile(state));
    } finally {
      this.#drain.abort();
      this.#stop.abort();
      await sampling;
      await Promise.all(this.#clients.map((client) => client.close()));
      await this.#bucket?.store.close();
    }
  }

  async #setPolicy(): Promise<void> {
    const { segmentMaxAgeMs } = this.#options;
    const set = {
      ...(segmentMaxAgeMs === null ? {} : { levels: { 0: { maxAgeMs: segmentMaxAgeMs } } }),
      ...(this.#bucket === null ? {} : { cleanupDelayMs: CLEANUP_DELAY_MS }),
    };
    if (Object.keys(set).length === 0) return;
    await this.#node.postJson("/api/v1/compaction/policy", { set }, CALL_TIMEOUT_MS);
  }

  async #connect(role: string): Promise<HearthClient> {
    const client = await connect({
      endpoints: [this.#node.endpoint],
      name: `demo-${role}`,
      role,
      defaultTimeoutMs: CALL_TIMEOUT_MS,
      maxWaitForConnectionMs: CALL_TIMEOUT_MS,
      reconnect: { minDelayMs: 20, maxDelayMs: 200 },
    });
    this.#clients.push(client);
    return client;
  }

  async #makeWorker(position: number): Promise<SimulatedWorker> {
    const client = await this.#connect("compaction-worker");
    const { workMs, pollIntervalMs, seed } = this.#options;
    const bucket = this.#bucket;
    return new SimulatedWorker(
      {
        name: `demo-worker-${position + 1}`,
        capacity: WORKER_CAPACITY,
        workMs,
        silenceMs: 0,
        faults: { fail: 0, crash: 0, stall: 0, late: 0 },
        seed: seed + position,
        pollIntervalMs: pollIntervalMs === 0 ? null : pollIntervalMs,
      },
      {
        client,
        onTaken: (job) => {
          this.#ledger.taken(job);
          bucket?.noteTaken(job);
        },
        onReported: (job, newBlocks) => {
          this.#ledger.compacted(job, Date.now());
          if (newBlocks.length > 0) bucket?.noteCompleted(job.name);
        },
        ...(bucket === null ? {} : keepersOf(bucket)),
      },
    );
  }

  /** At a steady rate, whatever the answers do: a writer does not wait for the node to be well. */
  async #write(client: HearthClient): Promise<void> {
    const { minutes, segmentsPerMin, seed, shardCount } = this.#options;
    const source = new SegmentSource(seed, shardCount);
    const total = Math.round(minutes * segmentsPerMin);
    const open = new Set<Promise<void>>();
    for (let sent = 0; sent < total; ) {
      const dueMs = Date.now() - this.#startedAtMs;
      const due = Math.min(total, Math.floor((dueMs * segmentsPerMin) / 60_000) + 1);
      for (; sent < due; sent++) {
        const adding: Promise<void> = this.#add(client, source).finally(() => open.delete(adding));
        open.add(adding);
      }
      await sleep(SEND_TICK_MS);
    }
    await Promise.all(open);
    say(`${this.#ledger.ackedCount} of ${total} segments are acknowledged`);
  }

  async #add(client: HearthClient, source: SegmentSource): Promise<void> {
    const nowMs = Date.now();
    const block = source.next(nowMs);
    this.#ledger.sent(block, nowMs);
    try {
      await client.addBlock((await this.#bucket?.write(block)) ?? block);
      this.#ledger.acked(block.id, Date.now());
    } catch {
      this.#failures++;
    }
  }

  async #killInTheMiddle(): Promise<void> {
    await sleep((this.#options.minutes * 60_000) / 2);
    const atMs = Date.now() - this.#startedAtMs;
    await this.#node.kill();
    this.#node.start();
    await this.#node.waitUntilReady(START_LIMIT_MS);
    const downMs = Date.now() - this.#startedAtMs - atMs;
    this.#marks.push({ atMs, text: `kill -9, back after ${formatDuration(downMs)}` });
    say(`killed the node; it is ready again after ${formatDuration(downMs)}`);
  }

  async #sample(client: HearthClient): Promise<void> {
    const { signal } = this.#drain;
    while (!signal.aborted) {
      const atMs = Date.now() - this.#startedAtMs;
      try {
        this.#samples.push({ atMs, blocks: await countLevels(client, signal) });
      } catch {
        // The node is away, or it is over: the plot has a gap.
      }
      await sleep(SAMPLE_MS, undefined, { signal }).catch(() => {});
      const { ackedCount, sentCount } = this.#ledger;
      const levels = this.#samples.at(-1)?.blocks.join(" / ") ?? "?";
      if (this.#samples.length % 5 === 0)
        say(`${sentCount} sent, ${ackedCount} acknowledged, blocks by level ${levels}`);
    }
  }

  /** Until the last segment is compacted, which may take as long as level 0 may age. */
  async #drained(client: HearthClient): Promise<void> {
    const endAtMs = Date.now() + DRAIN_LIMIT_MS;
    while (Date.now() < endAtMs) {
      const [segments] = await countLevels(client);
      if (segments === 0) return;
      await sleep(500);
    }
  }

  /** null: there are no objects. */
  async #reconcile(state: FinalState): Promise<ObjectsFindings | null> {
    const bucket = this.#bucket;
    if (bucket === null) return null;
    const deletedAtEnd = await bucket.settle(state.tombstones);
    const { problems, ...rest } = await reconcile({
      bucket,
      original: this.#node,
      directory: this.#directory,
      seed: this.#options.seed,
      startedAtMs: this.#startedAtMs,
    });
    return { verdict: { ...rest, deleted: bucket.deleted, deletedAtEnd }, problems };
  }

  #judge({ blocks, tombstones }: FinalState, objects: ObjectsFindings | null): DemoVerdict {
    const carriedOut = this.#bucket?.carriedOut ?? new Set();
    const state = { blocks, tombstones: new Set([...tombstones, ...carriedOut]) };
    const findings = this.#ledger.check(state);
    const latenciesMs = this.#ledger.latenciesMs();
    const at = (share: number): number =>
      latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? 0;
    const firstCompactionMs = { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
    const problems = problemsOf(findings, {
      unacknowledged: this.#failures,
      isNothingCompacted: latenciesMs.length === 0,
      p50Ms: this.#options.segmentMaxAgeMs === null ? firstCompactionMs.p50 : 0,
    });
    problems.push(...(objects?.problems ?? []));
    const levels = levelsOf(blocks);
    const plot = this.#plot(levels);
    const verdict: DemoVerdict = {
      verdict: problems.length === 0 ? "pass" : "fail",
      problems,
      segments: this.#ledger.ackedCount,
      compactedOnce: findings.once,
      compactedTwice: findings.twice,
      lost: findings.lost,
      waiting: findings.waiting,
      jobs: this.#workers.reduce((sum, { stats }) => sum + stats.completed, 0),
      kills: this.#marks.length,
      firstCompactionMs,
      levels,
      pollIntervalMs: this.#options.pollIntervalMs,
      objects: objects?.verdict ?? null,
      elapsedMs: Date.now() - this.#startedAtMs,
      plot,
    };
    tell(verdict);
    return verdict;
  }

  #plot(levels: readonly number[]): string {
    const path = this.#options.plot ?? inRoot("bench", "results", "compaction-demo.svg");
    const samples = [...this.#samples, { atMs: Date.now() - this.#startedAtMs, blocks: levels }];
    mkdirSync(dirname(path), { recursive: true });
    const title = `Blocks per level, ${this.#options.segmentsPerMin} segments per minute`;
    writeFileSync(path, plotLevels({ title, samples, marks: this.#marks }));
    return path;
  }
}

interface ObjectsFindings {
  readonly verdict: ObjectsVerdict;
  readonly problems: readonly string[];
}

/** What a worker does to objects. */
function keepersOf(bucket: DemoBucket): Pick<SimulatedWorkerModules, "onBuilt" | "onTombstone"> {
  return {
    onBuilt: (newBlocks) => Promise.all(newBlocks.map((block) => bucket.write(block))),
    onTombstone: (tombstone) => bucket.carryOut(tombstone),
  };
}

function problemsOf(
  findings: Findings,
  other: {
    readonly unacknowledged: number;
    readonly isNothingCompacted: boolean;
    readonly p50Ms: number;
  },
): string[] {
  const { lost, twice, waiting, wrongBytes } = findings;
  const problems: string[] = [];
  if (lost > 0) problems.push(`${lost} segments are in no index and no completed job`);
  if (twice > 0) problems.push(`${twice} segments were compacted twice`);
  if (waiting > 0) problems.push(`${waiting} segments still wait after the drain`);
  if (wrongBytes.length > 0)
    problems.push(`Bytes in the index differ for ${wrongBytes.join(", ")}`);
  if (other.unacknowledged > 0)
    problems.push(`${other.unacknowledged} segments were not acknowledged`);
  if (other.isNothingCompacted) problems.push("Nothing was compacted");
  if (other.p50Ms > FIRST_COMPACTION_P50_MAX_MS)
    problems.push(`Half of the segments waited longer than ${other.p50Ms} ms`);
  return problems;
}

/** Every block of the index, with all it says. */
function readBlocks(
  client: HearthClient,
  signal?: AbortSignal,
): ReturnType<HearthClient["queryMetadata"]> {
  const query = {
    tenants: [TENANT],
    selector: "{}",
    startAtMs: 0,
    endAtMs: Date.now() + 86_400_000,
  };
  return client.queryMetadata(query, signal === undefined ? {} : { signal });
}

async function countLevels(client: HearthClient, signal?: AbortSignal): Promise<number[]> {
  const levels = [0, 0, 0, 0];
  for await (const batch of readBlocks(client, signal)) {
    for (const block of batch) {
      levels[block.compactionLevel] = (levels[block.compactionLevel] ?? 0) + 1;
    }
  }
  return levels;
}

function levelsOf(blocks: FinalState["blocks"]): number[] {
  const levels = [0, 0, 0, 0];
  for (const { compactionLevel } of blocks) {
    levels[compactionLevel] = (levels[compactionLevel] ?? 0) + 1;
  }
  return levels;
}

async function readFinalState(client: HearthClient): Promise<FinalState> {
  const question = { op: "list_tombstones", before: Date.now() + 86_400_000 };
  const { result } = (await client.inspect(question)) as { result: string[] };
  return { blocks: await collectBlocks(readBlocks(client)), tombstones: new Set(result) };
}

function tell(verdict: DemoVerdict): void {
  const { p50, p90, p99 } = verdict.firstCompactionMs;
  const times = [p50, p90, p99].map((ms) => formatDuration(ms)).join(" / ");
  say(`from AddBlock to first compaction, p50 / p90 / p99: ${times}`);
  say(
    `${verdict.segments} segments: ${verdict.compactedOnce} compacted exactly once, ` +
      `${verdict.compactedTwice} twice, ${verdict.lost} lost, ${verdict.waiting} waiting`,
  );
  say(`blocks by level at the end: ${verdict.levels.join(" / ")}; plot: ${verdict.plot}`);
  if (verdict.objects !== null) say(objectsSentence(verdict.objects));
  for (const problem of verdict.problems) say(`PROBLEM: ${problem}`);
}

function objectsSentence(found: ObjectsVerdict): string {
  const { objects, deleted, deletedAtEnd, answers, missing, orphans } = found;
  return (
    `${objects} objects at the end, ${deleted} deleted by workers and ${deletedAtEnd} after them; ` +
    `${answers} answers compared with those of an index made of them; ` +
    `${missing} objects and ${orphans} entries were taken away, and looked for`
  );
}

function say(text: string): void {
  process.stderr.write(`[demo] ${text}\n`);
}
