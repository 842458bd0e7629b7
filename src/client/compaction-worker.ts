/**
 * The loop behind `compactionJobs()`: takes jobs, keeps their leases, reports what became of them.
 *
 *   take:    one poll that waits at the leader for as many jobs as there are free slots
 *   report:  every third of a lease, and as soon as a job ends: what runs, what succeeded, what failed
 *
 * Two loops, so that a new job finds a worker at once while leases are refreshed on time. A poll that fails is sent again
 * as it was, under its number: the leader answers a repeat as it answered the first. A job that the leader does not
 * confirm is lost, and its signal aborts.
 */
import { HearthError, isHearthError, timeoutSignal } from "../base/index.ts";
import {
  type CompactedBlocks,
  type JobAssignment,
  type JobPlan,
  type JobReport,
  type PollReply,
  type PollRequest,
  REPORT_STATUS,
} from "../protocol/index.ts";
import { jitteredDelayMs } from "./backoff.ts";
import type {
  BlockInput,
  CallOptions,
  CompactionJob,
  CompactionJobsOptions,
  CompactionResult,
} from "./types.ts";

export interface WorkerModules {
  readonly poll: (poll: PollRequest, options: CallOptions) => Promise<PollReply>;
  /** Wire bytes of a block. */
  readonly encodeBlock: (block: BlockInput) => Uint8Array;
  /** Unique among workers. */
  readonly name: string;
}

/** How long a poll waits at the leader for a job. */
const WAIT_MS = 20_000;
/** Budget of one poll beyond what it waits. */
const POLL_TIMEOUT_MS = 5_000;
/** Reports before the first lease is known. */
const REFRESH_DEFAULT_MS = 5_000;
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 2_000;
const TOMBSTONE_TIMEOUT_MS = 15_000;
/** Bytes of a reason that are sent; the leader takes no more. */
const REASON_MAX_LENGTH = 120;

export class CompactionWorker {
  readonly #options: CompactionJobsOptions;
  readonly #modules: WorkerModules;
  readonly #held = new Map<string, Held>();
  /** Taken, and not yet handed to the consumer. */
  readonly #fresh: Held[] = [];
  readonly #stop = new AbortController();
  /** Aborts when no more jobs are wanted. */
  readonly #drain = new AbortController();
  #refreshMs = REFRESH_DEFAULT_MS;
  #requestId = Date.now();
  /** Wake whoever waits for a change: jobs that ended, slots that became free, new jobs. */
  readonly #wakers = new Set<() => void>();
  #failure: unknown = null;

