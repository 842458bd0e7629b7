/**
 * The compaction policy: data that every member agrees on, because it is changed by log entries only. Without one
 * there is no compaction: blocks are not queued, so logs from before compaction replay as they were.
 *
 * JSON text of the whole policy is the payload of SetCompactionPolicy; fields left out keep their defaults. What the
 * numbers mean: compaction spec, sections 7.4, 10.3 and 11.1.
 */

import { LIMITS } from "../../protocol/index.ts";

export interface LevelPolicy {
  /** Blocks of a full batch, and of a job. */
  readonly maxBlocks: number;
  /** Age after which a batch is compacted as it is, ms; 0: never. */
  readonly maxAgeMs: number;
}

export interface CompactionPolicy {
  /** One per level from 0; blocks of higher levels are never queued. */
  readonly levels: readonly LevelPolicy[];
  /** Tombstones that a job carries at most. */
  readonly cleanupBatchSize: number;
  /** Tombstones are handed out once they are older, ms. */
  readonly cleanupDelayMs: number;
  /** Jobs of these levels carry tombstones, inclusive. */
  readonly cleanupMinLevel: number;
  readonly cleanupMaxLevel: number;
  /** Reassignments after which a job is not handed out any more; 0: no limit. */
  readonly failuresMax: number;
  readonly leaseMs: number;
  /** Jobs in any state; 0: no limit. */
  readonly jobsMax: number;
  /** Blocks of a job that ended without a result are queued again after this time, ms. */
  readonly requeueDelayMs: number;
  /** An exhausted job gives its blocks back once its lease has been over for so long, ms; 0: never by itself. */
  readonly exhaustedDelayMs: number;
  /** Levels for which no jobs are made or handed out. */
  readonly pausedLevels: readonly number[];
  /** Owners for which no jobs are made; "" stands for segments of many tenants. */
  readonly pausedTenants: readonly string[];
  /** Levels of single tenants, by name; levels that are not named are the general ones. */
  readonly tenants: Readonly<Record<string, TenantPolicy>>;
}

export interface TenantPolicy {
  readonly levels: readonly LevelPolicy[];
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The reference's numbers, where it has them. */
export const COMPACTION_DEFAULTS: CompactionPolicy = {
  levels: [
    { maxBlocks: 20, maxAgeMs: 36 * SECOND_MS },
    { maxBlocks: 10, maxAgeMs: 12 * MINUTE_MS },
    { maxBlocks: 10, maxAgeMs: 3 * HOUR_MS },
  ],
  cleanupBatchSize: 2,
  cleanupDelayMs: 15 * MINUTE_MS,
  cleanupMinLevel: 0,
  cleanupMaxLevel: 1,
  failuresMax: 3,
  leaseMs: 15 * SECOND_MS,
  jobsMax: 10_000,
  requeueDelayMs: 10 * MINUTE_MS,
  exhaustedDelayMs: 24 * HOUR_MS,
  pausedLevels: [],
  pausedTenants: [],
  tenants: {},
};

/** Above these, memory and entries would grow beyond what one plan may hold. */
const LEVELS_MAX = 8;
const TENANTS_MAX = 1_024;
const DURATION_MAX_MS = 366 * 24 * HOUR_MS;
const JOBS_MAX = 1_000_000;
const CLEANUP_BATCH_MAX = 16;

const NUMBERS: readonly (readonly [keyof CompactionPolicy, number, number])[] = [
  ["cleanupBatchSize", 0, CLEANUP_BATCH_MAX],
  ["cleanupDelayMs", 0, DURATION_MAX_MS],
  ["cleanupMinLevel", 0, LEVELS_MAX],
  ["cleanupMaxLevel", 0, LEVELS_MAX],
  ["failuresMax", 0, 1_000],
  ["leaseMs", 1, DURATION_MAX_MS],
  ["jobsMax", 0, JOBS_MAX],
  ["requeueDelayMs", 0, DURATION_MAX_MS],
  ["exhaustedDelayMs", 0, DURATION_MAX_MS],
];

export type PolicyResult =
  | { readonly ok: true; readonly policy: CompactionPolicy }
  /** Every problem, each a sentence that names the field, what it is and what it may be. */
  | { readonly ok: false; readonly problems: readonly string[] };

/** The levels that hold for an owner. */
export function levelsFor(policy: CompactionPolicy, tenant: string): readonly LevelPolicy[] {
  const own = Object.hasOwn(policy.tenants, tenant) ? policy.tenants[tenant] : undefined;
  if (own === undefined) return policy.levels;
  return policy.levels.map((level, i) => own.levels[i] ?? level);
}

/** Longest time between the oldest and the newest block of one job, ms; 0: no limit (spec 8.1). */
export function jobSpanMaxMs(policy: CompactionPolicy): number {
  return policy.levels.at(-1)?.maxAgeMs ?? 0;
}

/** A policy from JSON text, checked. A function of the text alone. */
export function parsePolicy(json: string): PolicyResult {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { ok: false, problems: ["The policy is not JSON"] };
  }
  if (!isRecord(value)) return { ok: false, problems: ["The policy must be an object"] };
  const problems: string[] = [];
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(COMPACTION_DEFAULTS, name)) problems.push(`"${name}" is not a setting`);
  }
  const policy = { ...COMPACTION_DEFAULTS, ...value };
  for (const [name, min, max] of NUMBERS) checkNumber(policy[name], name, min, max, problems);
  checkLevels(policy.levels, "levels", problems);
  checkPauses(policy, problems);
  checkTenants(policy.tenants, problems);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, policy };
}

