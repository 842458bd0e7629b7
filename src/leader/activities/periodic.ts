/**
 * A leader's activity that runs again and again, one run at a time.
 *
 *   stopped ──start──> waiting ──timer, runNow──> running ──end──> waiting
 *      ^                  │                          │
 *      └──────stop────────┴───stop: signal aborts────┘
 *
 * A run that outlives a stop is waited for by nobody: its result only counts when no other start came meanwhile. The next
 * run begins when it has ended, so that in one process there are never two.
 */
import { setMaxListeners } from "node:events";
import {
  type Clock,
  HearthError,
  type Logger,
  type Scheduler,
  toHearthError,
} from "../../base/index.ts";
import {
  ACTIVITY_OUTCOME,
  type ActivityOutcome,
  type ActivityResult,
  type ActivityRun,
  type ActivityStatus,
  type LeaderActivity,
} from "./types.ts";

export interface PeriodicOptions {
  readonly name: string;
  /** Between the end of one run and the start of the next; 0: never runs by itself. */
  readonly intervalMs: number;
  /** From becoming leader to the first run. */
  readonly firstAfterMs: number;
}

export interface PeriodicModules {
  /** Errors fail the run, and nothing else. */
  readonly run: (run: ActivityRun) => Promise<ActivityResult>;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly onRun?: ((result: ActivityResult, durationMs: number) => void) | undefined;
}

/** The same failure is a line again after this. */
const REPEAT_LINE_MS = 10 * 60_000;

interface Office {
  readonly term: number;
  readonly abort: AbortController;
}

