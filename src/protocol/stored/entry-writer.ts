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
    const { rowsOffset } = ENTRY_PRELUDE;
    const tocAt = rowsOffset + datasetsCount * ENTRY_ROW.bytes + 8;
    const sink = this.#sink;
    sink.reset();
    sink.reserve(tocAt + 8 * sections);
    sink.length = tocAt + 8 * sections;
    // The inner loops work on words of two arrays that do not change any more.
    const { i32 } = sink;
    writePrelude(i32, tocAt);
    writeHead(i32, block, ids);
    i32[(rowsOffset - 4) >>> 2] = datasetsCount;
    let toc = 0;
    for (let i = 0; i < datasetsCount; i++) {
      writeRow(i32, block, i, ids.keys[i] as number, toc);
      toc += copyToc(i32, (tocAt >>> 2) + 2 * toc, block, i);
    }
    // Padding and length of the table of contents.
    i32[(tocAt - 8) >>> 2] = 0;
    i32[(tocAt - 4) >>> 2] = sections;
    return sink.view();
  }
}

function writePrelude(target: Int32Array, tocAt: number): void {
  const { words, rowsOffset, slotDatasets, slotToc, bytes } = ENTRY_PRELUDE;
  for (let i = 0; i < words.length; i++) target[i] = words[i] as number;
  target[slotDatasets >>> 2] = rowsOffset - 4 - slotDatasets;
  target[slotToc >>> 2] = tocAt - 4 - slotToc;
  target[bytes >>> 2] = 0;
}

/** Heads of wire and store differ in the meaning of two references only, so the words are copied. */
function writeHead(target: Int32Array, block: BlockReader, ids: EntryIds): void {
  const source = block.i32;
  const from = block.headOffset >>> 2;
  const to = ENTRY_PRELUDE.headOffset >>> 2;
  for (let word = 0; word < HEAD.bytes / 4; word++)
    target[to + word] = source[from + word] as number;
  target[to + HEAD.tenant / 4] = ids.tenant;
  target[to + HEAD.createdBy / 4] = ids.createdBy;
  target[to + HEAD.reserved / 4] = 0;
}

function writeRow(
  target: Int32Array,
  block: BlockReader,
  i: number,
  key: number,
  tocStart: number,
): void {
  const source = block.i32;
  const from = block.datasetOffset(i) >>> 2;
  const to = (ENTRY_PRELUDE.rowsOffset + i * ENTRY_ROW.bytes) >>> 2;
  // Times and size: the same 24 bytes in both layouts.
  for (let word = 0; word < 6; word++) target[to + word] = source[from + word] as number;
  target[to + ENTRY_ROW.key / 4] = key;
  target[to + ENTRY_ROW.tocStart / 4] = tocStart;
  target[to + ENTRY_ROW.tocCount / 4] = source[from + DATASET.tocCount / 4] as number;
  target[to + ENTRY_ROW.format / 4] = source[from + DATASET.format / 4] as number;
}

/** Copies the sections of dataset `i` to word `to`; returns how many there are. */
function copyToc(target: Int32Array, to: number, block: BlockReader, i: number): number {
  const source = block.i32;
  const count = block.datasetU32(i, DATASET.tocCount);
  const from = (block.tocOffset >>> 2) + 2 * block.datasetU32(i, DATASET.tocStart);
  for (let word = 0; word < 2 * count; word++) target[to + word] = source[from + word] as number;
  return count;
}
