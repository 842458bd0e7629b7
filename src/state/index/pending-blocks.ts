/**
 * Rows of new blocks on their way into the `blocks` table.
 *
 * ```
 *  insert: id above all of its shard? --yes--> kept here --write--> put
 *                                     --no---> put at once, "no overwrite": the put is the duplicate check
 * ```
 *
 * A put is half of what applying a block costs, and the answer does not need it: an id above every id of its shard is
 * new, and that is what nearly all are, since ids begin with their creation time. So the rows are put when the answers
 * are on their way and the disk of the log works (replica/DESIGN.md, "The loop"), and before anything looks at the
 * table.
 */

import { ULID_BYTES } from "../../base/index.ts";
import { type IndexDatabase, KeyBuffer } from "../../db/index.ts";
import { type BlockReader, ByteSink, swapBytes } from "../../protocol/index.ts";
import { idWord } from "./check-block.ts";
import { ID_WORDS } from "./rows.ts";
import type { ShardState } from "./shard-state.ts";

/** Entries that may wait. Good enough: about 1,000 blocks, which take 3 ms to put. */
const PENDING_MAX_BYTES = 256 * 1024;

/** Words per row in `#places`: ordinal, ULID as it stands in memory, start and end of the entry. */
const PLACE_WORDS = 3 + ID_WORDS;

const rowKey = new KeyBuffer(4 + ULID_BYTES);
const rowKeyWords = new Int32Array(rowKey.bytes.buffer);
const firstKey = new KeyBuffer(4 + ULID_BYTES);
const lastKey = new KeyBuffer(4 + ULID_BYTES);

export class PendingBlocks {
  /** Where entries are written; what is kept stays until `write`. */
  readonly entries = new ByteSink(PENDING_MAX_BYTES + 64 * 1024);
  readonly #db: IndexDatabase;
  #places = new Int32Array(1_024 * PLACE_WORDS);
  #count = 0;

  constructor(db: IndexDatabase) {
    this.#db = db;
  }

  /** Whether the block's id is above every id that its shard holds, here or in the database. */
  isAboveAll(shard: ShardState, block: BlockReader): boolean {
    return isAbove(block.i32, idWord(block), this.#newestOf(shard));
  }

  /** Keeps the row of a block above all, whose entry was appended last, from `start` on. */
  keep(shard: ShardState, block: BlockReader, start: number): void {
    const newest = this.#newestOf(shard);
    if ((this.#count + 1) * PLACE_WORDS > this.#places.length) this.#grow();
    const places = this.#places;
    const at = this.#count * PLACE_WORDS;
    const from = idWord(block);
    places[at] = shard.ordinal;
    for (let i = 0; i < ID_WORDS; i++) {
      const word = block.i32[from + i] as number;
      places[at + 1 + i] = word;
      newest[i] = word;
    }
    places[at + 1 + ID_WORDS] = start;
    places[at + 2 + ID_WORDS] = this.entries.length;
    this.#count++;
    if (this.entries.length >= PENDING_MAX_BYTES) this.write();
  }

  /** Puts what is kept. Before anybody looks at the table, and before the transaction ends. */
  write(): void {
    if (this.#count === 0) return;
    const places = this.#places;
    for (let at = 0; at < this.#count * PLACE_WORDS; at += PLACE_WORDS) {
      rowKey.u32(0, (places[at] as number) >>> 0);
      for (let i = 0; i < ID_WORDS; i++) rowKeyWords[1 + i] = places[at + 1 + i] as number;
      const start = places[at + 1 + ID_WORDS] as number;
      const end = places[at + 2 + ID_WORDS] as number;
      this.#db.putPart("blocks", rowKey.bytes, this.entries.u8, start, end);
    }
    this.forget();
  }

  /** Without putting it: the transaction did not happen. */
  forget(): void {
    this.#count = 0;
    this.entries.reset();
  }

  #newestOf(shard: ShardState): Int32Array {
    shard.newestId ??= this.#findNewest(shard.ordinal);
    return shard.newestId;
  }

  /** The highest id of the shard in the database; the lowest there can be when it holds none. */
  #findNewest(ordinal: number): Int32Array {
    const newest = new Int32Array(ID_WORDS);
    const first = firstKey.u32(0, ordinal).bytes.fill(0, 4);
    const last = lastKey.u32(0, ordinal).bytes.fill(0xff, 4);
    const found = this.#db.lastKey("blocks", first, last);
    if (found !== null) new Uint8Array(newest.buffer).set(found.subarray(4, 4 + ULID_BYTES));
    return newest;
  }

  #grow(): void {
    const before = this.#places;
    this.#places = new Int32Array(before.length * 2);
    this.#places.set(before);
  }
}

/** Whether the ULID at word `at` is above another one; words of big-endian bytes, as they stand in memory. */
function isAbove(words: Int32Array, at: number, other: Int32Array): boolean {
  for (let i = 0; i < ID_WORDS; i++) {
    const x = words[at + i] as number;
    const y = other[i] as number;
    if (x !== y) return swapBytes(x) > swapBytes(y);
  }
  return false;
}
