/** What the model of compaction and its runs agree about: policies, blocks and their places. */

import { tryDecodeUlid } from "../../../src/base/index.ts";
import { BlockReader, HEAD } from "../../../src/protocol/index.ts";
import { type BlockSpec, wireBlock } from "../support.ts";

export const LEASE_MS = 15_000;

const COMMON = {
  cleanupDelayMs: 60_000,
  leaseMs: LEASE_MS,
  failuresMax: 3,
  requeueDelayMs: 60_000,
  exhaustedDelayMs: 120_000,
};

/** Small numbers, so that everything happens often. */
export const SMALL_POLICY = {
  ...COMMON,
  levels: [
    { maxBlocks: 4, maxAgeMs: 36_000 },
    { maxBlocks: 3, maxAgeMs: 120_000 },
    { maxBlocks: 3, maxAgeMs: 600_000 },
  ],
  jobsMax: 40,
};

/** Batches as large as usual. */
export const USUAL_POLICY = {
  ...COMMON,
  levels: [
    { maxBlocks: 20, maxAgeMs: 36_000 },
    { maxBlocks: 10, maxAgeMs: 120_000 },
    { maxBlocks: 10, maxAgeMs: 600_000 },
  ],
  jobsMax: 60,
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

interface Template {
  readonly bytes: Uint8Array;
  readonly headOffset: number;
}

const templates = new Map<string, Template>();
const reader = new BlockReader();

/** A wire Block without datasets, made by changing another one: making thousands of them is all a run would do. */
export function plainBlock({ id, tenant = "", shard = 1, level = 0 }: BlockSpec): Uint8Array {
  let template = templates.get(tenant);
  if (template === undefined) {
    const bytes = wireBlock({ id, tenant, shard: 1, level: 0 });
    reader.reset(bytes, 0, bytes.length);
    template = { bytes, headOffset: reader.headOffset };
    templates.set(tenant, template);
  }
  const { headOffset } = template;
  const bytes = template.bytes.slice();
  tryDecodeUlid(id, bytes, headOffset + HEAD.id);
  const words = new Uint32Array(bytes.buffer);
  words[(headOffset + HEAD.shard) >>> 2] = shard;
  words[(headOffset + HEAD.compactionLevel) >>> 2] = level;
  return bytes;
}
