/** What operators and tests want to see of queue and jobs. On any thread, inside a read transaction. */

import { encodeUlid } from "../../base/index.ts";
import { type IndexDatabase, keyF64, keyU32 } from "../../db/index.ts";
import type { JobState } from "../../protocol/index.ts";
import { decodeJobState, withLease } from "./job-rows.ts";
import { LAST_NAME } from "./job-store.ts";
import {
  BATCH_HEAD,
  KEY_HEAD,
  type KeyPlace,
  QUEUE_ROW,
  type QueuedBlock,
  queueAgeKey,
  queueBatchKey,
  queueOrderKey,
  tenantName,
} from "./rows.ts";

/** A batch with its blocks in order. */
export interface ListedBatch {
  readonly tenant: string;
  readonly shard: number;
  readonly level: number;
  readonly createdAtMs: number;
  readonly blocks: readonly QueuedBlock[];
}

/** What waits under one key. */
export interface ListedKey {
  readonly tenant: string;
  readonly shard: number;
  readonly level: number;
  readonly blocks: number;
  readonly batches: number;
}

/** The flushed batches of a level in the order of flushing. */
export function listFlushed(db: IndexDatabase, level: number, countMax: number): ListedBatch[] {
  const places: { key: KeyPlace; seq: number }[] = [];
  const end = queueOrderKey(level + 1, 0).slice();
  db.scan("compactionOrder", queueOrderKey(level, 0).slice(), end, () => {
    const [tenant, shard, seq] = [db.u32[0] as number, db.u32[1] as number, db.u32[2] as number];
    places.push({ key: { tenant, shard, level }, seq });
    return places.length < countMax;
  });
  return places.map(({ key, seq }) => {
    const length = db.get("compactionBatches", queueBatchKey(key, seq));
    return named(db, key, readBatch(db, BATCH_HEAD, length));
  });
}

/** The staged batches with blocks, of all levels, by tenant id, shard and level. */
export function listStaged(db: IndexDatabase, countMax: number): ListedBatch[] {
  const found: { key: KeyPlace; batch: ReturnType<typeof readBatch> }[] = [];
  eachKey(db, (key, length) => {
    if (length > KEY_HEAD.bytes) found.push({ key, batch: readBatch(db, KEY_HEAD, length) });
    return found.length < countMax;
  });
  return found.map(({ key, batch }) => named(db, key, batch));
}

/** Every key with blocks, by tenant id, shard and level. */
export function listKeys(db: IndexDatabase, countMax: number): ListedKey[] {
  const found: { key: KeyPlace; blocks: number; batches: number }[] = [];
  eachKey(db, (key) => {
    const blocks = db.u32[KEY_HEAD.blocks32] as number;
    found.push({ key, blocks, batches: db.u32[KEY_HEAD.batches32] as number });
    return found.length < countMax;
  });
  return found.map(({ key, blocks, batches }) => {
    const { shard, level } = key;
    return { tenant: tenantName(db, key.tenant), shard, level, blocks, batches };
  });
}

/** When the oldest batch of a level got its first block, Unix ms, as far as it is stored; null: there is none. */
export function oldestBatchAtMs(db: IndexDatabase, level: number): number | null {
  let stagedAtMs = Number.POSITIVE_INFINITY;
  const start = queueAgeKey({ tenant: 0, shard: 0, level }, 0).slice();
  const end = queueAgeKey({ tenant: 0, shard: 0, level: level + 1 }, 0).slice();
  db.scan("compactionAges", start, end, (key) => {
    stagedAtMs = keyF64(key, 4);
    return false;
  });
  const flushedAtMs = listFlushed(db, level, 1)[0]?.createdAtMs ?? Number.POSITIVE_INFINITY;
  const oldestMs = Math.min(stagedAtMs, flushedAtMs);
  return oldestMs === Number.POSITIVE_INFINITY ? null : oldestMs;
}

/** Jobs by name. */
export function listJobs(db: IndexDatabase, countMax: number): JobState[] {
  const jobs: JobState[] = [];
  db.scan("compactionJobs", new Uint8Array(1), LAST_NAME, (key, length) => {
    jobs.push(decodeJobState(db, Buffer.from(key).toString("utf8"), length));
    return jobs.length < countMax;
  });
  return jobs.map((job) => withLease(db, job));
}

function eachKey(db: IndexDatabase, visit: (key: KeyPlace, length: number) => boolean): void {
  const end = new Uint8Array(13).fill(0xff);
  db.scan("compactionKeys", new Uint8Array(1), end, (key, length) =>
    visit({ tenant: keyU32(key, 0), shard: keyU32(key, 4), level: keyU32(key, 8) }, length),
  );
}

function readBatch(
  db: IndexDatabase,
  head: { readonly bytes: number; readonly createdAtMs64: number },
  length: number,
): { createdAtMs: number; blocks: QueuedBlock[] } {
  const { u8, f64 } = db;
  const blocks: QueuedBlock[] = [];
  for (let at = head.bytes; at < length; at += QUEUE_ROW.bytes) {
    blocks.push({
      id: encodeUlid(u8, at),
      logIndex: f64[(at >>> 3) + QUEUE_ROW.logIndex64] as number,
      appendedAtMs: f64[(at >>> 3) + QUEUE_ROW.appendedAtMs64] as number,
    });
  }
  return { createdAtMs: f64[head.createdAtMs64] as number, blocks };
}

function named(
  db: IndexDatabase,
  { tenant, shard, level }: KeyPlace,
  batch: { createdAtMs: number; blocks: QueuedBlock[] },
): ListedBatch {
  return { tenant: tenantName(db, tenant), shard, level, ...batch };
}
