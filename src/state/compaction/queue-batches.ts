/** Flushed batches in the database: one row each, and one row for their place in the order of flushing. */

import { type IndexDatabase, keyU32 } from "../../db/index.ts";
import type { BlockTest } from "./block-test.ts";
import { rowsWithout } from "./queue-keys.ts";
import { BATCH_HEAD, type KeyPlace, QUEUE_ROW, queueBatchKey, queueOrderKey } from "./rows.ts";

export interface BatchHead {
  /** When the batch got its first block, Unix ms. */
  readonly createdAtMs: number;
  /** Its place in the order of flushing. */
  readonly flush: number;
}

/** A batch with other rows than the stored ones. */
export interface ForeignBatch extends BatchHead {
  readonly seq: number;
  readonly rows: Uint8Array;
}

/** A batch as it is stored. Its rows are borrowed until the next read. */
export interface StoredBatch {
  readonly seq: number;
  readonly head: BatchHead;
  readonly count: number;
  readonly rows: Uint8Array;
  /** The rows that stay, owned; null: all of them. */
  without(test: BlockTest): Uint8Array | null;
}

const placeValue = new Uint32Array(3);
const placeBytes = new Uint8Array(placeValue.buffer);

export class QueueBatches {
  readonly #db: IndexDatabase;

  constructor(db: IndexDatabase) {
    this.#db = db;
  }

  /** Stores a batch and its place; the rows are copied. */
  put(key: KeyPlace, seq: number, head: BatchHead, rows: Uint8Array): void {
    const value = new Uint8Array(BATCH_HEAD.bytes + rows.length);
    const f64 = new Float64Array(value.buffer, 0, 2);
    f64[BATCH_HEAD.createdAtMs64] = head.createdAtMs;
    f64[BATCH_HEAD.flush64] = head.flush;
    value.set(rows, BATCH_HEAD.bytes);
    this.#db.put("compactionBatches", queueBatchKey(key, seq), value);
    placeValue[0] = key.tenant;
    placeValue[1] = key.shard;
    placeValue[2] = seq;
    this.#db.put("compactionOrder", queueOrderKey(key.level, head.flush), placeBytes);
  }

  remove(key: KeyPlace, seq: number, flush: number): void {
    this.#db.remove("compactionBatches", queueBatchKey(key, seq));
    this.#db.remove("compactionOrder", queueOrderKey(key.level, flush));
  }

  /** Visits the batches of a key from number `from` on, oldest first, until `visit` returns false. */
  each(key: KeyPlace, from: number, visit: (batch: StoredBatch) => boolean): void {
    const start = queueBatchKey(key, from).slice();
    const end = queueBatchKey(key, 0xffff_ffff).slice();
    this.#db.scan("compactionBatches", start, end, (rowKey, length) => {
      const { u8, f64 } = this.#db;
      const rows = u8.subarray(BATCH_HEAD.bytes, length);
      return visit({
        seq: keyU32(rowKey, 12),
        head: {
          createdAtMs: f64[BATCH_HEAD.createdAtMs64] as number,
          flush: f64[BATCH_HEAD.flush64] as number,
        },
        count: rows.length / QUEUE_ROW.bytes,
        rows,
        without: (test) => rowsWithout(rows, test),
      });
    });
  }
}
