/**
 * Blocks that left a job without a result: they are in the index but in no queue, and wait to be queued again. And
 * results that are in the object store but not in the index. Both for the writer and for the planner's thread.
 *
 * ```
 * compactionParked    f64 due at ms | T | u32 shard | ULID   ->  empty
 * compactionOrphans   u64 number                            ->  f64 found at ms | T | u32 shard | ULID
 * ```
 */

import { encodeUlid, tryDecodeUlid, ULID_BYTES } from "../../base/index.ts";
import { type IndexDatabase, KeyBuffer, keyF64, keyU32 } from "../../db/index.ts";
import type { BlockTest } from "./block-test.ts";
import type { CompactionMeta } from "./meta.ts";

export interface ParkedBlock {
  readonly dueAtMs: number;
  readonly tenant: number;
  readonly shard: number;
  readonly id: string;
}

export interface OrphanBlock {
  readonly foundAtMs: number;
  readonly tenant: number;
  readonly shard: number;
  readonly id: string;
}

/** Older ones make place: a list for operators, not a queue. */
export const ORPHANS_MAX = 10_000;

const PARKED_KEY_BYTES = 16 + ULID_BYTES;
const EMPTY = new Uint8Array(0);
const idBytes = new Uint8Array(ULID_BYTES);
const parkedKeyBuffer = new KeyBuffer(PARKED_KEY_BYTES);

/** Borrowed key of `compactionParked`; null: the id is no ULID. */
function parkedKey(block: ParkedBlock): Uint8Array | null {
  if (!tryDecodeUlid(block.id, idBytes, 0)) return null;
  return parkedKeyBuffer
    .f64(0, Math.max(0, block.dueAtMs))
    .u32(8, block.tenant)
    .u32(12, block.shard)
    .copy(16, idBytes, 0, ULID_BYTES).bytes;
}

/** Inside the write transaction. */
export function park(db: IndexDatabase, meta: CompactionMeta, block: ParkedBlock): void {
  const key = parkedKey(block);
  if (key === null || !db.putNew("compactionParked", key, EMPTY)) return;
  meta.parked++;
  meta.isDirty = true;
}

/** Inside the write transaction: false when it was not parked. */
export function unpark(db: IndexDatabase, meta: CompactionMeta, block: ParkedBlock): boolean {
  const key = parkedKey(block);
  if (key === null || !db.remove("compactionParked", key)) return false;
  meta.parked--;
  meta.isDirty = true;
  return true;
}

/** Inside the write transaction: those of an owner's shard that the test names stop waiting. Cost: a scan over all. */
export function unparkWhere(
  db: IndexDatabase,
  meta: CompactionMeta,
  place: { readonly tenant: number; readonly shard: number },
  test: BlockTest,
): void {
  if (meta.parked === 0) return;
  const gone: Uint8Array[] = [];
  db.scan("compactionParked", new Uint8Array(1), new Uint8Array(9).fill(0xff), (key) => {
    const isHere = keyU32(key, 8) === place.tenant && keyU32(key, 12) === place.shard;
    if (isHere && test(key, 16)) gone.push(new Uint8Array(key));
    return true;
  });
  for (const key of gone) db.remove("compactionParked", key);
  meta.parked -= gone.length;
  meta.isDirty = true;
}

/** Parked blocks that are due before `beforeMs`, the longest waiting first. Inside a transaction. */
export function listParked(db: IndexDatabase, beforeMs: number, countMax: number): ParkedBlock[] {
  const found: ParkedBlock[] = [];
  db.scan("compactionParked", new Uint8Array(1), new Uint8Array(9).fill(0xff), (key) => {
    const dueAtMs = keyF64(key, 0);
    if (found.length >= countMax || !(dueAtMs < beforeMs)) return false;
    found.push({
      dueAtMs,
      tenant: keyU32(key, 8),
      shard: keyU32(key, 12),
      id: encodeUlid(key, 16),
    });
    return true;
  });
  return found;
}

/** Inside the write transaction. */
export function addOrphan(db: IndexDatabase, meta: CompactionMeta, orphan: OrphanBlock): void {
  const value = new Uint8Array(16 + ULID_BYTES);
  if (!tryDecodeUlid(orphan.id, value, 16)) return;
  new Float64Array(value.buffer, 0, 1)[0] = orphan.foundAtMs;
  const u32 = new Uint32Array(value.buffer, 0, 4);
  u32[2] = orphan.tenant;
  u32[3] = orphan.shard;
  db.put("compactionOrphans", new KeyBuffer(8).u64(0, ++meta.orphanNumber).bytes, value);
  meta.orphans++;
  if (meta.orphans > ORPHANS_MAX) removeOldest(db, meta);
  meta.isDirty = true;
}

/** The first that is there: numbers have gaps where a tenant was deleted. */
function removeOldest(db: IndexDatabase, meta: CompactionMeta): void {
  let oldest: Uint8Array | null = null;
  db.scan("compactionOrphans", new Uint8Array(1), new Uint8Array(9).fill(0xff), (key) => {
    oldest = new Uint8Array(key);
    return false;
  });
  if (oldest !== null && db.remove("compactionOrphans", oldest)) meta.orphans--;
}

/** Takes all of one tenant off the list. Inside the write transaction; the list is bounded. */
export function removeOrphans(db: IndexDatabase, meta: CompactionMeta, tenant: number): void {
  if (meta.orphans === 0) return;
  const keys: Uint8Array[] = [];
  db.scan("compactionOrphans", new Uint8Array(1), new Uint8Array(9).fill(0xff), (key) => {
    if ((db.u32[2] as number) === tenant) keys.push(new Uint8Array(key));
    return true;
  });
  for (const key of keys) db.remove("compactionOrphans", key);
  meta.orphans -= keys.length;
  if (keys.length > 0) meta.isDirty = true;
}

/** Oldest first. Inside a transaction. */
export function listOrphans(db: IndexDatabase, countMax: number): OrphanBlock[] {
  const found: OrphanBlock[] = [];
  db.scan("compactionOrphans", new Uint8Array(1), new Uint8Array(9).fill(0xff), () => {
    if (found.length >= countMax) return false;
    found.push({
      foundAtMs: db.f64[0] as number,
      tenant: db.u32[2] as number,
      shard: db.u32[3] as number,
      id: encodeUlid(db.u8, 16),
    });
    return true;
  });
  return found;
}