export class PeriodicActivity implements LeaderActivity {
  readonly name: string;
  readonly #options: PeriodicOptions;
  readonly #modules: PeriodicModules;
  #office: Office | null = null;
  #cancelTimer: () => void = () => {};
  #nextAtMs: number | null = null;
  #running: Promise<ActivityResult> | null = null;
  #last: {
    readonly result: ActivityResult;
    readonly atMs: number;
    readonly durationMs: number;
  } | null = null;
  readonly #runs: Record<ActivityOutcome, number> = { done: 0, nothing: 0, failed: 0, stopped: 0 };
  #lastGoodAtMs: number | null = null;
  #failuresInRow = 0;
  #line: { reason: string; atMs: number; repeated: number } | null = null;

  constructor(options: PeriodicOptions, modules: PeriodicModules) {
    this.name = options.name;
    this.#options = options;
    this.#modules = modules;
  }

  start(term: number): void {
    if (this.#office?.term === term) return;
    this.stop();
    const abort = new AbortController();
    // Each of many lanes listens while it waits for the bucket; that is no leak.
    setMaxListeners(0, abort.signal);
    this.#office = { term, abort };
    this.#wait(this.#options.firstAfterMs);
  }

  stop(): void {
    this.#cancelTimer();
    this.#nextAtMs = null;
    const office = this.#office;
    this.#office = null;
    office?.abort.abort(stopped());
  }

  async runNow(): Promise<ActivityResult> {
    // One that runs for an office that ended is not what is asked for.
    for (;;) {
      const office = this.#office;
      if (office === null) throw notLeading(this.name);
      if (this.#running === null) return this.#begin(office);
      const result = await this.#running;
      if (this.#office === office) return result;
    }
  }

  /** As `runNow`, but with a run that began after the call: one under way may have read what was changed since. */
  async runAfresh(): Promise<ActivityResult> {
    await this.#running;
    return this.runNow();
  }

  status(): ActivityStatus {
    const { intervalMs } = this.#options;
    const last = this.#last;
    return {
      name: this.name,
      isEnabled: intervalMs > 0,
      isActive: this.#office !== null,
      isRunning: this.#running !== null,
      intervalMs,
      lastStartedAtMs: last?.atMs ?? null,
      lastDurationMs: last?.durationMs ?? null,
      lastOutcome: last?.result.outcome ?? null,
      lastText: last?.result.text ?? "",
      lastReason: last?.result.reason ?? null,
      nextAtMs: this.#nextAtMs,
      runs: { ...this.#runs },
      lastGoodAtMs: this.#lastGoodAtMs,
      failuresInRow: this.#failuresInRow,
    };
  }

  #wait(delayMs: number): void {
    this.#cancelTimer();
    this.#nextAtMs = null;
    const office = this.#office;
    if (office === null || this.#options.intervalMs === 0) return;
    this.#nextAtMs = this.#modules.clock.nowMs() + delayMs;
    this.#cancelTimer = this.#modules.scheduler.after(delayMs, () => {
      if (this.#office !== office) return;
      // One of an earlier office is still ending.
      if (this.#running !== null) void this.#running.then(() => this.#resume(office));
      else void this.#begin(office);
    });
  }

  #resume(office: Office): void {
    if (this.#office === office && this.#running === null) void this.#begin(office);
  }

  #begin(office: Office): Promise<ActivityResult> {
    this.#cancelTimer();
    this.#nextAtMs = null;
    const running = this.#run(office).finally(() => {
      this.#running = null;
    });
    this.#running = running;
    return running;
  }

  /** Never rejects. */
  async #run(office: Office): Promise<ActivityResult> {
    const { clock, scheduler, run, onRun } = this.#modules;
    const atMs = clock.nowMs();
    const startedMs = scheduler.monotonicMs();
    let result: ActivityResult;
    try {
      result = await run({
        term: office.term,
        signal: office.abort.signal,
        isLeading: () => this.#office === office,
      });
    } catch (error) {
      result = office.abort.signal.aborted ? STOPPED : failedBy(error);
    }
    const durationMs = scheduler.monotonicMs() - startedMs;
    this.#last = { result, atMs, durationMs };
    this.#count(result);
    onRun?.(result, durationMs);
    if (this.#office === office) this.#wait(result.againAfterMs ?? this.#options.intervalMs);
    return result;
  }

  #count(result: ActivityResult): void {
    this.#runs[result.outcome] += 1;
    if (result.outcome === ACTIVITY_OUTCOME.failed) {
      this.#failuresInRow += 1;
      this.#report(result);
    } else if (result.outcome !== ACTIVITY_OUTCOME.stopped) {
      if (this.#failuresInRow > 0)
        this.#modules.logger.info("activity works again", { activity: this.name });
      this.#failuresInRow = 0;
      this.#lastGoodAtMs = this.#last?.atMs ?? null;
      this.#line = null;
    }
  }

  /** A failure that repeats is one line, and then a sum every now and then. */
  #report({ text, reason = "internal" }: ActivityResult): void {
    const nowMs = this.#modules.scheduler.monotonicMs();
    const line = this.#line;
    if (line?.reason === reason && nowMs - line.atMs < REPEAT_LINE_MS) {
      line.repeated += 1;
      return;
    }
    const repeated = line?.reason === reason ? line.repeated : 0;
    this.#line = { reason, atMs: nowMs, repeated: 0 };
    this.#modules.logger.warn("activity failed", { activity: this.name, reason, text, repeated });
  }
}

const STOPPED: ActivityResult = {
  outcome: ACTIVITY_OUTCOME.stopped,
  text: "Stopped: this member does not lead any more",
};

/** The result of a run that ended with an error. */
export function failedBy(error: unknown): ActivityResult {
  const { message, reason } = toHearthError(error);
  return { outcome: ACTIVITY_OUTCOME.failed, text: message, reason };
}

function stopped(): HearthError {
  return new HearthError("cancelled", STOPPED.text, { reason: "activity_stopped" });
}

function notLeading(name: string): HearthError {
  return new HearthError("unavailable", `Cannot run ${name} here: this member does not lead`, {
    reason: "not_leader",
    next: "Ask the leader: hearth status names it",
  });
}
