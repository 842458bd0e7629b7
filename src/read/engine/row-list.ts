/**
 * The matching rows of one shard, copied out of the database, to be visited block by block in ULID order.
 */

import { ROW } from "../../db/index.ts";

/** ULID (4 words, as numbers that order like its bytes), position in the block, dataset key. */
const WORDS = 6;
const POSITION = 4;
const KEY = 5;

/** Larger buffers are given back: one wide query must not keep its memory on every thread. */
const KEPT_WORDS = WORDS * 65_536;

export class RowList {
  count = 0;
  #words = new Uint32Array(WORDS * 64);
  #order = new Uint32Array(0);

  clear(): void {
    this.count = 0;
    if (this.#words.length <= KEPT_WORDS) return;
    this.#words = new Uint32Array(WORDS * 64);
    this.#order = new Uint32Array(0);
  }

  /** Copies the row whose first word is source[word]. */
  push(source: Uint32Array, word: number): void {
    const target = this.count * WORDS;
    if (target === this.#words.length) {
      const grown = new Uint32Array(this.#words.length * 2);
      grown.set(this.#words);
      this.#words = grown;
    }
    for (let i = 0; i < 4; i++) this.#words[target + i] = swapBytes(source[word + i] as number);
    this.#words[target + POSITION] = source[word + ROW.position32] as number;
    this.#words[target + KEY] = source[word + ROW.key32] as number;
    this.count++;
  }

  /** Sorts by (ULID, position). To be called once before the rows are read. */
  sort(): void {
    if (this.#order.length < this.count) this.#order = new Uint32Array(2 * this.count);
    for (let i = 0; i < this.count; i++) this.#order[i] = i;
    if (!this.#isSorted()) this.#order.subarray(0, this.count).sort((a, b) => this.#compare(a, b));
  }

  position(i: number): number {
    return this.#words[(this.#order[i] as number) * WORDS + POSITION] as number;
  }

  key(i: number): number {
    return this.#words[(this.#order[i] as number) * WORDS + KEY] as number;
  }

  /** How many rows from i on belong to the block of row i. */
  runLength(i: number): number {
    let end = i + 1;
    while (
      end < this.count &&
      this.#compareIds(this.#order[i] as number, this.#order[end] as number) === 0
    )
      end++;
    return end - i;
  }

  /** Writes the ULID of row i to target[offset, offset + 16). */
  writeId(i: number, target: Uint8Array, offset: number): void {
    const word = (this.#order[i] as number) * WORDS;
    for (let w = 0; w < 4; w++) {
      const value = this.#words[word + w] as number;
      const at = offset + 4 * w;
      target[at] = value >>> 24;
      target[at + 1] = value >>> 16;
      target[at + 2] = value >>> 8;
      target[at + 3] = value;
    }
  }

  /** One key's postings come sorted: the usual case of one matching dataset per block needs no sort. */
  #isSorted(): boolean {
    for (let i = 1; i < this.count; i++) if (this.#compare(i - 1, i) > 0) return false;
    return true;
  }

  #compare(a: number, b: number): number {
    const words = this.#words;
    return (
      this.#compareIds(a, b) ||
      (words[a * WORDS + POSITION] as number) - (words[b * WORDS + POSITION] as number)
    );
  }

  #compareIds(a: number, b: number): number {
    const words = this.#words;
    const left = a * WORDS;
    const right = b * WORDS;
    for (let i = 0; i < 4; i++) {
      const difference = (words[left + i] as number) - (words[right + i] as number);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

/** The other byte order: big-endian bytes read as a little-endian word become the number they spell. */
function swapBytes(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
