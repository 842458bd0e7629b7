/** Random beginnings of a world: periods, names, blocks. */
import type { Prng } from "../../../src/base/index.ts";
import { HOUR_MS, PARTITION_MS, type Periods } from "./rules.ts";

/** Names that begin alike, such as sort elsewhere as bytes, one that is no part of a key, and the anonymous directory's. */
const ODD_NAMES = ["-", "anonymous", "a/b", "\u{10000}", "\uffee"];
export const CASES_PER_WORLD = 96;
const PERIODS_HOURS = [0, 1, 5, 6, 12, 13, 24, 48];
const SHARDS = 3;
const PARTITIONS = 14;

export interface Settings extends Periods {
  readonly graceMs: number;
  readonly shardsPerPassMax: number;
}

/** A tenant each: what is drawn for it, and what becomes of it, is one case. */
export function drawNames(): string[] {
  const plain = CASES_PER_WORLD - ODD_NAMES.length;
  return [...Array.from({ length: plain }, (_, i) => `t${i}`), ...ODD_NAMES];
}

export function drawSettings(random: Prng, names: readonly string[]): Settings {
  const overridesMs = new Map<string, number>();
  for (const name of ["", ...names]) {
    if (random.nextInt(3) === 0) overridesMs.set(name, drawPeriodMs(random));
  }
  return {
    defaultMs: drawPeriodMs(random),
    overridesMs,
    graceMs: random.pick([0, 1, HOUR_MS, PARTITION_MS]),
    shardsPerPassMax: random.pick([5, 32, 64, 64, 500, 500]),
  };
}

export function drawPeriodMs(random: Prng): number {
  return random.pick(PERIODS_HOURS) * HOUR_MS;
}

/** Two tenants of three have objects in the bucket alone: entries of the index are what costs. */
export function drawBlocksCount(random: Prng): number {
  return random.pick([0, 0, 0, 0, 0, 0, 1, 1, 2]);
}

export interface Place {
  readonly startMs: number;
  readonly createdAtMs: number;
  readonly newestMs: number;
  readonly shard: number;
}

export function drawPlace(random: Prng, nowMs: number): Place {
  const ago = random.nextInt(PARTITIONS) * PARTITION_MS;
  const startMs = Math.floor((nowMs - ago) / PARTITION_MS) * PARTITION_MS;
  // Around the creation, sometimes far off in either direction, sometimes exactly on an edge.
  const offMs = random.pick([0, 1, HOUR_MS, PARTITION_MS, -48 * HOUR_MS, 30 * HOUR_MS]);
  const createdAtMs = startMs + random.nextInt(PARTITION_MS);
  return { startMs, createdAtMs, newestMs: startMs + offMs, shard: 1 + random.nextInt(SHARDS) };
}
