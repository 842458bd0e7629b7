/**
 * How the block queue stands in the database, for the writer and for the planner's thread. Keys are big-endian, values
 * little-endian and 8-aligned. Pictures: DESIGN.md.
 */

import { ULID_BYTES } from "../../base/index.ts";
import { type IndexDatabase, KeyBuffer } from "../../db/index.ts";

/** A queued block: ULID, f64 log index, f64 append time ms. */
export const QUEUE_ROW = { bytes: 32, logIndex64: 2, appendedAtMs64: 3 } as const;

/** Value of `compactionKeys`, before the rows of the staged batch. */
export const KEY_HEAD = {
  bytes: 32,
  touch64: 0,
  createdAtMs64: 1,
  stagedSeq32: 4,
  blocks32: 5,
  batches32: 6,
} as const;

/** Value of `compactionBatches`, before the rows. */
export const BATCH_HEAD = { bytes: 16, createdAtMs64: 0, flush64: 1 } as const;

/** The compaction key (spec, section 1). */
export interface KeyPlace {
  /** Tenant id; 0: segments of many tenants. */
  readonly tenant: number;
  readonly shard: number;
  readonly level: number;
}

export interface QueuedBlock {
  readonly id: string;
  readonly logIndex: number;
  readonly appendedAtMs: number;
}

const keyKey = new KeyBuffer(12);
const batchKey = new KeyBuffer(16);
const orderKey = new KeyBuffer(12);
const ageKey = new KeyBuffer(20);

/** Borrowed key of `compactionKeys`. */
export function queueKey({ tenant, shard, level }: KeyPlace): Uint8Array {
  return keyKey.u32(0, tenant).u32(4, shard).u32(8, level).bytes;
}

/** Borrowed key of `compactionBatches`: batches of a key ascend in the order they were begun. */
export function queueBatchKey({ tenant, shard, level }: KeyPlace, seq: number): Uint8Array {
  return batchKey.u32(0, tenant).u32(4, shard).u32(8, level).u32(12, seq).bytes;
}

/** Borrowed key of `compactionOrder`: the batches of a level in the order they were flushed. */
export function queueOrderKey(level: number, flush: number): Uint8Array {
  return orderKey.u32(0, level).u64(4, flush).bytes;
}

/** Borrowed key of `compactionAges`: staged batches of a level by age. */
export function queueAgeKey({ tenant, shard, level }: KeyPlace, createdAtMs: number): Uint8Array {
  return ageKey.u32(0, level).f64(4, createdAtMs).u32(12, tenant).u32(16, shard).bytes;
}

/** Name of a tenant id; "" for 0. Inside a transaction. */
export function tenantName(db: IndexDatabase, tenant: number): string {
  if (tenant === 0) return "";
  const length = db.get("tenants", new KeyBuffer(4).u32(0, tenant).bytes);
  return length < 0 ? "" : Buffer.from(db.u8.subarray(0, length)).toString("utf8");
}

/** Whether the ids at two places are the same. */
export function isSameId(a: Uint8Array, atA: number, b: Uint8Array, atB: number): boolean {
  for (let i = ULID_BYTES - 1; i >= 0; i--) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}