  constructor(options: CompactionJobsOptions, modules: WorkerModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** Runs until the signal aborts or the consumer leaves the loop; leaving waits until running jobs are reported. */
  async *jobs(): AsyncGenerator<CompactionJob, void, void> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const onAbort = (): void => this.#end(signal?.reason);
    signal?.addEventListener("abort", onAbort);
    const { drain } = this.#options;
    const onDrain = (): void => this.#drainNow();
    drain?.addEventListener("abort", onDrain);
    if (drain?.aborted === true) onDrain();
    this.#run(this.#take());
    this.#run(this.#report());
    try {
      for (;;) {
        const held = this.#fresh.shift();
        if (held !== undefined) yield held.job;
        else if (this.#failure !== null) throw this.#failure;
        else if (this.#isOver) return;
        else await this.#change();
      }
    } finally {
      // Never started: the leader gives them to somebody else when their leases end.
      for (const held of this.#fresh.splice(0)) {
        this.#held.delete(held.job.name);
        held.settle(false);
      }
      this.#drainNow();
      while (!this.#isOver) await this.#change();
      signal?.removeEventListener("abort", onAbort);
      drain?.removeEventListener("abort", onDrain);
    }
  }

  /** Takes no more jobs. */
  #drainNow(): void {
    this.#drain.abort();
    this.#wake();
  }

  /** A loop that fails ends everything: the consumer gets the error. */
  #run(loop: Promise<void>): void {
    loop.catch((error: unknown) => this.#end(error));
  }

  #end(reason: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = reason ?? new HearthError("cancelled", "The worker was stopped");
    this.#stop.abort(this.#failure);
    for (const held of this.#held.values()) held.lose(this.#failure);
    this.#held.clear();
    this.#wake();
  }

  async #take(): Promise<void> {
    const worker = `${this.#modules.name}/take`;
    const signal = AbortSignal.any([this.#stop.signal, this.#drain.signal]);
    const { pollIntervalMs } = this.#options;
    while (!signal.aborted) {
      const capacity = this.#options.capacity - this.#held.size;
      if (capacity <= 0) {
        await this.#change();
        continue;
      }
      const requestId = ++this.#requestId;
      const waitMs = pollIntervalMs === undefined ? WAIT_MS : 0;
      const poll = { worker, requestId, capacity, waitMs, reports: [] };
      const reply = await this.#poll(poll, signal);
      if (reply !== null) this.#accept(reply);
      if (pollIntervalMs !== undefined) await this.#pause(pollIntervalMs, signal);
    }
  }

  async #report(): Promise<void> {
    while (!this.#isOver) {
      const hasEnded = [...this.#held.values()].some(({ end }) => end !== null);
      if (!hasEnded) await this.#change(this.#refreshMs);
      if (this.#isOver || this.#held.size === 0) continue;
      const reports = [...this.#held.values()].map((held) => held.report());
      const requestId = ++this.#requestId;
      const { name: worker } = this.#modules;
      const poll = { worker, requestId, capacity: 0, waitMs: 0, reports };
      const reply = await this.#poll(poll, this.#stop.signal);
      if (reply !== null) this.#settle(reports, reply);
    }
  }

  /** Over once nothing can come any more: stopped, or the consumer left and all its jobs are reported. */
  get #isOver(): boolean {
    return this.#failure !== null || (this.#drain.signal.aborted && this.#held.size === 0);
  }

  /** The same poll until it is answered. null: stopped meanwhile. */
  async #poll(poll: PollRequest, signal: AbortSignal): Promise<PollReply | null> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const timeoutMs = poll.waitMs + POLL_TIMEOUT_MS;
        return await this.#modules.poll(poll, { signal, timeoutMs });
      } catch (error) {
        if (signal.aborted) return null;
        // A poll that can never succeed is a bug of the worker, or a result that the leader refuses.
        if (!isHearthError(error)) throw error;
        if (error.code === "invalid_argument") return this.#refused(poll, error);
        if (!error.retryable && error.code !== "deadline_exceeded") throw error;
        const delayMs = jitteredDelayMs(attempt, RETRY_MIN_MS, RETRY_MAX_MS);
        await this.#pause(Math.max(delayMs, error.retryAfterMs ?? 0));
      }
    }
    return null;
  }

  /** Nothing of the poll counts: the results in it are given up as failures, so that the rest can be reported. */
  #refused(poll: PollRequest, error: HearthError): null {
    const results = poll.reports.filter(({ compacted }) => compacted !== null);
    if (results.length === 0) throw error;
    for (const { name } of results) {
      const held = this.#held.get(name);
      if (held !== undefined) held.end = { kind: "failed", reason: error.message };
    }
    return null;
  }

