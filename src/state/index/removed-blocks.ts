/**
 * Blocks of one shard that are about to leave it, with the rows of the label index that belong to them.
 */

import { ROW } from "../../db/index.ts";
import { ENTRY_ROW, type EntryReader, HEAD } from "../../protocol/index.ts";
import { compareIds, ID_WORDS, ROW_WORDS, RowBuffer } from "./rows.ts";

interface RemovedBlock {
  /** Word offset of its ULID in `#ids`. */
  readonly idAt: number;
  readonly keys: Uint32Array;
  /** Rows found in the tail: all of the block's or none. */
  tailRows: number;
}

export class RemovedBlocks {
  readonly #ids: Uint32Array;
  readonly #blocks: RemovedBlock[] = [];
  /** Sums over the blocks. */
  datasets = 0;
  bytes = 0;

  constructor(countMax: number) {
    this.#ids = new Uint32Array(countMax * ID_WORDS);
  }

  get count(): number {
    return this.#blocks.length;
  }

  /** Notes the entry that the reader points at. */
  add(entry: EntryReader): void {
    const idAt = this.#blocks.length * ID_WORDS;
    const from = (entry.headOffset + HEAD.id) >>> 2;
    for (let i = 0; i < ID_WORDS; i++) this.#ids[idAt + i] = entry.i32[from + i] as number;
    const keys = new Uint32Array(entry.rowsCount);
    for (let i = 0; i < entry.rowsCount; i++) keys[i] = entry.rowU32(i, ENTRY_ROW.key);
    this.#blocks.push({ idAt, keys, tailRows: 0 });
    this.datasets += entry.rowsCount;
    this.bytes += entry.sizeBytes;
  }

  /** Puts the blocks in the order of their ids. Before `takeTailRow` and `postingRows`. */
  sort(): void {
    this.#blocks.sort((a, b) => compareIds(this.#ids, a.idAt, this.#ids, b.idAt));
  }

  /** Whether row `i` of a tail belongs to one of the blocks; noted when it does. */
  takeTailRow(words: Uint32Array, i: number): boolean {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = this.#blocks[middle] as RemovedBlock;
      const order = compareIds(this.#ids, block.idAt, words, i * ROW_WORDS);
      if (order === 0) {
        block.tailRows++;
        return true;
      }
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return false;
  }

  /** Rows that were not in the tail, ascending by (key, ULID, position); times are left out. */
  postingRows(): RowBuffer {
    const rows = new RowBuffer();
    const places: { key: number; block: RemovedBlock; position: number }[] = [];
    for (const block of this.#blocks) {
      if (block.tailRows > 0) continue;
      for (const [position, key] of block.keys.entries()) places.push({ key, block, position });
    }
    // Stable, and the blocks are in order already: only the key decides.
    places.sort((a, b) => a.key - b.key);
    rows.reserve(places.length);
    for (const { key, block, position } of places) {
      const word = rows.count * ROW_WORDS;
      for (let i = 0; i < ID_WORDS; i++) rows.words[word + i] = this.#ids[block.idAt + i] as number;
      rows.words[word + ROW.key32] = key;
      rows.words[word + ROW.position32] = position;
      rows.count++;
    }
    return rows;
  }
}
