/**
 * The last, growing chunk of a shard's tail in memory. Rows as in db/DESIGN.md, "Rows".
 */

import { ROW, ROW_BYTES } from "../../db/index.ts";
import { TAIL_CHUNK_ROWS } from "../limits.ts";

const ROW_WORDS = ROW_BYTES / 4;
const ROW_DOUBLES = ROW_BYTES / 8;
const INITIAL_ROWS = 16;

export class TailChunk {
  rows = 0;
  isDirty = false;
  #bytes = new Uint8Array(INITIAL_ROWS * ROW_BYTES);
  #words = new Int32Array(this.#bytes.buffer);
  #doubles = new Float64Array(this.#bytes.buffer);

  get isFull(): boolean {
    return this.rows >= TAIL_CHUNK_ROWS;
  }

  /** Forgets the rows, keeps the memory. */
  clear(): void {
    this.rows = 0;
    this.isDirty = false;
  }

  /** Memory that the rows fill. Borrowed. */
  content(): Uint8Array {
    return this.#bytes.subarray(0, this.rows * ROW_BYTES);
  }

  /** Takes over stored rows. Copies. */
  load(bytes: Uint8Array, length: number): void {
    this.rows = length / ROW_BYTES;
    this.#reserve(this.rows);
    this.#bytes.set(bytes.subarray(0, length));
    this.isDirty = false;
  }

  /**
   * Appends one row. The chunk must not be full.
   *
   * Shape: the ULID is the four words at `idWord` of `source`, as they stand in memory.
   */
  append(
    source: Int32Array,
    idWord: number,
    minMs: number,
    maxMs: number,
    key: number,
    position: number,
  ): void {
    this.#reserve(this.rows + 1);
    const words = this.#words;
    const word = this.rows * ROW_WORDS;
    words[word] = source[idWord] as number;
    words[word + 1] = source[idWord + 1] as number;
    words[word + 2] = source[idWord + 2] as number;
    words[word + 3] = source[idWord + 3] as number;
    this.#doubles[this.rows * ROW_DOUBLES + ROW.minMs64] = minMs;
    this.#doubles[this.rows * ROW_DOUBLES + ROW.maxMs64] = maxMs;
    words[word + ROW.key32] = key;
    words[word + ROW.position32] = position;
    this.rows++;
    this.isDirty = true;
  }

  #reserve(rows: number): void {
    if (rows * ROW_BYTES <= this.#bytes.length) return;
    const before = this.#bytes;
    this.#bytes = new Uint8Array(Math.max(rows * ROW_BYTES, before.length * 2));
    this.#bytes.set(before);
    this.#words = new Int32Array(this.#bytes.buffer);
    this.#doubles = new Float64Array(this.#bytes.buffer);
  }
}
