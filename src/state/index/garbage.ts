/**
 * What was deleted but not yet removed. Deleting a shard only takes its record away, which makes all its rows
 * unreachable at once; they are removed a bounded number per transaction, so that no delete stalls the writer.
 *
 * The order and pace of sweeping may differ between members: nobody can see swept or unswept rows, as ordinals and
 * dictionary ids are never used twice.
 */

import {
  GARBAGE_KIND,
  type IndexDatabase,
  KeyBuffer,
  keyU32,
  type TableName,
} from "../../db/index.ts";
import type { Counters } from "../counters.ts";

/** Tables whose keys begin with an ordinal, with a dictionary id. */
export const TABLES_OF_GARBAGE: Record<number, readonly TableName[]> = {
  [GARBAGE_KIND.ordinal]: ["blocks", "tails", "tailKeys", "postings", "directory"],
  [GARBAGE_KIND.dictionary]: ["strings", "stringIds", "keys", "keyIds", "pairs", "dictionaries"],
};

const EMPTY = new Uint8Array(0);
const rowKey = new KeyBuffer(8);
const startKey = new KeyBuffer(4);
const endKey = new KeyBuffer(4);
const FIRST = new Uint8Array(8);
const LAST = new Uint8Array(9).fill(0xff);

export class Garbage {
  readonly #db: IndexDatabase;
  readonly #counters: Counters;

  constructor(db: IndexDatabase, counters: Counters) {
    this.#db = db;
    this.#counters = counters;
  }

  add(kind: number, id: number): void {
    this.#db.put("garbage", rowKey.u32(0, kind).u32(4, id).bytes, EMPTY);
    this.#counters.garbage++;
  }

  /** Removes at most `rowsMax` rows and returns how many. Inside a write transaction. */
  sweep(rowsMax: number): number {
    let rows = 0;
    while (this.#counters.garbage > 0 && rows < rowsMax) rows += this.#sweepFirst(rowsMax - rows);
    return rows;
  }

  #sweepFirst(rowsMax: number): number {
    let kind = 0;
    let id = 0;
    this.#db.scan("garbage", FIRST, LAST, (key) => {
      kind = keyU32(key, 0);
      id = keyU32(key, 4);
      return false;
    });
    // An item counts as a row, so that thousands of empty ones are spread out as well.
    let rows = 1;
    for (const table of TABLES_OF_GARBAGE[kind] ?? []) {
      rows += this.#sweepTable(table, id, rowsMax - rows);
      if (rows >= rowsMax) return rows;
    }
    this.#db.remove("garbage", rowKey.u32(0, kind).u32(4, id).bytes);
    this.#counters.garbage--;
    return rows;
  }

  #sweepTable(table: TableName, id: number, rowsMax: number): number {
    if (rowsMax <= 0) return 0;
    const keys: Uint8Array[] = [];
    this.#db.scan(table, startKey.u32(0, id).bytes, endKey.u32(0, id + 1).bytes, (key) => {
      // Copied: a key of a scan is borrowed, and Buffer.slice would not copy.
      keys.push(new Uint8Array(key));
      return keys.length < rowsMax;
    });
    for (const key of keys) this.#db.remove(table, key);
    return keys.length;
  }
}
