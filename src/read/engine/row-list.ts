/**
 * The matching rows of one shard, copied out of the database, to be visited block by block in ULID order.
 *
 * The index gives out the rows of a block one behind the other, and nearly always the blocks in order: then nothing is
 * compared but a row with the one before it, when it comes.
 */

import { ROW } from "../../db/index.ts";
import { swapBytes } from "../../protocol/index.ts";
import { grown } from "./grown.ts";

/** Of a ULID, as numbers that order like its bytes. */
const ID_WORDS = 4;

/** Position in the block, dataset key. */
const WORDS = 2;
const POSITION = 0;
const KEY = 1;

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
    const at = this.count * WORDS;
    if (at === this.#rows.length) this.#rows = grown(this.#rows, new Uint32Array(2 * at));
    const rows = this.#rows;
    if (!this.#isOfLast(source, word)) this.#startBlock(source, word);
    else if (position < (rows[at - WORDS + POSITION] as number)) this.#isSorted = false;
    rows[at + POSITION] = position;
    rows[at + KEY] = source[word + ROW.key32] as number;
    this.count++;
  }

  /** Sorts by (ULID, position). To be called once before the rows are read. */
  sort(): void {
    if (this.#isSorted) return;
    const blocks = this.#blocksOfRows();
    const order = Uint32Array.from({ length: this.count }, (_, row) => row).sort(
      (a, b) =>
        this.#compareIds(blocks[a] as number, blocks[b] as number) ||
        this.position(a) - this.position(b),
    );
    this.#takeInOrder(order, blocks);
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
      this.#starts = grown(this.#starts, new Uint32Array(2 * block));
      this.#ids = grown(this.#ids, new Uint32Array(2 * block * ID_WORDS));
    }
    this.#starts[block] = this.count;
    for (let i = 0; i < ID_WORDS; i++) {
      const value = source[word + i] as number;
      this.#last[i] = value;
      this.#ids[block * ID_WORDS + i] = swapBytes(value);
    }
    if (block > 0 && this.#compareIds(block - 1, block) > 0) this.#isSorted = false;
  }

  /** The number of the block of each row. */
  #blocksOfRows(): Uint32Array {
    const blocks = new Uint32Array(this.count);
    for (let block = 0; block < this.blockCount; block++)
      blocks.fill(block, this.startOf(block), this.endOf(block));
    return blocks;
  }

  /** Puts the rows in that order, those of one block together however often it had been begun. */
  #takeInOrder(order: Uint32Array, blocks: Uint32Array): void {
    const rows = new Uint32Array(this.#rows.length);
    const ids = new Uint32Array(this.#ids.length);
    let count = 0;
    let previous = -1;
    for (const [row, from] of order.entries()) {
      const block = blocks[from] as number;
      if (previous < 0 || this.#compareIds(previous, block) !== 0) {
        this.#starts[count] = row;
        for (let i = 0; i < ID_WORDS; i++)
          ids[count * ID_WORDS + i] = this.#ids[block * ID_WORDS + i] as number;
        count++;
      }
      previous = block;
      rows[row * WORDS + POSITION] = this.position(from);
      rows[row * WORDS + KEY] = this.key(from);
    }
    this.#rows = rows;
    this.#ids = ids;
    this.blockCount = count;
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
