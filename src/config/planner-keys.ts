/**
 * The planner of the reference has no flags, only keys directly below `metastore:` (spec raft-and-cluster, 13.1), in the
 * spelling that its YAML library makes of field names:
 *
 * ```yaml
 * metastore:
 *   levels:                        # replaces the whole list
 *     - {maxblocks: 20, maxage: 36s}
 *   cleanupbatchsize: 2
 *   cleanupdelay: 15m
 *   cleanupjobminlevel: 0
 *   cleanupjobmaxlevel: 1
 * ```
 *
 * Durations are text with a unit, or nanoseconds as a number. Bounds are those of the compaction policy.
 */
import { parseDuration } from "../base/index.ts";
import { LIMITS, POLICY_LIMITS } from "../protocol/limits.ts";
import type { Setting, SettingValue } from "./types.ts";

export interface PlannerLevel {
  /** Blocks of a full job. */
  readonly maxBlocks: number;
  /** 0: age makes no job. */
  readonly maxAgeMs: number;
}

/** What a file says of the planner; what it leaves out is not there. */
export interface PlannerKeys {
  readonly levels?: readonly PlannerLevel[];
  readonly cleanupBatchSize?: number;
  readonly cleanupDelayMs?: number;
  readonly cleanupMinLevel?: number;
  readonly cleanupMaxLevel?: number;
}

const { levelsMax: LEVELS_MAX, durationMaxMs: DURATION_MAX_MS } = POLICY_LIMITS;
const NS_PER_MS = 1_000_000;

export const PLANNER_SETTINGS = [
  planner("levels", "Levels of the compaction planner, a list of maxblocks and maxage"),
  planner("cleanupbatchsize", "Tombstones that a compaction job carries"),
  planner("cleanupdelay", "Age from which tombstones are handed to workers"),
  planner("cleanupjobminlevel", "Lowest level whose jobs carry tombstones"),
  planner("cleanupjobmaxlevel", "Highest level whose jobs carry tombstones"),
] as const satisfies readonly Setting[];

function planner<Key extends string>(
  key: Key,
  help: string,
): Setting & { readonly name: `metastore.${Key}` } {
  return {
    name: `metastore.${key}`,
    kind: "tree",
    default: null,
    yaml: `metastore.${key}`,
    help: `${help}. Counts until a policy is set`,
    isAdvanced: true,
  };
}

export type PlannerSettingName = (typeof PLANNER_SETTINGS)[number]["name"];

const READERS: Readonly<Record<PlannerSettingName, (value: unknown) => PlannerKeys>> = {
  "metastore.levels": (value) => ({ levels: readLevels(value) }),
  "metastore.cleanupbatchsize": (value) => ({
    cleanupBatchSize: readCount(value, 0, POLICY_LIMITS.cleanupBatchMax),
  }),
  "metastore.cleanupdelay": (value) => ({ cleanupDelayMs: readDuration(value) }),
  "metastore.cleanupjobminlevel": (value) => ({ cleanupMinLevel: readCount(value, 0, LEVELS_MAX) }),
  "metastore.cleanupjobmaxlevel": (value) => ({ cleanupMaxLevel: readCount(value, 0, LEVELS_MAX) }),
};

/** Why the value of a key, as JSON text, cannot be used; null: it can, or the key is not there. */
export function plannerProblem(name: PlannerSettingName, json: SettingValue): string | null {
  try {
    readKey(name, json);
    return null;
  } catch (error) {
    return `${name}${error instanceof BadValue ? error.message : `: ${String(error)}`}`;
  }
}

/** All keys of a configuration whose rules hold. */
export function plannerKeys(values: ReadonlyMap<string, SettingValue>): PlannerKeys {
  const keys = PLANNER_SETTINGS.map(({ name }) => readKey(name, values.get(name) ?? null));
  return Object.assign({}, ...keys) as PlannerKeys;
}

function readKey(name: PlannerSettingName, json: SettingValue): PlannerKeys {
  return json === null ? {} : READERS[name](JSON.parse(String(json)));
}

/** The message goes behind the name of the key. */
class BadValue extends Error {}

function readLevels(value: unknown): PlannerLevel[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > LEVELS_MAX)
    throw new BadValue(`: expected a list of 1 to ${LEVELS_MAX} levels`);
  return value.map((level: unknown, i) => {
    try {
      return readLevel(level);
    } catch (error) {
      throw error instanceof BadValue ? new BadValue(`[${i}]${error.message}`) : error;
    }
  });
}

function readLevel(level: unknown): PlannerLevel {
  if (typeof level !== "object" || level === null || Array.isArray(level))
    throw new BadValue(": expected a map with maxblocks and maxage");
  const { maxblocks, maxage = 0, ...others } = level as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new BadValue(`.${unknown}: unknown key`);
  return {
    maxBlocks: within(".maxblocks", () => readCount(maxblocks, 1, LIMITS.sourcesPerJobMax)),
    maxAgeMs: within(".maxage", () => readDuration(maxage)),
  };
}

function within<T>(key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof BadValue ? new BadValue(`${key}${error.message}`) : error;
  }
}

function readCount(value: unknown, min: number, max: number): number {
  if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value);
  throw new BadValue(`: ${shown(value)} is not a whole number from ${min} to ${max}`);
}

function readDuration(value: unknown): number {
  const durationMs = typeof value === "number" ? value / NS_PER_MS : durationOf(value);
  if (durationMs >= 0 && durationMs <= DURATION_MAX_MS) return durationMs;
  throw new BadValue(
    `: ${shown(value)} is not a duration up to 366 days. Write for example 36s, or nanoseconds`,
  );
}

function durationOf(value: unknown): number {
  const parsed = parseDuration(typeof value === "string" ? value : "");
  return parsed.ok ? parsed.value : Number.NaN;
}

function shown(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 64);
}
