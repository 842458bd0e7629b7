/**
 * The `tails` table: rows of fresh datasets in arrival order, so that an AddBlock costs no put of its own in the
 * label index. Only the last chunk grows; it lives in memory and is stored once per transaction.
 */

import { type IndexDatabase, KeyBuffer, ROW_BYTES } from "../../db/index.ts";
import { type BlockReader, DATASET } from "../../protocol/index.ts";
import { TAIL_CHUNKS_MAX } from "../limits.ts";
import { idWord } from "./check-block.ts";
import { type RowBuffer, ROW_WORDS } from "./rows.ts";
import type { ShardState } from "./shard-state.ts";
import { TailChunk } from "./tail-chunk.ts";
import { addTailKeys, removeTailKeys } from "./tail-keys.ts";

const chunkKey = new KeyBuffer(8);

/** Whether row `i` of `words` is to go. */
export type RowTest = (words: Uint32Array, i: number) => boolean;

export class Tails {
  readonly #db: IndexDatabase;

  constructor(db: IndexDatabase) {
    this.#db = db;
  }

  /** Appends a row per dataset of the block. `keys`: dataset key ids. */
  append(shard: ShardState, block: BlockReader, keys: Uint32Array): void {
    const { i32, datasetsCount, minTimeMs, maxTimeMs } = block;
    if (datasetsCount === 0) return;
    const id = idWord(block);
    const tail = this.#tail(shard);
    for (let i = 0; i < datasetsCount; i++) {
      if (tail.isFull) this.#nextChunk(shard, tail);
      tail.append(
        i32,
        id,
        Math.max(minTimeMs, block.datasetF64(i, DATASET.minTimeMs)),
        Math.min(maxTimeMs, block.datasetF64(i, DATASET.maxTimeMs)),
        keys[i] as number,
        i,
      );
    }
  }

  /** Whether the tail is to be moved to the postings. */
  isFull(shard: ShardState): boolean {
    if (shard.tailChunks < TAIL_CHUNKS_MAX) return false;
    return shard.tailChunks > TAIL_CHUNKS_MAX || this.#tail(shard).isFull;
  }

  /** Appends all rows of the tail to `target` and empties it. */
  take(shard: ShardState, target: RowBuffer): void {
    const tail = this.#tail(shard);
    for (let chunk = 0; chunk < shard.tailChunks - 1; chunk++) {
      const length = this.#db.get("tails", chunkKey.u32(0, shard.ordinal).u32(4, chunk).bytes);
      if (length > 0) target.append(this.#db.u8.subarray(0, length));
    }
    target.append(tail.content());
    this.clear(shard);
  }

  /** Drops the tail, which holds nothing that counts any more. */
  clear(shard: ShardState): void {
    for (let chunk = 0; chunk < shard.tailChunks; chunk++) {
      this.#db.remove("tails", chunkKey.u32(0, shard.ordinal).u32(4, chunk).bytes);
    }
    if (shard.tailChunks > 1) removeTailKeys(this.#db, shard.ordinal);
    shard.tailChunks = 0;
    shard.tail?.clear();
  }

  /** Takes rows out and returns how many. */
  remove(shard: ShardState, isRemoved: RowTest): number {
    let removed = 0;
    for (let chunk = 0; chunk < shard.tailChunks - 1; chunk++) {
      const key = chunkKey.u32(0, shard.ordinal).u32(4, chunk).bytes;
      const length = this.#db.get("tails", key);
      if (length <= 0) continue;
      const rest = withoutRows(this.#db.u8.slice(0, length), isRemoved);
      if (rest.length === length) continue;
      removed += (length - rest.length) / ROW_BYTES;
      if (rest.length === 0) this.#db.remove("tails", key);
      else this.#db.put("tails", key, rest);
    }
    return shard.tailChunks === 0 ? removed : removed + this.#removeFromLast(shard, isRemoved);
  }

  /** Stores the last chunk. */
  store(shard: ShardState, tail: TailChunk): void {
    const key = chunkKey.u32(0, shard.ordinal).u32(4, shard.tailChunks - 1).bytes;
    tail.isDirty = false;
    if (tail.rows === 0) this.#db.remove("tails", key);
    else this.#db.put("tails", key, tail.content());
  }

  #removeFromLast(shard: ShardState, isRemoved: RowTest): number {
    const tail = this.#tail(shard);
    const before = tail.content().slice();
    const rest = withoutRows(before, isRemoved);
    if (rest.length === before.length) return 0;
    tail.load(rest, rest.length);
    tail.isDirty = true;
    return (before.length - rest.length) / ROW_BYTES;
  }

  #nextChunk(shard: ShardState, tail: TailChunk): void {
    this.store(shard, tail);
    addTailKeys(this.#db, shard.ordinal, shard.tailChunks - 1, tail.content());
    shard.tailChunks++;
    tail.clear();
  }

  /** The last chunk, read or started when it is not in memory. */
  #tail(shard: ShardState): TailChunk {
    if (shard.tailChunks === 0) {
      shard.tailChunks = 1;
      shard.tail ??= new TailChunk();
      return shard.tail;
    }
    if (shard.tail !== null) return shard.tail;
    const tail = new TailChunk();
    shard.tail = tail;
    const key = chunkKey.u32(0, shard.ordinal).u32(4, shard.tailChunks - 1).bytes;
    const length = this.#db.get("tails", key);
    if (length > 0) tail.load(this.#db.u8, length);
    return tail;
  }
}

/** The rows that stay. Shape: `bytes` begins at a multiple of 4 of its buffer. */
function withoutRows(bytes: Uint8Array, isRemoved: RowTest): Uint8Array {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  let rest = 0;
  for (let i = 0; i < words.length / ROW_WORDS; i++) {
    if (isRemoved(words, i)) continue;
    words.copyWithin(rest * ROW_WORDS, i * ROW_WORDS, (i + 1) * ROW_WORDS);
    rest++;
  }
  return bytes.subarray(0, rest * ROW_BYTES);
}
