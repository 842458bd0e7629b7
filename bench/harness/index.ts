/**
 * The benchmark harness. A case file is `bench/cases/<area>/<name>.bench.ts` and exports `cases`:
 *
 *   export const cases: readonly BenchCase[] = [{
 *     name: "protocol/filter-entry/10-datasets",
 *     about: "Filter a stored entry in place, against decoding protobuf and the same filter.",
 *     goals: [{ metric: "cpuUs", form: "limit/ours", atLeast: 50 }],
 *     prepare({ seed }) {
 *       const entry = ...;
 *       return { ours: repeat("in place", () => filter(entry)), limit: repeat("protobufjs", () => ...) };
 *     },
 *   }];
 */

export {
  type BenchReport,
  createReport,
  formatCase,
  formatNumber,
  formatTotals,
} from "./report.ts";
export { renderPage } from "./report-page.ts";
export { metricValue, type RunOptions, runCases } from "./runner.ts";
export { median, quantileInPlace } from "./statistics.ts";
export {
  type Call,
  cpuSinceMs,
  keep,
  kept,
  lanesOf,
  once,
  type RepeatOptions,
  repeat,
  repeatAsync,
  repeatCalls,
  runLanes,
  sumOf,
} from "./subjects.ts";
export type {
  BenchCase,
  BenchContext,
  CaseResult,
  Goal,
  GoalForm,
  GoalResult,
  Metric,
  PreparedCase,
  Sample,
  Subject,
  SubjectResult,
} from "./types.ts";
