/**
 * Blocks that compaction should know and does not: those that were in the index before it was turned on. The leader looks
 * for them shard by shard while it plans, and a plan queues what it finds. On any thread, inside a read transaction.
 */

import { encodeUlid } from "../../base/index.ts";
import {
  type IndexDatabase,
  KeyBuffer,
  keyU32,
  SHARD_RECORD,
  SHARD_RECORD_BYTES,
} from "../../db/index.ts";
import { type BlockRef, EntryReader } from "../../protocol/index.ts";
import type { CompactionPolicy } from "./policy.ts";
import { placedIds } from "./placed.ts";
import { tenantName } from "./rows.ts";

/** Where a search goes on: the key of a partition's row and a shard ordinal in it, then a block id. */
export interface StrayCursor {
  readonly partition: Uint8Array;
  readonly shardPosition: number;
  readonly block: Uint8Array;
}

export interface StraySearch {
  readonly found: readonly BlockRef[];
  /** null: everything has been seen. */
  readonly next: StrayCursor | null;
}

/** Blocks looked at, and found, in one step. */
const LOOK_MAX = 2_000;
const FOUND_MAX = 128;

/** One step of a search. `cursor` null: from the beginning. */
export function findStrays(
  db: IndexDatabase,
  policy: CompactionPolicy,
  cursor: StrayCursor | null,
): StraySearch {
  const found: BlockRef[] = [];
  let looked = 0;
  let at: StrayCursor = cursor ?? {
    partition: new Uint8Array(1),
    shardPosition: 0,
    block: NOTHING,
  };
  for (;;) {
    const shard = readShard(db, at);
    if (shard === null) return { found, next: null };
    const ids = readIds(db, shard.ordinal, at.block, LOOK_MAX - looked);
    looked += ids.length;
    const hasQueued = ids.some(({ level }) => level < policy.levels.length);
    const placed = hasQueued ? placedIds(db, shard, policy.levels.length) : NO_IDS;
    for (const { id, level } of ids) {
      if (level >= policy.levels.length) continue;
      const { tenant, shard: number } = shard;
      const text = encodeUlid(id, 0);
      if (placed.has(text)) continue;
      found.push({ tenant: tenantName(db, tenant), shard: number, id: text, dueAtMs: 0 });
    }
    const last = ids.at(-1);
    const isShardOver = last === undefined || looked < LOOK_MAX;
    at = isShardOver
      ? { partition: shard.partition, shardPosition: shard.position + 1, block: NOTHING }
      : { partition: shard.partition, shardPosition: shard.position, block: following(last.id) };
    if (looked >= LOOK_MAX || found.length >= FOUND_MAX) return { found, next: at };
  }
}

const NOTHING = new Uint8Array(0);
const NO_IDS: ReadonlySet<string> = new Set();
const PARTITIONS_END = new Uint8Array(17).fill(0xff);

interface ShardPlace {
  readonly partition: Uint8Array;
  readonly position: number;
  readonly tenant: number;
  readonly shard: number;
  readonly ordinal: number;
}

/** The shard a cursor stands at, or the first one of a later partition. */
function readShard(db: IndexDatabase, cursor: StrayCursor): ShardPlace | null {
  let result: ShardPlace | null = null;
  let position = cursor.shardPosition;
  db.scan("partitions", cursor.partition, PARTITIONS_END, (key, length) => {
    const at = position * SHARD_RECORD_BYTES;
    position = 0;
    if (at >= length) return true;
    result = {
      partition: new Uint8Array(key),
      position: at / SHARD_RECORD_BYTES,
      tenant: keyU32(key, 0),
      shard: db.u32[(at >>> 2) + SHARD_RECORD.shard32] as number,
      ordinal: db.u32[(at >>> 2) + SHARD_RECORD.ordinal32] as number,
    };
    return false;
  });
  return result;
}

function readIds(
  db: IndexDatabase,
  ordinal: number,
  from: Uint8Array,
  countMax: number,
): { id: Uint8Array; level: number }[] {
  const start = new Uint8Array(4 + from.length);
  start.set(new KeyBuffer(4).u32(0, ordinal).bytes);
  start.set(from, 4);
  const end = new KeyBuffer(4).u32(0, ordinal + 1).bytes;
  const reader = new EntryReader(db);
  const ids: { id: Uint8Array; level: number }[] = [];
  db.scan("blocks", start, end, (key, length) => {
    reader.reset(0, length);
    ids.push({ id: new Uint8Array(key.subarray(4)), level: reader.compactionLevel });
    return ids.length < countMax;
  });
  return ids;
}

/** The smallest id after `id` that is no prefix of it. */
function following(id: Uint8Array): Uint8Array {
  const next = new Uint8Array(id.length + 1);
  next.set(id);
  return next;
}