  #accept({ jobs, assignments }: PollReply): void {
    const leases = new Map(assignments.map((lease) => [lease.name, lease]));
    for (const plan of jobs) {
      const lease = leases.get(plan.name);
      if (lease === undefined) continue;
      this.#noteLease(lease);
      const before = this.#held.get(plan.name);
      if (before !== undefined) {
        // Ours again, under another token: what runs goes on.
        before.token = lease.token;
        continue;
      }
      const held = new Held(plan, lease.token, {
        encodeBlock: this.#modules.encodeBlock,
        onEnded: () => this.#wake(),
      });
      this.#held.set(plan.name, held);
      this.#fresh.push(held);
      this.#cleanUp(plan);
    }
    this.#wake();
  }

  /** What was reported as ended is over; what was reported as running and is not confirmed is lost. */
  #settle(reports: readonly JobReport[], reply: PollReply): void {
    const confirmed = new Map(reply.assignments.map((lease) => [lease.name, lease]));
    for (const { name, token, status } of reports) {
      const held = this.#held.get(name);
      if (held === undefined || held.token !== token) continue;
      const lease = confirmed.get(name);
      if (status !== REPORT_STATUS.inProgress) {
        this.#held.delete(name);
        held.settle(true);
      } else if (lease === undefined) {
        this.#held.delete(name);
        held.lose(leaseLost(name));
      } else {
        this.#noteLease(lease);
        held.token = lease.token;
      }
    }
    this.#accept(reply);
  }

  #noteLease({ leaseMs }: JobAssignment): void {
    if (leaseMs > 0) this.#refreshMs = Math.max(50, leaseMs / 3);
  }

  /** Beside the jobs, each with a time limit of its own; what fails is left to a later life of the object. */
  #cleanUp({ tombstones }: JobPlan): void {
    const { onTombstone } = this.#options;
    if (onTombstone === undefined) return;
    for (const tombstone of tombstones) {
      const signal = AbortSignal.any([this.#stop.signal, timeoutSignal(TOMBSTONE_TIMEOUT_MS)]);
      void Promise.resolve()
        .then(() => onTombstone(tombstone, signal))
        .catch(() => {});
    }
  }

  /** Resolves at the next change, or after `timeoutMs`. */
  #change(timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        if (timer !== null) clearTimeout(timer);
        this.#wakers.delete(wake);
        resolve();
      };
      const timer = timeoutMs === Number.POSITIVE_INFINITY ? null : setTimeout(wake, timeoutMs);
      this.#wakers.add(wake);
    });
  }

  #pause(delayMs: number, signal: AbortSignal = this.#stop.signal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, delayMs);
      if (signal.aborted) end();
      else signal.addEventListener("abort", end);
    });
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }
}

type End =
  | { readonly kind: "completed"; readonly compacted: CompactedBlocks | null }
  | { readonly kind: "failed"; readonly reason: string };

/** A job in our hands, from its assignment until the leader has heard how it ended. */
class Held {
  readonly job: CompactionJob;
  token: number;
  end: End | null = null;
  readonly #abort = new AbortController();
  #settle: (isReported: boolean) => void = () => {};

  constructor(
    plan: JobPlan,
    token: number,
    modules: { encodeBlock: (block: BlockInput) => Uint8Array; onEnded: () => void },
  ) {
    this.token = token;
    const finish = (end: () => End): void => {
      if (this.end !== null) return;
      this.end = end();
      modules.onEnded();
    };
    const reported = new Promise<boolean>((resolve) => {
      this.#settle = resolve;
    });
    const tokenNow = (): number => this.token;
    this.job = {
      ...plan,
      get token(): number {
        return tokenNow();
      },
      signal: this.#abort.signal,
      reported,
      complete: (result) => finish(() => toCompleted(plan, result, modules.encodeBlock)),
      fail: (error) => finish(() => ({ kind: "failed", reason: reasonOf(error) })),
    };
  }

  /** The leader has heard how it ended, or never will. */
  settle(isReported: boolean): void {
    this.#settle(isReported);
  }

  lose(reason: unknown): void {
    this.settle(false);
    this.#abort.abort(reason);
  }

  report(): JobReport {
    const { end, token } = this;
    const { name } = this.job;
    if (end === null) {
      return { name, token, status: REPORT_STATUS.inProgress, reason: "", compacted: null };
    }
    if (end.kind === "failed") {
      const { reason } = end;
      return { name, token, status: REPORT_STATUS.failed, reason, compacted: null };
    }
    const { compacted } = end;
    return { name, token, status: REPORT_STATUS.success, reason: "", compacted };
  }
}

function toCompleted(
  plan: JobPlan,
  result: CompactionResult | null,
  encodeBlock: (block: BlockInput) => Uint8Array,
): End {
  if (result === null) return { kind: "completed", compacted: null };
  const { tenant, shard } = plan;
  const blocks = result.sourceBlocks ?? plan.sourceBlocks;
  const newBlocks = result.newBlocks.map(encodeBlock);
  return { kind: "completed", compacted: { source: { tenant, shard, blocks }, newBlocks } };
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.slice(0, REASON_MAX_LENGTH);
}

function leaseLost(name: string): HearthError {
  return new HearthError("aborted", `The lease of job ${JSON.stringify(name)} is lost`, {
    reason: "lease_lost",
  });
}
