/**
 * What a benchmark is: two things that are timed in turns, and goals on their ratio.
 *
 * Absolute times move by 30 % on a shared machine, ratios of interleaved runs by 5 %. So a case names a *limit* that
 * is measured in the same run (a raw echo, a raw write, a plain scan), the runner times ours, limit, ours, limit, ...
 * and a goal bounds the median over the pairs.
 */

/** What one timed stretch of work cost. */
export interface Sample {
  /** Requests, blocks or calls done. At least 1. */
  readonly operations: number;
  readonly wallMs: number;
  /** CPU time of whoever did the work (this process, or the server under test), all threads. */
  readonly cpuMs: number;
  /** One duration per operation in us, unordered, where the subject measured them. */
  readonly latenciesUs?: Float64Array | undefined;
  /** Further figures, by name with unit: `{ indexBytes: 1_234 }`. Goals can bound them. */
  readonly figures?: Readonly<Record<string, number>> | undefined;
}

/** Something that can be timed again and again. */
export interface Subject {
  /** For the reader of the table: "engine in process", "raw echo, 4436 B". */
  readonly name: string;
  /** Works for about `targetMs` (a fixed amount of work may ignore it) and says what it cost. */
  sample(targetMs: number): Sample | Promise<Sample>;
}

/**
 * A quantity of a sample: per-operation wall or CPU time in us, operations per second, a latency percentile in us,
 * or a figure by name.
 */
export type Metric = "wallUs" | "cpuUs" | "rate" | "p50Us" | "p99Us" | `figure:${string}`;

/** How ours and the limit become one number. "ours" alone needs no limit. */
export type GoalForm = "ours/limit" | "limit/ours" | "ours-limit" | "ours";

export interface Goal {
  readonly metric: Metric;
  readonly form: GoalForm;
  /** Exactly one of the two bounds; neither means: reported, not judged. */
  readonly atLeast?: number;
  readonly atMost?: number;
  /** One sentence where the numbers do not speak for themselves. */
  readonly note?: string;
}

/** A case made ready: its data is built and checked, nothing is timed yet. */
export interface PreparedCase {
  readonly ours: Subject;
  readonly limit?: Subject;
  /** Why there is no limit on this machine: goals against it are then left out, and this is reported. */
  readonly limitMissing?: string;
  /** Runs whatever happened; closes sockets, databases and child processes. */
  close?(): void | Promise<void>;
}

export interface BenchContext {
  /** A directory of this case's own, removed afterwards. */
  readonly directory: string;
  /** Seed of all generated data, printed in the report. */
  readonly seed: number;
  /** A line of progress for setups that take longer than a second. */
  progress(text: string): void;
  /** A fact for the report that is not timed, such as index bytes per block. */
  fact(name: string, value: number | string): void;
}

export interface BenchCase {
  /** `area/operation/shape`, mirrors the folder of the code. */
  readonly name: string;
  /** One sentence: what is compared, and what a good ratio shows. */
  readonly about: string;
  readonly goals: readonly Goal[];
  /** Pairs to measure, at least 5. Default 7. */
  readonly pairs?: number;
  /** Length of each of the two halves of a pair. Default 120 ms. */
  readonly sampleMs?: number;
  /** Length of the unrecorded halves before the first pair. Default: as the others. Every process compiles for itself. */
  readonly warmUpMs?: number;
  /**
   * Left out of a plain `npm run bench`, which has three minutes: chosen by a pattern only. For setups of more than ten
   * seconds on a slow disk, and for areas that are measured by a pattern of their own.
   */
  readonly isLong?: boolean;
  /** Builds the data and checks that it means what the case claims, before anything is timed. */
  prepare(context: BenchContext): PreparedCase | Promise<PreparedCase>;
}

/** One goal after the run. */
export interface GoalResult {
  readonly goal: Goal;
  /** The goal's value in each pair, in order. */
  readonly values: readonly number[];
  readonly median: number;
  /** Null: no bound was set. */
  readonly isMet: boolean | null;
}

/** One side of a case after the run: medians over its samples. */
export interface SubjectResult {
  readonly name: string;
  readonly operations: number;
  readonly wallUs: number;
  readonly cpuUs: number;
  readonly rate: number;
  readonly p50Us: number | null;
  readonly p99Us: number | null;
}

export interface CaseResult {
  readonly name: string;
  readonly about: string;
  readonly ours: SubjectResult | null;
  readonly limit: SubjectResult | null;
  readonly goals: readonly GoalResult[];
  readonly facts: Readonly<Record<string, number | string>>;
  readonly elapsedMs: number;
  /** Not run, as the time for all cases was used up: no failure, and no result. */
  readonly isLeftOut: boolean;
  /** Why it broke, or null. */
  readonly failure: string | null;
}
