/** What a run leaves behind: a table on stdout, a JSON file, and a page (report-page.ts). */

import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import type { CaseResult, GoalResult } from "./types.ts";

/** One run, as written to bench/results. */
export interface BenchReport {
  readonly schema: "hearth/bench/v1";
  readonly startedAt: string;
  readonly commit: string;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly seed: number;
  readonly results: readonly CaseResult[];
}

export function createReport(
  startedAt: Date,
  seed: number,
  results: readonly CaseResult[],
): BenchReport {
  return {
    schema: "hearth/bench/v1",
    startedAt: startedAt.toISOString(),
    commit: currentCommit(),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    seed,
    results,
  };
}

function currentCommit(): string {
  try {
    const text = execFileSync("git", ["describe", "--always", "--dirty"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return text.trim();
  } catch {
    return "unknown";
  }
}

/** The lines of one case: name, both sides, each goal with its verdict. */
export function formatCase(result: CaseResult): string {
  const lines = [
    `${result.name}  (${(result.elapsedMs / 1000).toFixed(1)} s)`,
    `  ${result.about}`,
  ];
  if (result.isLeftOut)
    lines.push(`  LEFT OUT: the time was used up; npm run bench -- ${result.name}`);
  if (result.failure !== null) lines.push(`  FAILED  ${result.failure}`);
  for (const side of [result.ours, result.limit]) {
    if (side === null) continue;
    const latency =
      side.p99Us === null
        ? ""
        : `  p50 ${formatNumber(side.p50Us ?? 0)} us  p99 ${formatNumber(side.p99Us)} us`;
    lines.push(
      `    ${side.name.padEnd(34)}  ${formatNumber(side.rate).padStart(11)}/s` +
        `  wall ${formatNumber(side.wallUs).padStart(9)} us` +
        `  cpu ${formatNumber(side.cpuUs).padStart(9)} us${latency}`,
    );
  }
  for (const goal of result.goals) lines.push(`    ${formatGoal(goal)}`);
  for (const [name, value] of Object.entries(result.facts)) {
    lines.push(`    ${name}: ${typeof value === "number" ? formatNumber(value) : value}`);
  }
  return lines.join("\n");
}

/** "PASS  rate ours/limit = 0.41 (0.38 .. 0.44), goal >= 0.3" */
export function formatGoal(result: GoalResult): string {
  const { goal } = result;
  const verdict = result.isMet === null ? "INFO" : result.isMet ? "PASS" : "MISS";
  const low = formatNumber(Math.min(...result.values));
  const high = formatNumber(Math.max(...result.values));
  const note = goal.note === undefined ? "" : `  ${goal.note}`;
  return (
    `${verdict}  ${goal.metric} ${goal.form} = ${formatNumber(result.median)} (${low} .. ${high})` +
    `${formatBound(result)}${note}`
  );
}

export function formatBound({ goal }: GoalResult): string {
  if (goal.atLeast !== undefined) return `, goal >= ${goal.atLeast}`;
  if (goal.atMost !== undefined) return `, goal <= ${goal.atMost}`;
  return "";
}

/** Three significant digits, thousands separated. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", {
    minimumFractionDigits: Math.min(digits, 6),
    maximumFractionDigits: Math.min(digits, 6),
  });
}

/** Last line of a run. */
export function formatTotals(results: readonly CaseResult[]): string {
  const goals = results.flatMap((result) => result.goals).filter((goal) => goal.isMet !== null);
  const met = goals.filter((goal) => goal.isMet === true).length;
  const failed = results.filter((result) => result.failure !== null).length;
  const leftOut = results.filter((result) => result.isLeftOut).length;
  const broken = failed === 0 ? "" : `, ${failed} failed`;
  const missing = leftOut === 0 ? "" : `, ${leftOut} left out`;
  return `${results.length} cases, ${met} of ${goals.length} goals met${broken}${missing}`;
}
