/** Which blocks queue, jobs and parked blocks hold. For rare questions; nothing on a usual path asks them. */

import { encodeUlid, ULID_BYTES } from "../../base/index.ts";
import { type IndexDatabase, keyU32 } from "../../db/index.ts";
import { readJobPlan } from "./job-rows.ts";
import { jobNamesOf } from "./job-store.ts";
import { QueueBatches } from "./queue-batches.ts";
import { KEY_HEAD, QUEUE_ROW, queueKey } from "./rows.ts";

/**
 * Ids of all blocks of an owner's shard that stand somewhere. Inside a transaction; what the queue holds in memory only
 * is not seen. Cost: everything that waits for the shard is read, and all parked blocks.
 */
export function placedIds(
  db: IndexDatabase,
  place: { readonly tenant: number; readonly shard: number },
  levels: number,
): Set<string> {
  const ids = new Set<string>();
  const batches = new QueueBatches(db);
  for (let level = 0; level < levels; level++) {
    const key = { ...place, level };
    const length = db.get("compactionKeys", queueKey(key));
    for (let at = KEY_HEAD.bytes; at < length; at += QUEUE_ROW.bytes) {
      ids.add(encodeUlid(db.u8, at));
    }
    batches.each(key, 0, ({ rows }) => {
      for (let at = 0; at < rows.length; at += QUEUE_ROW.bytes) ids.add(encodeUlid(rows, at));
      return true;
    });
  }
  for (const name of jobNamesOf(db, place.tenant, place.shard)) {
    for (const id of readJobPlan(db, name)?.sourceBlocks ?? []) ids.add(id);
  }
  db.scan("compactionParked", new Uint8Array(1), new Uint8Array(9).fill(0xff), (key) => {
    const isHere = keyU32(key, 8) === place.tenant && keyU32(key, 12) === place.shard;
    if (isHere && key.length === 16 + ULID_BYTES) ids.add(encodeUlid(key, 16));
    return true;
  });
  return ids;
}
