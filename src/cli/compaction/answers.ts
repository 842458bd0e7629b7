/** Shapes of what nodes answer about compaction, and words that several commands use. */
import { formatCount, formatDuration } from "../../base/index.ts";
import type {
  CompactionOverview,
  CompactionPolicy,
  ControlResult,
  JobDetails,
  JobPage,
  PlanView,
  PolicyResultView,
  QueuePage,
} from "../../client/index.ts";
import { type CommandContext, UsageError } from "../command.ts";

interface Dated {
  readonly asOf: string;
}

export type OverviewAnswer = CompactionOverview & Dated;
export type JobListAnswer = JobPage & Dated;
export type JobAnswer = JobDetails & Dated;
export type QueuesAnswer = QueuePage & Dated;
export type PlanAnswer = PlanView & Dated;
export type ControlAnswer = ControlResult & Dated;
export type PolicyAnswer = PolicyResultView & Dated;

/** Segments of many tenants belong to nobody. */
export function tenantCell(tenant: string): string | null {
  return tenant === "" ? null : tenant;
}

/** How long ago, in whole seconds: `41 s`. */
export function agoOf(asOf: string, atMs: number): string {
  return durationOf(Date.parse(asOf) - atMs);
}

export function durationOf(durationMs: number): string {
  return formatDuration(Math.max(0, Math.round(durationMs / 1_000)) * 1_000);
}

export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** What is paused, in words; null: nothing is. */
export function pauseSentence({ pausedLevels, pausedTenants }: CompactionPolicy): string | null {
  const tenants = pausedTenants.map((name) => (name === "" ? "segments of many tenants" : name));
  const parts = [
    ...(pausedLevels.length === 0 ? [] : [`level ${pausedLevels.join(", ")}`]),
    ...(tenants.length === 0 ? [] : [`tenant ${tenants.join(", ")}`]),
  ];
  return parts.length === 0 ? null : `PAUSED: ${parts.join("; ")}`;
}

/** The filter flags as parameters of a request. Errors: UsageError. */
export function filterQuery({ flags }: CommandContext, names: readonly string[]): string {
  const query = new URLSearchParams();
  for (const name of names) {
    const value = flags.text(name);
    if (value === null) continue;
    const isNumber = name === "level" || name === "limit" || name === "capacity";
    if (isNumber && !/^\d{1,9}$/.test(value))
      throw new UsageError(`--${name}: "${value}" is not a whole number`);
    query.set(name, value);
  }
  return query.size === 0 ? "" : `?${query}`;
}

/** Levels given with --level, which may be repeated. Errors: UsageError. */
export function levelList({ flags }: CommandContext): number[] {
  return flags.list("level").map((written) => {
    if (/^\d{1,2}$/.test(written)) return Number(written);
    throw new UsageError(`--level: "${written}" is not a level`);
  });
}
