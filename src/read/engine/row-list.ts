/**
 * The matching rows of one shard, copied out of the database, to be visited block by block in ULID order.
 *
 * The index gives out the rows of a block one behind the other, and nearly always the blocks in order: then nothing is
 * compared but a row with the one before it, when it comes.
 */

import { ROW } from "../../db/index.ts";

/** Of a ULID, as numbers that order like its bytes. */
const ID_WORDS = 4;

/** Number of the block, position in it, dataset key. */
const WORDS = 3;
const BLOCK = 0;
const POSITION = 1;
const KEY = 2;

const ROWS_AT_FIRST = 64;
/** Larger buffers are given back: one wide query must not keep its memory on every thread. */
const KEPT_ROWS = 65_536;

export class RowList {
  count = 0;
  /** After `sort`: blocks of the rows. Before it, how often a row belonged to another block than the one before. */
  blockCount = 0;
  #rows = new Uint32Array(WORDS * ROWS_AT_FIRST);
  /** Per block. */
  #ids = new Uint32Array(ID_WORDS * ROWS_AT_FIRST);
  /** Per block: its first row. */
  #starts = new Uint32Array(ROWS_AT_FIRST);
  /** The ULID of the row that came last, as it stands in the database. */
  readonly #last = new Uint32Array(ID_WORDS);
  #isSorted = true;

  clear(): void {
    this.count = 0;
    this.blockCount = 0;
    this.#isSorted = true;
    if (this.#rows.length <= WORDS * KEPT_ROWS) return;
    this.#rows = new Uint32Array(WORDS * ROWS_AT_FIRST);
    this.#ids = new Uint32Array(ID_WORDS * ROWS_AT_FIRST);
    this.#starts = new Uint32Array(ROWS_AT_FIRST);
  }

  /** Copies the row whose first word is source[word]. */
  push(source: Uint32Array, word: number): void {
    const position = source[word + ROW.position32] as number;
    let at = this.count * WORDS;
    if (at === this.#rows.length) this.#rows = grown(this.#rows);
    const rows = this.#rows;
    if (!this.#isOfLast(source, word)) this.#startBlock(source, word);
    else if (position < (rows[at - WORDS + POSITION] as number)) this.#isSorted = false;
    rows[at++] = this.blockCount - 1;
    rows[at++] = position;
    rows[at] = source[word + ROW.key32] as number;
    this.count++;
  }

  /** Sorts by (ULID, position). To be called once before the rows are read. */
  sort(): void {
    if (this.#isSorted) return;
    const order = Uint32Array.from({ length: this.count }, (_, i) => i);
    order.sort((a, b) => this.#compare(a, b));
    const rows = this.#rows;
    const ids = this.#ids;
    this.#rows = new Uint32Array(rows.length);
    this.#ids = new Uint32Array(ids.length);
    this.#takeSorted(order, rows, ids);
    this.#isSorted = true;
  }

  /** First row of a block. */
  startOf(block: number): number {
    return this.#starts[block] as number;
  }

  /** Behind the last row of a block. */
  endOf(block: number): number {
    return block + 1 < this.blockCount ? (this.#starts[block + 1] as number) : this.count;
  }

  position(row: number): number {
    return this.#rows[row * WORDS + POSITION] as number;
  }

  key(row: number): number {
    return this.#rows[row * WORDS + KEY] as number;
  }

  /** Writes the ULID of a block to target[offset, offset + 16). */
  writeId(block: number, target: Uint8Array, offset: number): void {
    const word = block * ID_WORDS;
    for (let w = 0; w < ID_WORDS; w++) {
      const value = this.#ids[word + w] as number;
      const at = offset + 4 * w;
      target[at] = value >>> 24;
      target[at + 1] = value >>> 16;
      target[at + 2] = value >>> 8;
      target[at + 3] = value;
    }
  }

  #isOfLast(source: Uint32Array, word: number): boolean {
    const last = this.#last;
    // From its end, which is random.
    return (
      this.count > 0 &&
      last[3] === source[word + 3] &&
      last[2] === source[word + 2] &&
      last[1] === source[word + 1] &&
      last[0] === source[word]
    );
  }

  #startBlock(source: Uint32Array, word: number): void {
    const block = this.blockCount++;
    if (block === this.#starts.length) {
      this.#starts = grown(this.#starts);
      this.#ids = grown(this.#ids);
    }
    this.#starts[block] = this.count;
    for (let i = 0; i < ID_WORDS; i++) {
      const value = source[word + i] as number;
      this.#last[i] = value;
      this.#ids[block * ID_WORDS + i] = swapBytes(value);
    }
    if (block > 0 && this.#compareIds(block - 1, block) > 0) this.#isSorted = false;
  }

  /** Puts the rows in the given order, those of one block together however often it had been begun. */
  #takeSorted(order: Uint32Array, rows: Uint32Array, ids: Uint32Array): void {
    this.blockCount = 0;
    for (let row = 0; row < order.length; row++) {
      const from = (order[row] as number) * WORDS;
      const id = (rows[from + BLOCK] as number) * ID_WORDS;
      const previous = (this.blockCount - 1) * ID_WORDS;
      if (row === 0 || !isSameId(this.#ids, previous, ids, id)) {
        this.#starts[this.blockCount] = row;
        this.#ids.set(ids.subarray(id, id + ID_WORDS), this.blockCount * ID_WORDS);
        this.blockCount++;
      }
      this.#rows[row * WORDS + BLOCK] = this.blockCount - 1;
      this.#rows[row * WORDS + POSITION] = rows[from + POSITION] as number;
      this.#rows[row * WORDS + KEY] = rows[from + KEY] as number;
    }
  }

  #compare(a: number, b: number): number {
    const rows = this.#rows;
    const left = a * WORDS;
    const right = b * WORDS;
    return (
      this.#compareIds(rows[left + BLOCK] as number, rows[right + BLOCK] as number) ||
      (rows[left + POSITION] as number) - (rows[right + POSITION] as number)
    );
  }

  #compareIds(a: number, b: number): number {
    const ids = this.#ids;
    for (let i = 0; i < ID_WORDS; i++) {
      const difference = (ids[a * ID_WORDS + i] as number) - (ids[b * ID_WORDS + i] as number);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

function isSameId(left: Uint32Array, a: number, right: Uint32Array, b: number): boolean {
  for (let i = 0; i < ID_WORDS; i++) if (left[a + i] !== right[b + i]) return false;
  return true;
}

function grown(words: Uint32Array): Uint32Array<ArrayBuffer> {
  const twice = new Uint32Array(words.length * 2);
  twice.set(words);
  return twice;
}

/** The other byte order: big-endian bytes read as a little-endian word become the number they spell. */
function swapBytes(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