function checkPauses(policy: CompactionPolicy, problems: string[]): void {
  const { pausedLevels, pausedTenants } = policy;
  if (!Array.isArray(pausedLevels) || pausedLevels.length > LEVELS_MAX) {
    problems.push(`"pausedLevels" must be a list of at most ${LEVELS_MAX} levels`);
  } else {
    for (const level of pausedLevels) checkNumber(level, "pausedLevels", 0, LEVELS_MAX, problems);
  }
  const isList = Array.isArray(pausedTenants) && pausedTenants.length <= TENANTS_MAX;
  if (!isList || !pausedTenants.every(isTenantName)) {
    problems.push(`"pausedTenants" must be a list of at most ${TENANTS_MAX} names`);
  }
}

function checkTenants(tenants: unknown, problems: string[]): void {
  if (!isRecord(tenants) || Object.keys(tenants).length > TENANTS_MAX) {
    problems.push(`"tenants" must be an object with at most ${TENANTS_MAX} names`);
    return;
  }
  for (const [name, own] of Object.entries(tenants)) {
    const where = `tenants.${JSON.stringify(name)}`;
    if (!isTenantName(name)) problems.push(`${where}: the name is too long`);
    if (isRecord(own))
      checkLevels((own as Partial<TenantPolicy>).levels, `${where}.levels`, problems);
    else problems.push(`${where} must be an object with "levels"`);
  }
}

function checkLevels(levels: unknown, where: string, problems: string[]): void {
  if (!Array.isArray(levels) || levels.length === 0 || levels.length > LEVELS_MAX) {
    problems.push(`"${where}" must be a list of 1 to ${LEVELS_MAX} levels`);
    return;
  }
  for (const [i, level] of levels.entries()) {
    if (!isRecord(level)) {
      problems.push(`"${where}[${i}]" must be an object with "maxBlocks" and "maxAgeMs"`);
      continue;
    }
    const { maxBlocks, maxAgeMs } = level as Partial<LevelPolicy>;
    checkNumber(maxBlocks, `${where}[${i}].maxBlocks`, 1, LIMITS.sourcesPerJobMax, problems);
    checkNumber(maxAgeMs, `${where}[${i}].maxAgeMs`, 0, DURATION_MAX_MS, problems);
  }
}

function checkNumber(
  value: unknown,
  where: string,
  min: number,
  max: number,
  problems: string[],
): void {
  // Fractions of a millisecond are fine for durations; counts are compared, never used as lengths.
  const isGood = typeof value === "number" && value >= min && value <= max;
  if (!isGood) problems.push(`"${where}" is ${JSON.stringify(value)}, allowed is ${min} to ${max}`);
}

function isTenantName(name: unknown): name is string {
  return typeof name === "string" && Buffer.byteLength(name, "utf8") <= LIMITS.tenantMaxBytes;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
