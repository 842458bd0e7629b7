/**
 * `npm run crashpoints -- [--images N] [--seed S] [--operations N]`: one JSON line; exit 1 on a violation, or when a
 * counter of the coverage is zero.
 */

import { parseArgs } from "node:util";
import { runCrashPoints, uncovered } from "./crashpoints.ts";
import { SUBJECTS } from "./subjects.ts";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
    operations: { type: "string", default: "2000" },
  },
});
const seed = Number(values.seed);
const startedAtMs = performance.now();
const report = await runCrashPoints(SUBJECTS, {
  seed,
  images: Number(values.images),
  operations: Number(values.operations),
});
const missing = uncovered(report);
const isPassed = report.violationCount === 0 && missing.length === 0;
console.log(
  JSON.stringify({
    command: "crashpoints",
    seed,
    images: report.images,
    recovered: report.recovered,
    violations: report.violationCount,
    firstViolations: report.violations,
    uncovered: missing,
    coverage: report.coverage,
    seconds: Math.round((performance.now() - startedAtMs) / 1000),
    verdict: isPassed ? "pass" : "fail",
  }),
);
process.exitCode = isPassed ? 0 : 1;
