/**
 * `npm run bitrot -- [--flips N] [--seed S]`: one JSON line; exit 1 when anything promised is missing in silence, or
 * when an outcome never came up.
 */

import { parseArgs } from "node:util";
import { runBitRot, unmoved } from "./bit-rot.ts";

const { values } = parseArgs({
  options: {
    flips: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
  },
});
const seed = Number(values.seed);
const startedAtMs = performance.now();
const report = await runBitRot({ seed, flips: Number(values.flips) });
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
