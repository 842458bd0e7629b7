/**
 * Runs cases: prepare, pairs in turns, judge, close. One case at a time: two would measure each other.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median, quantileInPlace } from "./statistics.ts";
import type {
  BenchCase,
  BenchContext,
  CaseResult,
  Goal,
  GoalResult,
  Metric,
  PreparedCase,
  Sample,
  Subject,
  SubjectResult,
} from "./types.ts";

export interface RunOptions {
  readonly seed: number;
  /** Overrides the cases' own number of pairs. */
  readonly pairs?: number | undefined;
  /** No case starts after this much time; the rest is reported as left out. */
  readonly budgetMs?: number | undefined;
  /** Where databases of cases are made. Default: the system's temporary directory. */
  readonly directory?: string | undefined;
  onProgress(text: string): void;
  onResult(result: CaseResult): void;
}

const PAIRS_DEFAULT = 7;
/** Below five, one disturbed pair moves the median. */
const PAIRS_MIN = 5;
const SAMPLE_MS_DEFAULT = 120;

export async function runCases(
  cases: readonly BenchCase[],
  options: RunOptions,
): Promise<CaseResult[]> {
  const startedAtMs = performance.now();
  const results: CaseResult[] = [];
  for (const [i, benchCase] of cases.entries()) {
    const elapsedMs = performance.now() - startedAtMs;
    options.onProgress(`[${i + 1}/${cases.length}] ${benchCase.name}`);
    const isOverBudget = options.budgetMs !== undefined && elapsedMs > options.budgetMs;
    const result = isOverBudget
      ? emptyResult(benchCase, { isLeftOut: true })
      : await runCase(benchCase, options);
    results.push(result);
    options.onResult(result);
  }
  return results;
}

async function runCase(benchCase: BenchCase, options: RunOptions): Promise<CaseResult> {
  const startedAtMs = performance.now();
  const directory = mkdtempSync(join(options.directory ?? tmpdir(), "hearth-bench-"));
  const facts: Record<string, number | string> = {};
  const context: BenchContext = {
    directory,
    seed: options.seed,
    progress: (text) => options.onProgress(`  ${text}`),
    fact: (name, value) => {
      facts[name] = value;
    },
  };
  let prepared: PreparedCase | null = null;
  try {
    assertGoals(benchCase);
    prepared = await benchCase.prepare(context);
    const pairs = await measurePairs(benchCase, prepared, options);
    if (prepared.limitMissing !== undefined) facts["not compared"] = prepared.limitMissing;
    const goals = benchCase.goals.filter(
      ({ form }) => form === "ours" || prepared?.limitMissing === undefined,
    );
    return {
      name: benchCase.name,
      about: benchCase.about,
      ours: summarise(prepared.ours, pairs.ours),
      limit: prepared.limit === undefined ? null : summarise(prepared.limit, pairs.limit),
      goals: goals.map((goal) => judge(goal, pairs)),
      facts,
      elapsedMs: performance.now() - startedAtMs,
      isLeftOut: false,
      failure: null,
    };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return emptyResult(benchCase, { failure: text, elapsedMs: performance.now() - startedAtMs });
  } finally {
    await prepared?.close?.();
    rmSync(directory, { recursive: true, force: true });
  }
}

function assertGoals(benchCase: BenchCase): void {
  for (const goal of benchCase.goals) {
    if (goal.atLeast !== undefined && goal.atMost !== undefined) {
      throw new Error(`Goal ${goal.metric} of ${benchCase.name} has two bounds`);
    }
  }
}

interface Pairs {
  readonly ours: readonly Sample[];
  readonly limit: readonly Sample[];
}

async function measurePairs(
  benchCase: BenchCase,
  prepared: PreparedCase,
  options: RunOptions,
): Promise<Pairs> {
  const count = Math.max(PAIRS_MIN, options.pairs ?? benchCase.pairs ?? PAIRS_DEFAULT);
  const sampleMs = benchCase.sampleMs ?? SAMPLE_MS_DEFAULT;
  const { ours, limit } = prepared;
  // One unrecorded pair: compiles the code, fills caches, opens what opens lazily.
  const warmUpMs = benchCase.warmUpMs ?? sampleMs;
  await ours.sample(warmUpMs);
  await limit?.sample(warmUpMs);
  const oursSamples: Sample[] = [];
  const limitSamples: Sample[] = [];
  for (let pair = 0; pair < count; pair++) {
    // The order alternates, so that a drift of the machine does not favour one side.
    if (pair % 2 === 0) oursSamples.push(await ours.sample(sampleMs));
    if (limit !== undefined) limitSamples.push(await limit.sample(sampleMs));
    if (pair % 2 === 1) oursSamples.push(await ours.sample(sampleMs));
  }
  return { ours: oursSamples, limit: limitSamples };
}

/** Value of a metric in one sample; NaN when the subject did not measure it. */
export function metricValue(metric: Metric, sample: Sample): number {
  switch (metric) {
    case "wallUs":
      return (sample.wallMs * 1000) / sample.operations;
    case "cpuUs":
      return (sample.cpuMs * 1000) / sample.operations;
    case "rate":
      return (sample.operations * 1000) / sample.wallMs;
    case "p50Us":
      return quantileInPlace(sample.latenciesUs ?? new Float64Array(0), 0.5);
    case "p99Us":
      return quantileInPlace(sample.latenciesUs ?? new Float64Array(0), 0.99);
    default:
      return sample.figures?.[metric.slice("figure:".length)] ?? Number.NaN;
  }
}

function judge(goal: Goal, pairs: Pairs): GoalResult {
  const values = pairs.ours.map((sample, i) => {
    const ours = metricValue(goal.metric, sample);
    if (goal.form === "ours") return ours;
    const limitSample = pairs.limit[i];
    if (limitSample === undefined) throw new Error(`Goal ${goal.form} needs a limit`);
    const limit = metricValue(goal.metric, limitSample);
    if (goal.form === "ours-limit") return ours - limit;
    return goal.form === "ours/limit" ? ours / limit : limit / ours;
  });
  const middle = median(values);
  if (Number.isNaN(middle)) throw new Error(`No sample has ${goal.metric}`);
  return { goal, values, median: middle, isMet: isWithin(goal, middle) };
}

function isWithin(goal: Goal, value: number): boolean | null {
  if (goal.atLeast !== undefined) return value >= goal.atLeast;
  if (goal.atMost !== undefined) return value <= goal.atMost;
  return null;
}

function summarise(subject: Subject, samples: readonly Sample[]): SubjectResult {
  const middle = (metric: Metric): number => median(samples.map((s) => metricValue(metric, s)));
  const hasLatencies = samples.every((sample) => (sample.latenciesUs?.length ?? 0) > 0);
  return {
    name: subject.name,
    operations: samples.reduce((total, sample) => total + sample.operations, 0),
    wallUs: middle("wallUs"),
    cpuUs: middle("cpuUs"),
    rate: middle("rate"),
    p50Us: hasLatencies ? middle("p50Us") : null,
    p99Us: hasLatencies ? middle("p99Us") : null,
  };
}

function emptyResult(
  benchCase: BenchCase,
  why: Partial<Pick<CaseResult, "isLeftOut" | "failure" | "elapsedMs">>,
): CaseResult {
  return {
    name: benchCase.name,
    about: benchCase.about,
    ours: null,
    limit: null,
    goals: [],
    facts: {},
    elapsedMs: 0,
    isLeftOut: false,
    failure: null,
    ...why,
  };
}
