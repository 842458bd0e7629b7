/**
 * Writes a stored BlockEntry: the block as the index database keeps it, with ids of the dictionary
 * instead of strings. Always at the same places, so that a query can walk rows by stride:
 *
 * ```
 *   0 prelude | 24 head, 72 B | 96 slots | 104 u32 0 | 108 u32 row count | 112 rows, 40 B each
 *   then u32 0 | u32 toc count | toc, 8 B each
 * ```
 */

import { assert } from "../../base/index.ts";
import type { BlockReader } from "../block/block-reader.ts";
import { ByteSink } from "../bytes/sink.ts";
import { DATASET, ENTRY_PRELUDE, ENTRY_ROW, HEAD } from "../layout.ts";

/** Ids of the dictionary that take the place of a block's strings and labels. */
export interface EntryIds {
  /** Dictionary string id of the owner. */
  readonly tenant: number;
  readonly createdBy: number;
  /** Key id of dataset i. */
  readonly keys: Uint32Array;
}

/** One per thread; the bytes it returns are borrowed until the next call. */
export class EntryWriter {
  readonly #sink = new ByteSink();

  /**
   * The entry of the block the reader points at, with its strings and labels replaced by `ids`.
   *
   * Shape: canonical layout, length a multiple of 8. Borrowed. `ids.keys` may be longer than the
   *   block.
   * Cost: one pass, no allocation besides the returned view.
   */
  write(block: BlockReader, ids: EntryIds): Uint8Array {
    const { datasetsCount } = block;
    assert(ids.keys.length >= datasetsCount, "A key id is missing");
    let sections = 0;
    for (let i = 0; i < datasetsCount; i++) sections += block.datasetU32(i, DATASET.tocCount);
    this.#begin(block, ids, sections);
    let toc = 0;
    for (let i = 0; i < datasetsCount; i++) {
      this.#row(block, i, ids.keys[i] as number, toc);
      toc += this.#toc(block, i, toc);
    }
    return this.#sink.view();
  }

  #begin(block: BlockReader, ids: EntryIds, sections: number): void {
    const sink = this.#sink;
    const { words, headOffset, rowsOffset, slotDatasets, slotToc } = ENTRY_PRELUDE;
    const rowsEnd = rowsOffset + block.datasetsCount * ENTRY_ROW.bytes;
    const bytes = rowsEnd + 8 + 8 * sections;
    sink.reset();
    sink.reserve(bytes);
    sink.length = bytes;
    const { i32, u32, u8 } = sink;
    for (let i = 0; i < words.length; i++) i32[i] = words[i] as number;
    // Heads of wire and store differ in the meaning of two references only, so the bytes are
    // copied.
    const from = block.headOffset >>> 2;
    const to = headOffset >>> 2;
    for (let i = 0; i < HEAD.bytes / 4; i++) i32[to + i] = block.i32[from + i] as number;
    u32[(headOffset + HEAD.tenant) >>> 2] = ids.tenant;
    u32[(headOffset + HEAD.createdBy) >>> 2] = ids.createdBy;
    i32[(headOffset + HEAD.reserved) >>> 2] = 0;
    i32[slotDatasets >>> 2] = rowsOffset - 4 - slotDatasets;
    i32[slotToc >>> 2] = rowsEnd + 4 - slotToc;
    i32[ENTRY_PRELUDE.bytes >>> 2] = 0;
    i32[(rowsOffset - 4) >>> 2] = block.datasetsCount;
    u8.fill(0, rowsEnd, rowsEnd + 4);
    i32[(rowsEnd + 4) >>> 2] = sections;
  }

  #row(block: BlockReader, i: number, key: number, tocStart: number): void {
    const { i32, u32 } = this.#sink;
    const from = block.datasetOffset(i) >>> 2;
    const to = (ENTRY_PRELUDE.rowsOffset + i * ENTRY_ROW.bytes) >>> 2;
    // Times and size: the same 24 bytes in both layouts.
    for (let word = 0; word < 6; word++) i32[to + word] = block.i32[from + word] as number;
    u32[to + ENTRY_ROW.key / 4] = key;
    u32[to + ENTRY_ROW.tocStart / 4] = tocStart;
    u32[to + ENTRY_ROW.tocCount / 4] = block.datasetU32(i, DATASET.tocCount);
    u32[to + ENTRY_ROW.format / 4] = block.datasetU32(i, DATASET.format);
  }

  #toc(block: BlockReader, i: number, tocStart: number): number {
    const count = block.datasetU32(i, DATASET.tocCount);
    const rowsEnd = ENTRY_PRELUDE.rowsOffset + block.datasetsCount * ENTRY_ROW.bytes;
    const from = (block.tocOffset >>> 2) + 2 * block.datasetU32(i, DATASET.tocStart);
    const to = ((rowsEnd + 8) >>> 2) + 2 * tocStart;
    for (let word = 0; word < 2 * count; word++) {
      this.#sink.i32[to + word] = block.i32[from + word] as number;
    }
    return count;
  }
}
