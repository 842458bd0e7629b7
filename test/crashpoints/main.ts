/**
 * `npm run crashpoints`: one JSON line; exit 1 on a violation, or when a
 * counter of the coverage is zero.
 */

import { parseCommandLine, readCommandLine, wholeNumber } from "../support/command-line.ts";
import { runCrashPoints, uncovered } from "./crashpoints.ts";
import { SUBJECTS } from "./subjects.ts";

const COUNT_MAX = 1_000_000_000;

const USAGE = `npm run crashpoints -- [options]: the disk as a crash may leave it, after every operation of a recorded run
  --images N      at least so many, 20000
  --operations N  of the run, 2000
  --seed S        what is drawn, 1`;

const settings = readCommandLine(USAGE, (argv) => {
  const options = {
    images: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
    operations: { type: "string", default: "2000" },
  } as const;
  const parsed = parseCommandLine(options, argv);
  if (parsed === null) return null;
  const { seed, images, operations } = parsed.values;
  return {
    seed: wholeNumber("seed", seed, 0, Number.MAX_SAFE_INTEGER),
    images: wholeNumber("images", images, 1, COUNT_MAX),
    operations: wholeNumber("operations", operations, 1, COUNT_MAX),
  };
});
const startedAtMs = performance.now();
const report = await runCrashPoints(SUBJECTS, settings);
const missing = uncovered(report);
const isPassed = report.violationCount === 0 && missing.length === 0;
console.log(
  JSON.stringify({
    command: "crashpoints",
    seed: settings.seed,
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
