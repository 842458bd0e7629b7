/**
 * A digest of what the state says, by table: equal on every member at the same log index.
 *
 * Not in it is what may differ: rows that wait to be swept, how many of them there are, and the row that the database
 * needs for itself. The rest of the rows is a function of the log (DESIGN.md of src/state, "Determinism").
 */

import { crc32c } from "@node-rs/crc32";
import {
  GARBAGE_KIND,
  type IndexDatabase,
  keyU32,
  META_KEYS,
  SCRATCH_KEY,
  TABLES,
  type TableName,
} from "../../db/index.ts";
import type { TableDigests } from "../../protocol/index.ts";
import { GARBAGE_COUNTER_POSITION } from "../counters.ts";
import { TABLES_OF_GARBAGE } from "../index/garbage.ts";

const FIRST = new Uint8Array(1);
const LAST = new Uint8Array(1_025).fill(0xff);
const ROW_HEAD_BYTES = 8;
/** Rows are gathered to this size: a checksum per row would cost as much as reading it. */
const BUFFER_BYTES = 256 * 1024;

/**
 * Inside one read transaction. `onProgress` is called every now and then; what it throws ends it.
 * Cost: a scan of everything, about 3 s per GiB on one core.
 */
export function digestState(db: IndexDatabase, onProgress: () => void = () => {}): TableDigests {
  const garbage = readGarbage(db);
  const digests: Record<string, string> = {};
  for (const table of TABLES) {
    if (table === "garbage") continue;
    const digest = new TableDigest(db, table, garbage.get(table), onProgress).run();
    if (digest !== null) digests[table] = digest;
  }
  return digests;
}

/** Ids whose rows wait to be swept, by table: the first four bytes of the keys. */
function readGarbage(db: IndexDatabase): ReadonlyMap<TableName, ReadonlySet<number>> {
  const ids = new Map<number, Set<number>>(
    Object.values(GARBAGE_KIND).map((kind) => [kind, new Set()]),
  );
  db.scan("garbage", FIRST, LAST, (key) => {
    ids.get(keyU32(key, 0))?.add(keyU32(key, 4));
    return true;
  });
  const byTable = new Map<TableName, ReadonlySet<number>>();
  for (const [kind, found] of ids) {
    for (const table of TABLES_OF_GARBAGE[kind] ?? []) byTable.set(table, found);
  }
  return byTable;
}

class TableDigest {
  readonly #db: IndexDatabase;
  readonly #table: TableName;
  readonly #garbage: ReadonlySet<number> | undefined;
  readonly #onProgress: () => void;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #length = 0;
  #rows = 0;
  #checksum = 0;

  constructor(
    db: IndexDatabase,
    table: TableName,
    garbage: ReadonlySet<number> | undefined,
    onProgress: () => void,
  ) {
    this.#db = db;
    this.#table = table;
    this.#garbage = garbage;
    this.#onProgress = onProgress;
  }

  /** Null for a table without rows. */
  run(): string | null {
    let start = FIRST;
    for (;;) {
      let next: Uint8Array | null = null;
      // Short scans: a cursor is not held for long.
      const limit = this.#rows + SCAN_ROWS;
      this.#db.scan(this.#table, start, LAST, (key, valueBytes) => {
        if (this.#rows >= limit) {
          next = new Uint8Array(key);
          return false;
        }
        if (this.#isMeant(key)) this.#add(key, this.#valueOf(key, valueBytes));
        return true;
      });
      this.#flush();
      this.#onProgress();
      if (next === null) break;
      start = next;
    }
    return this.#rows === 0 ? null : (this.#checksum >>> 0).toString(16).padStart(8, "0");
  }

  #isMeant(key: Uint8Array): boolean {
    if (this.#table === "meta") return !equals(key, SCRATCH_KEY);
    return this.#garbage === undefined || this.#garbage.size === 0
      ? true
      : !this.#garbage.has(keyU32(key, 0));
  }

  #valueOf(key: Uint8Array, valueBytes: number): Uint8Array {
    const value = this.#db.u8.subarray(0, valueBytes);
    if (this.#table !== "meta" || !equals(key, META_KEYS.counters)) return value;
    const counters = new Uint8Array(value);
    counters.fill(0, 8 * GARBAGE_COUNTER_POSITION, 8 * (GARBAGE_COUNTER_POSITION + 1));
    return counters;
  }

  #add(key: Uint8Array, value: Uint8Array): void {
    const rowBytes = ROW_HEAD_BYTES + key.length + value.length;
    if (this.#length + rowBytes > BUFFER_BYTES) this.#flush();
    const isLarge = rowBytes > BUFFER_BYTES;
    const into = isLarge ? new Uint8Array(rowBytes) : this.#buffer;
    const view = isLarge ? new DataView(into.buffer) : this.#view;
    const at = this.#length;
    view.setUint32(at, key.length, true);
    view.setUint32(at + 4, value.length, true);
    into.set(key, at + ROW_HEAD_BYTES);
    into.set(value, at + ROW_HEAD_BYTES + key.length);
    this.#rows += 1;
    if (isLarge) this.#checksum = crc32c(into, this.#checksum);
    else this.#length += rowBytes;
  }

  #flush(): void {
    if (this.#length === 0) return;
    this.#checksum = crc32c(this.#buffer.subarray(0, this.#length), this.#checksum);
    this.#length = 0;
  }
}

/** A scan ends after so many rows and another goes on. */
const SCAN_ROWS = 4_096;

function equals(key: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(key, other) === 0;
}
