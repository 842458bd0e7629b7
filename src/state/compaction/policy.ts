/**
 * The compaction policy: data that every member agrees on, because it is changed by log entries only. Without one
 * there is no compaction: blocks are not queued, so logs from before compaction replay as they were.
 *
 * JSON text of the whole policy is the payload of SetCompactionPolicy; fields left out keep their defaults. What the
 * numbers mean: compaction spec, sections 7.4, 10.3 and 11.1.
 */

import {
  type CompactionPolicy,
  type LevelPolicy,
  LIMITS,
  POLICY_LIMITS,
  type TenantPolicy,
} from "../../protocol/index.ts";

export type { CompactionPolicy, LevelPolicy, TenantPolicy };

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

/** For the same reason as those bounds. */
const TENANTS_MAX = 1_024;
const JOBS_MAX = 1_000_000;
const { levelsMax: LEVELS_MAX, durationMaxMs: DURATION_MAX_MS } = POLICY_LIMITS;

const NUMBERS: readonly (readonly [keyof CompactionPolicy, number, number])[] = [
  ["cleanupBatchSize", 0, POLICY_LIMITS.cleanupBatchMax],
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
  if (own?.levels === undefined) return policy.levels;
  return policy.levels.map((level, i) => own.levels?.[i] ?? level);
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
    if (isRecord(own)) checkTenant(own, where, problems);
    else problems.push(`${where} must be an object with "levels"`);
  }
}

function checkTenant(own: Record<string, unknown>, where: string, problems: string[]): void {
  for (const name of Object.keys(own)) {
    if (name !== "levels" && name !== "jobsMax")
      problems.push(`${where}: "${name}" is not a setting of a tenant`);
  }
  if (own.jobsMax !== undefined) {
    checkNumber(own.jobsMax, `${where}.jobsMax`, 0, JOBS_MAX, problems);
  }
  if (own.levels === undefined) return;
  checkLevels(own.levels, `${where}.levels`, problems, true);
}

function checkLevels(levels: unknown, where: string, problems: string[], mayInherit = false): void {
  if (!Array.isArray(levels) || levels.length === 0 || levels.length > LEVELS_MAX) {
    problems.push(`"${where}" must be a list of 1 to ${LEVELS_MAX} levels`);
    return;
  }
  for (const [i, level] of levels.entries()) {
    if (level === null && mayInherit) continue;
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
