/**
 * A compaction worker that does everything but the work: takes jobs, reads the metadata of the sources, waits as long as
 * a real one would work, and reports what it would have made. It can be told to go wrong the ways real ones do:
 *
 *   fail    says why, and the leader gives the job to somebody
 *   crash   forgets all it holds, and starts again as another process would
 *   stall   is silent for a while, and has forgotten its jobs when it comes back
 *   late    is silent for a while, and then reports results under tokens that may be stale
 *
 * Which of these happens to a job is drawn from the seed. What holds of its reports is for the leader to see to.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Prng } from "../../base/index.ts";
import {
  type BlockMeta,
  collectBlocks,
  type CompactionJob,
  type HearthClient,
  type Tombstone,
} from "../../client/index.ts";
import { ByteSink, encodeBlock, type JobReport, REPORT_STATUS } from "../../protocol/index.ts";
import { mergeBlocks } from "./merge.ts";

export interface SimulatedWorkerOptions {
  readonly name: string;
  /** Jobs at once. */
  readonly capacity: number;
  /** How long a job takes, ms. */
  readonly workMs: number;
  /** How long the worker is silent when it stalls or is late, ms. Longer than a lease, or nobody notices. */
  readonly silenceMs: number;
  /** Share of jobs that go wrong in each way, 0 to 1; together at most 1. */
  readonly faults: Readonly<Record<WorkerFault, number>>;
  readonly seed: number;
  /** Ask at this interval, ms; null: wait at the leader for jobs. */
  readonly pollIntervalMs: number | null;
}

export const WORKER_FAULTS = ["fail", "crash", "stall", "late"] as const;
export type WorkerFault = (typeof WORKER_FAULTS)[number];

export interface SimulatedWorkerModules {
  readonly client: HearthClient;
  /** A job was taken. */
  readonly onTaken?: (job: CompactionJob) => void;
  /**
   * Keeps objects for new blocks, before they are reported as what this returns. What it throws is why the job failed.
   * Default: there are only their metadata.
   */
  readonly onBuilt?: (newBlocks: readonly BlockMeta[]) => Promise<readonly BlockMeta[]>;
  /** As in CompactionJobsOptions; the worker counts them by itself. */
  readonly onTombstone?: (tombstone: Tombstone, signal: AbortSignal) => Promise<void>;
  /** The leader has answered the report of a job that was done. */
  readonly onReported?: (job: CompactionJob, newBlocks: readonly BlockMeta[]) => void;
}

/** Since the start. */
export interface WorkerStats {
  taken: number;
  completed: number;
  /** Nothing was found of the sources. */
  empty: number;
  failed: number;
  /** Leases that ended while the job was done. */
  lost: number;
  crashes: number;
  stalls: number;
  late: number;
  sourceBlocks: number;
  newBlocks: number;
  tombstones: number;
}

/** Pause before a process that crashed is back. */
const RESTART_MS = 500;
const LATE_REPORT_TIMEOUT_MS = 5_000;

export class SimulatedWorker {
  readonly stats: WorkerStats = {
    taken: 0,
    completed: 0,
    empty: 0,
    failed: 0,
    lost: 0,
    crashes: 0,
    stalls: 0,
    late: 0,
    sourceBlocks: 0,
    newBlocks: 0,
    tombstones: 0,
  };
  readonly #options: SimulatedWorkerOptions;
  readonly #modules: SimulatedWorkerModules;
  readonly #random: Prng;

  constructor(options: SimulatedWorkerOptions, modules: SimulatedWorkerModules) {
    this.#options = options;
    this.#modules = modules;
    this.#random = new Prng(options.seed);
  }

  /**
   * Works until `drain` aborts and what is in hand is reported, or at once until `signal` aborts.
   * Errors: what polls are refused with, beyond what a repeat can help.
   */
  async run({ signal, drain }: { signal: AbortSignal; drain: AbortSignal }): Promise<void> {
    for (let life = 1; !signal.aborted && !drain.aborted; life++) {
      const outage = await this.#live(life, signal, drain);
      if (outage === null || signal.aborted) return;
      const pauseMs = outage.fault === "crash" ? RESTART_MS : this.#options.silenceMs;
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
      if (outage.fault === "late" && !signal.aborted) await this.#reportLate(outage, signal);
    }
  }

