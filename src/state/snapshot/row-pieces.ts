/**
 * The rows of all tables, in order, in pieces of bounded size. Every piece is one short scan, which begins where the
 * one before stopped: no cursor lives longer than a piece.
 *
 * ```
 * piece:  u32 table (position in TABLES), then per row: u32 key bytes, u32 value bytes, key, value
 * ```
 */

import { type IndexDatabase, SCRATCH_KEY, TABLES } from "../../db/index.ts";
import { imageDamaged } from "./errors.ts";
import { IMAGE_LIMITS } from "./limits.ts";

const PIECE_HEAD_BYTES = 4;
const ROW_HEAD_BYTES = 8;
const FIRST = new Uint8Array(1);
/** Above every key. */
const LAST = new Uint8Array(IMAGE_LIMITS.keyMaxBytes + 1).fill(0xff);

/** One piece; both are borrowed until the next is asked for. */
export interface RowPiece {
  readonly bytes: Uint8Array;
  readonly rows: number;
}

/** Goes through the database once. All calls belong into one read transaction. */
export class RowPieces {
  readonly #db: IndexDatabase;
  #buffer = new Uint8Array(IMAGE_LIMITS.pieceBytes);
  #view = new DataView(this.#buffer.buffer);
  #table = 0;
  /** First key of the next piece. */
  #start: Uint8Array = FIRST;
  #length = 0;
  #rows = 0;

  constructor(db: IndexDatabase) {
    this.#db = db;
  }

  /** The next piece with at least one row, or null after the last. */
  next(): RowPiece | null {
    for (;;) {
      const table = TABLES[this.#table];
      if (table === undefined) return null;
      this.#length = PIECE_HEAD_BYTES;
      this.#rows = 0;
      this.#view.setUint32(0, this.#table, true);
      let isFull = false;
      this.#db.scan(table, this.#start, LAST, (key, valueBytes) => {
        if (table === "meta" && isScratch(key)) return true;
        isFull = !this.#tryAdd(key, valueBytes);
        if (isFull) this.#start = new Uint8Array(key);
        return !isFull;
      });
      if (!isFull) {
        this.#table += 1;
        this.#start = FIRST;
      }
      if (this.#rows > 0)
        return { bytes: this.#buffer.subarray(0, this.#length), rows: this.#rows };
    }
  }

  /** False when the piece is full; the first row of a piece always has room. */
  #tryAdd(key: Uint8Array, valueBytes: number): boolean {
    const end = this.#length + ROW_HEAD_BYTES + key.length + valueBytes;
    if (end > IMAGE_LIMITS.pieceBytes && this.#rows > 0) return false;
    if (end > this.#buffer.length) this.#grow(end);
    this.#view.setUint32(this.#length, key.length, true);
    this.#view.setUint32(this.#length + 4, valueBytes, true);
    this.#buffer.set(key, this.#length + ROW_HEAD_BYTES);
    this.#buffer.set(this.#db.u8.subarray(0, valueBytes), end - valueBytes);
    this.#length = end;
    this.#rows += 1;
    return true;
  }

  #grow(sizeBytes: number): void {
    const larger = new Uint8Array(sizeBytes);
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
    this.#view = new DataView(larger.buffer);
  }
}

function isScratch(key: Uint8Array): boolean {
  return key.length === SCRATCH_KEY.length && SCRATCH_KEY.every((byte, i) => key[i] === byte);
}

/** Key and value are borrowed until it returns. */
export type RowVisitor = (table: number, key: Uint8Array, value: Uint8Array) => void;

/** Takes pieces apart again, and checks that they are in order: tables ascending, keys ascending in each. */
export class RowReader {
  #table = -1;
  #lastKey: Uint8Array | null = null;

  /** Errors: image_damaged, before `visit` has seen the offending row. */
  read(piece: Uint8Array, visit: RowVisitor): number {
    if (piece.length < PIECE_HEAD_BYTES) throw imageDamaged("a piece has no table");
    const view = new DataView(piece.buffer, piece.byteOffset, piece.length);
    this.#enter(view.getUint32(0, true));
    let rows = 0;
    let at = PIECE_HEAD_BYTES;
    while (at < piece.length) {
      if (at + ROW_HEAD_BYTES > piece.length) throw imageDamaged("a row is cut");
      const keyBytes = view.getUint32(at, true);
      const valueBytes = view.getUint32(at + 4, true);
      if (keyBytes === 0 || keyBytes > IMAGE_LIMITS.keyMaxBytes) {
        throw imageDamaged(`a key has ${keyBytes} bytes`);
      }
      const keyAt = at + ROW_HEAD_BYTES;
      const end = keyAt + keyBytes + valueBytes;
      if (end > piece.length) throw imageDamaged("a row ends behind its piece");
      const key = piece.subarray(keyAt, keyAt + keyBytes);
      if (this.#lastKey !== null && Buffer.compare(this.#lastKey, key) >= 0) {
        throw imageDamaged("its rows are out of order");
      }
      visit(this.#table, key, piece.subarray(keyAt + keyBytes, end));
      this.#lastKey = key;
      rows += 1;
      at = end;
    }
    // The piece is borrowed.
    if (this.#lastKey !== null) this.#lastKey = new Uint8Array(this.#lastKey);
    return rows;
  }

  #enter(table: number): void {
    if (table >= TABLES.length) throw imageDamaged(`it has a table ${table}`);
    if (table < this.#table) throw imageDamaged("its tables are out of order");
    if (table === this.#table) return;
    this.#table = table;
    this.#lastKey = null;
  }
}
