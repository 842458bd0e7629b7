/**
 * A change of the compaction policy: JSON in a log entry, applied to the text of the policy that the entry meets. So two
 * changes at once both count, and nobody has to read before writing. A function of the two texts alone: which settings
 * there are is judged by `parsePolicy`, what they become is not filled in by this program's defaults.
 *
 * ```
 * { "base":   policy to begin with where there is none, and what null goes back to; the proposer's, so members agree
 *   "set":    merge patch (RFC 7396); a list of levels may be patched by position: {"levels":{"0":{"maxAgeMs":5000}}}
 *   "pause":  {"levels":[0],"tenants":["acme"]}
 *   "resume": the same }
 * ```
 */

import type { PauseWish } from "../../protocol/index.ts";
import { parsePolicy, type PolicyResult } from "./policy.ts";

export type JsonObject = { readonly [key: string]: unknown };

interface PolicyChange {
  readonly base: JsonObject;
  readonly set: JsonObject;
  readonly pause: PauseWish;
  readonly resume: PauseWish;
}

export type PolicyChangeResult =
  /** `json` is the whole policy as it is stored. */
  | { readonly ok: true; readonly json: string; readonly isChanged: boolean }
  | { readonly ok: false; readonly problems: readonly string[] };

/** `currentJson`: the policy in force as it is stored; null: there is none. */
export function changePolicy(currentJson: string | null, changeJson: string): PolicyChangeResult {
  const change = parseChange(changeJson);
  if (change === null) return { ok: false, problems: ["The change of the policy is not one"] };
  const { base, set, pause, resume } = change;
  const current = currentJson === null ? base : (JSON.parse(currentJson) as JsonObject);
  const changed = mergePolicy(current, base, set);
  changed.pausedLevels = without(
    [...listOf(changed.pausedLevels), ...pause.levels],
    resume.levels,
  ).sort((a, b) => Number(a) - Number(b));
  changed.pausedTenants = without(
    [...listOf(changed.pausedTenants), ...pause.tenants],
    resume.tenants,
  ).sort();
  const json = JSON.stringify(changed);
  const result: PolicyResult = parsePolicy(json);
  return result.ok ? { ok: true, json, isChanged: json !== currentJson } : result;
}

/** null: not a change. Names that it does not know are refused: they would be silently without effect. */
function parseChange(json: string): PolicyChange | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const { base = {}, set = {}, pause = {}, resume = {}, ...others } = value;
  if (Object.keys(others).length > 0 || !isObject(base) || !isObject(set)) return null;
  const wishes = [pause, resume].map(parseWish);
  const [pauses, resumes] = wishes;
  if (pauses == null || resumes == null) return null;
  return { base, set, pause: pauses, resume: resumes };
}

function parseWish(value: unknown): PauseWish | null {
  if (!isObject(value)) return null;
  const { levels = [], tenants = [], ...others } = value;
  const isWish =
    Object.keys(others).length === 0 &&
    Array.isArray(levels) &&
    levels.every((level) => typeof level === "number") &&
    Array.isArray(tenants) &&
    tenants.every((tenant) => typeof tenant === "string");
  return isWish ? { levels, tenants } : null;
}

function mergePolicy(current: JsonObject, base: JsonObject, set: JsonObject): MutableObject {
  const merged: MutableObject = { ...current };
  for (const [name, value] of Object.entries(set)) {
    if (name === "levels") merged.levels = mergeLevels(current.levels, value, base.levels);
    else if (name === "tenants") merged.tenants = mergeTenants(merged, value);
    else if (value !== null) merged[name] = value;
    else if (Object.hasOwn(base, name)) merged[name] = base[name];
    else delete merged[name];
  }
  return merged;
}

/** `inherited`: what a level without a value is. */
function mergeLevels(current: unknown, patch: unknown, inherited: unknown): unknown {
  if (patch === null) return inherited;
  if (!isObject(patch)) return patch;
  const levels = [...listOf(current)];
  for (const [position, value] of byPosition(patch)) {
    const own = levels[position] ?? listOf(inherited)[position];
    if (value === null) levels[position] = listOf(inherited)[position] ?? null;
    else levels[position] = isObject(value) && isObject(own) ? { ...own, ...value } : value;
  }
  // A position left out is a hole, which JSON writes as null: refused where levels must be there.
  return Array.from(levels, (level) => level ?? null);
}

/** Levels of a tenant that are null are the general ones. */
function mergeTenants(policy: JsonObject, patch: unknown): unknown {
  if (!isObject(patch)) return patch === null ? {} : patch;
  // A map: names are anybody's, "__proto__" included.
  const tenants = new Map(Object.entries(isObject(policy.tenants) ? policy.tenants : {}));
  for (const [tenant, value] of Object.entries(patch)) {
    const before = tenants.get(tenant);
    const after = isObject(value)
      ? mergeTenant(isObject(before) ? before : {}, value, policy)
      : value;
    const isNothing = after === null || (isObject(after) && Object.keys(after).length === 0);
    if (isNothing) tenants.delete(tenant);
    else tenants.set(tenant, after);
  }
  return Object.fromEntries(tenants);
}

function mergeTenant(before: JsonObject, patch: JsonObject, policy: JsonObject): JsonObject {
  const tenant: MutableObject = { ...before };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete tenant[name];
    else if (name === "levels") tenant.levels = mergeTenantLevels(before.levels, value, policy);
    else tenant[name] = value;
  }
  if (Array.isArray(tenant.levels) && tenant.levels.every((level) => level === null)) {
    delete tenant.levels;
  }
  return tenant;
}

function mergeTenantLevels(current: unknown, patch: unknown, { levels }: JsonObject): unknown {
  if (!isObject(patch)) return patch;
  const own = [...listOf(current)];
  for (const [position, value] of byPosition(patch)) {
    const before = own[position] ?? listOf(levels)[position];
    own[position] = isObject(value) && isObject(before) ? { ...before, ...value } : value;
  }
  return Array.from(own, (level) => level ?? null);
}

type MutableObject = { [key: string]: unknown };

/** Positions of a list that may be patched; others are a mistake that the check of the whole finds. */
const POSITION_MAX = 63;

function byPosition(patch: JsonObject): [number, unknown][] {
  return Object.entries(patch).flatMap(([key, value]): [number, unknown][] => {
    const position = /^\d{1,2}$/.test(key) ? Number(key) : POSITION_MAX;
    return [[Math.min(position, POSITION_MAX), value]];
  });
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function without(values: readonly unknown[], gone: readonly unknown[]): unknown[] {
  return [...new Set(values)].filter((value) => !gone.includes(value));
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
