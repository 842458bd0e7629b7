/**
 * `npm run bitrot`: one JSON line; exit 1 when anything promised is missing in silence, or
 * when an outcome never came up.
 */

import { parseCommandLine, readCommandLine, wholeNumber } from "../support/command-line.ts";
import { runBitRot, unmoved } from "./bit-rot.ts";

const FLIPS_MAX = 1_000_000_000;

const USAGE = `npm run bitrot -- [options]: flips bytes of a log and demands that nothing is lost in silence
  --flips N  so many, 10000
  --seed S   what is drawn, 1`;

const { seed, flips } = readCommandLine(USAGE, (argv) => {
  const options = {
    flips: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
  } as const;
  const parsed = parseCommandLine(options, argv);
  if (parsed === null) return null;
  return {
    seed: wholeNumber("seed", parsed.values.seed, 0, Number.MAX_SAFE_INTEGER),
    flips: wholeNumber("flips", parsed.values.flips, 1, FLIPS_MAX),
  };
});
const startedAtMs = performance.now();
const report = await runBitRot({ seed, flips });
const missing = unmoved(report);
const isPassed = report.violationCount === 0 && missing.length === 0;
console.log(
  JSON.stringify({
    command: "bitrot",
    seed,
    flips: report.flips,
    silentLosses: report.violationCount,
    firstViolations: report.violations,
    unmoved: missing,
    outcomes: report.outcomes,
    seconds: Math.round((performance.now() - startedAtMs) / 1000),
    verdict: isPassed ? "pass" : "fail",
  }),
);
process.exitCode = isPassed ? 0 : 1;
