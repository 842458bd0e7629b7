/** Whether queue, jobs or parked blocks hold a block. For the rare question; nothing on a usual path asks it. */

import { encodeUlid, tryDecodeUlid, ULID_BYTES } from "../../base/index.ts";
import { type IndexDatabase, keyU32 } from "../../db/index.ts";
import { readJobPlan } from "./job-rows.ts";
import { jobNamesOf } from "./job-store.ts";
import { isOneOf } from "./block-test.ts";
import { QueueBatches } from "./queue-batches.ts";
import { rowsWithout } from "./queue-keys.ts";
import { KEY_HEAD, queueKey } from "./rows.ts";

export interface PlacedQuestion {
  /** Tenant id of the owner. */
  readonly tenant: number;
  readonly shard: number;
  readonly id: Uint8Array;
  /** Levels that have queues. */
  readonly levels: number;
}

/**
 * Inside a transaction; `flush` stores what of the queue is only in memory.
 * Cost: everything that waits for the owner's shard is read.
 */
export function isPlaced(db: IndexDatabase, question: PlacedQuestion, flush: () => void): boolean {
  const { tenant, shard, id, levels } = question;
  flush();
  for (let level = 0; level < levels; level++) {
    if (isQueued(db, { tenant, shard, level }, id)) return true;
  }
  const text = encodeUlid(id, 0);
  for (const name of jobNamesOf(db, tenant, shard)) {
    if (readJobPlan(db, name)?.sourceBlocks.includes(text) === true) return true;
  }
  return isParked(db, question);
}

function isQueued(
  db: IndexDatabase,
  place: { readonly tenant: number; readonly shard: number; readonly level: number },
  id: Uint8Array,
): boolean {
  const test = isOneOf([id]);
  const length = db.get("compactionKeys", queueKey(place));
  if (length >= 0 && rowsWithout(db.u8.subarray(KEY_HEAD.bytes, length), test) !== null)
    return true;
  let found = false;
  new QueueBatches(db).each(place, 0, (batch) => {
    found = batch.without(test) !== null;
    return !found;
  });
  return found;
}

function isParked(db: IndexDatabase, { tenant, shard, id }: PlacedQuestion): boolean {
  const text = encodeUlid(id, 0);
  const other = new Uint8Array(ULID_BYTES);
  if (!tryDecodeUlid(text, other, 0)) return false;
  const test = isOneOf([other]);
  let found = false;
  db.scan("compactionParked", new Uint8Array(1), new Uint8Array(9).fill(0xff), (key) => {
    found = keyU32(key, 8) === tenant && keyU32(key, 12) === shard && test(key, 16);
    return !found;
  });
  return found;
}
