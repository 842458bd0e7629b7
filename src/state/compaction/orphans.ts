/** Results that came too late: written to the object store by a worker whose job is gone, and in no index. */

import { tryDecodeUlid, ULID_BYTES, ulidTimeMs } from "../../base/index.ts";
import {
  type IndexDatabase,
  KeyBuffer,
  PARTITION_MS,
  SHARD_RECORD,
  SHARD_RECORD_BYTES,
} from "../../db/index.ts";
import { BlockReader, type BlockRef, type CompactedBlocks } from "../../protocol/index.ts";
import { PARTITION_SEC } from "../limits.ts";
import { tenantIdOf } from "../tombstones/read.ts";
import { readJobState } from "./job-rows.ts";

/** Kept per report: a list for operators, not an inventory. */
const ORPHANS_PER_REPORT_MAX = 64;

const block = new BlockReader();

/**
 * The results of a refused report that nobody else will put into the index. None while the job exists: its other
 * owner makes the same blocks under the same ids. Inside a read transaction; the result has passed the door.
 */
export function findOrphans(
  db: IndexDatabase,
  job: string,
  { newBlocks }: CompactedBlocks,
): BlockRef[] {
  if (readJobState(db, job) !== null) return [];
  const orphans: BlockRef[] = [];
  for (const bytes of newBlocks.slice(0, ORPHANS_PER_REPORT_MAX)) {
    block.reset(bytes, 0, bytes.length);
    const { id, shard } = block;
    const tenant = block.string(block.tenant);
    if (!isIndexed(db, tenant, shard, id)) orphans.push({ tenant, shard, id, dueAtMs: 0 });
  }
  return orphans;
}

/** Whether the index holds a block. Inside a transaction, on any thread. */
export function isIndexed(db: IndexDatabase, tenant: string, shard: number, id: string): boolean {
  const bytes = new Uint8Array(ULID_BYTES);
  const owner = tenantIdOf(db, tenant);
  if (owner < 0 || !tryDecodeUlid(id, bytes, 0)) return false;
  const timeMs = ulidTimeMs(bytes, 0);
  const startMs = timeMs - (timeMs % PARTITION_MS);
  const key = new KeyBuffer(16).u32(0, owner).u64(4, startMs).u32(12, PARTITION_SEC).bytes;
  const length = db.get("partitions", key);
  for (let at = 0; at < length; at += SHARD_RECORD_BYTES) {
    if (db.u32[(at >>> 2) + SHARD_RECORD.shard32] !== shard) continue;
    const ordinal = db.u32[(at >>> 2) + SHARD_RECORD.ordinal32] as number;
    const blockKey = new KeyBuffer(4 + ULID_BYTES).u32(0, ordinal).copy(4, bytes, 0, ULID_BYTES);
    return db.has("blocks", blockKey.bytes);
  }
  return false;
}
