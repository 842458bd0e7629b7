/** What the model of compaction and its runs agree about. */

import type { BlockSpec } from "../support.ts";

export const LEASE_MS = 15_000;

/** Small numbers, so that everything happens often. */
export const POLICY = {
  levels: [
    { maxBlocks: 4, maxAgeMs: 36_000 },
    { maxBlocks: 3, maxAgeMs: 120_000 },
    { maxBlocks: 3, maxAgeMs: 600_000 },
  ],
  cleanupDelayMs: 60_000,
  leaseMs: LEASE_MS,
  jobsMax: 40,
  failuresMax: 3,
  requeueDelayMs: 60_000,
  exhaustedDelayMs: 120_000,
};

/** A block by its place. */
export function placeOf({ tenant = "", shard = 1, id }: BlockSpec): string {
  return `${tenant}/${shard}/${id}`;
}

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** When a ULID was made, Unix ms. */
export function timeOf(id: string): number {
  let timeMs = 0;
  for (const character of id.slice(0, 10)) timeMs = timeMs * 32 + ALPHABET.indexOf(character);
  return timeMs;
}