  /** One process, from its start to its end. null: it was asked to stop. */
  async #live(life: number, signal: AbortSignal, drain: AbortSignal): Promise<Outage | null> {
    const { name, capacity, pollIntervalMs } = this.#options;
    const end = new AbortController();
    const worker = `${name}-${life}`;
    const held = new Map<string, HeldJob>();
    let outage: Outage | null = null;
    const goSilent = (fault: Outage["fault"]): void => {
      outage ??= { fault, worker, held: [...held.values()] };
      end.abort(new Error(fault));
    };
    try {
      const jobs = this.#modules.client.compactionJobs({
        capacity,
        worker,
        drain,
        signal: AbortSignal.any([signal, end.signal]),
        onTombstone: (tombstone, tombstoneSignal) => {
          this.stats.tombstones++;
          return this.#modules.onTombstone?.(tombstone, tombstoneSignal);
        },
        ...(pollIntervalMs === null ? {} : { pollIntervalMs }),
      });
      for await (const job of jobs) void this.#work(job, held, goSilent);
    } catch (error) {
      if (!signal.aborted && outage === null) throw error;
    }
    return outage;
  }

  async #work(
    job: CompactionJob,
    held: Map<string, HeldJob>,
    goSilent: (fault: Outage["fault"]) => void,
  ): Promise<void> {
    const { stats } = this;
    const fault = this.#drawFault();
    stats.taken++;
    this.#modules.onTaken?.(job);
    const mine: HeldJob = { job, token: job.token, newBlocks: [], sourceBlocks: [] };
    held.set(job.name, mine);
    try {
      const sources = await this.#readSources(job);
      mine.sourceBlocks = sources.map(({ id }) => id);
      mine.newBlocks = sources.length === 0 ? [] : await this.#build(sources);
      await sleep(this.#options.workMs, undefined, { signal: job.signal });
      mine.token = job.token;
      if (fault === null) await this.#finish(mine);
      else if (fault === "fail")
        await this.#fail(job, new Error("the simulated worker was told to fail"));
      else {
        this.#countOutage(fault);
        goSilent(fault);
      }
    } catch (error) {
      if (job.signal.aborted) stats.lost++;
      else await this.#fail(job, error);
    } finally {
      held.delete(job.name);
    }
  }

  async #build(sources: readonly BlockMeta[]): Promise<readonly BlockMeta[]> {
    const newBlocks = mergeBlocks(sources, this.#options.name);
    return this.#modules.onBuilt?.(newBlocks) ?? newBlocks;
  }

  async #finish({ job, sourceBlocks, newBlocks }: HeldJob): Promise<void> {
    const { stats } = this;
    job.complete(newBlocks.length === 0 ? null : { sourceBlocks, newBlocks });
    if (!(await job.reported)) {
      stats.lost++;
      return;
    }
    if (newBlocks.length === 0) stats.empty++;
    else stats.completed++;
    stats.sourceBlocks += sourceBlocks.length;
    stats.newBlocks += newBlocks.length;
    this.#modules.onReported?.(job, newBlocks);
  }

  async #fail(job: CompactionJob, error: unknown): Promise<void> {
    this.stats.failed++;
    job.fail(error);
    await job.reported;
  }

  #countOutage(fault: Outage["fault"]): void {
    if (fault === "crash") this.stats.crashes++;
    else if (fault === "stall") this.stats.stalls++;
    else this.stats.late++;
  }

  #drawFault(): WorkerFault | null {
    let draw = this.#random.nextFloat();
    for (const fault of WORKER_FAULTS) {
      const share = this.#options.faults[fault];
      if (draw < share) return fault;
      draw -= share;
    }
    return null;
  }

  /** In the order of the job, those that are there. */
  #readSources({ tenant, shard, sourceBlocks, signal }: CompactionJob): Promise<BlockMeta[]> {
    const list = { tenant, shard, blocks: sourceBlocks };
    return collectBlocks(this.#modules.client.getBlockMetadata(list, { signal }));
  }

  /** As if nothing had been: the leader knows by the tokens what still counts. */
  async #reportLate({ worker, held }: Outage, signal: AbortSignal): Promise<void> {
    const reports = held.flatMap(toReport);
    if (reports.length === 0) return;
    const poll = { worker, requestId: Date.now(), capacity: 0, waitMs: 0, reports };
    const options = { signal, timeoutMs: LATE_REPORT_TIMEOUT_MS };
    await this.#modules.client.pollCompactionJobs(poll, options).catch(() => {});
  }
}

interface HeldJob {
  readonly job: CompactionJob;
  token: number;
  sourceBlocks: readonly string[];
  newBlocks: readonly BlockMeta[];
}

/** A process that ended, or stands still, with jobs in its hands. */
interface Outage {
  readonly fault: Exclude<WorkerFault, "fail">;
  readonly worker: string;
  readonly held: readonly HeldJob[];
}

/** What was still in work is not mentioned. */
function toReport({ job, token, sourceBlocks, newBlocks }: HeldJob): JobReport[] {
  if (newBlocks.length === 0) return [];
  const { name, tenant, shard } = job;
  const source = { tenant, shard, blocks: sourceBlocks };
  const compacted = { source, newBlocks: newBlocks.map(bytesOf) };
  return [{ name, token, status: REPORT_STATUS.success, reason: "", compacted }];
}

function bytesOf(block: BlockMeta): Uint8Array {
  const sink = new ByteSink();
  encodeBlock(block, sink);
  return sink.copy();
}
