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

/** One per thread. */
export class EntryWriter {
  readonly #sink: ByteSink;

  /** Entries go to the end of the sink; left out, to one of the writer's own. */
  constructor(sink: ByteSink = new ByteSink()) {
    this.#sink = sink;
  }

  /** The entry alone in the sink. Shape: as `append`. Borrowed until the next call. */
  write(block: BlockReader, ids: EntryIds): Uint8Array {
    this.#sink.reset();
    return this.#sink.view(this.append(block, ids));
  }

  /**
   * Appends the entry of the block the reader points at, with its strings and labels replaced by `ids`; returns where
   * it begins.
   *
   * Shape: canonical layout, length a multiple of 8, as that of the sink must be. `ids.keys` may be longer than the
   *   block.
   * Cost: one pass, no allocation.
   */
  append(block: BlockReader, ids: EntryIds): number {
    const { datasetsCount } = block;
    assert(ids.keys.length >= datasetsCount, "A key id is missing");
    let sections = 0;
    for (let i = 0; i < datasetsCount; i++) sections += block.datasetU32(i, DATASET.tocCount);
    const sink = this.#sink;
    const start = sink.length;
    assert((start & 7) === 0, "An entry must begin at a multiple of 8");
    const tocAt = ENTRY_PRELUDE.rowsOffset + datasetsCount * ENTRY_ROW.bytes + 8;
    sink.reserve(tocAt + 8 * sections);
    sink.length = start + tocAt + 8 * sections;
    // The inner loops work on the words of two arrays that do not change any more.
    const { i32 } = sink;
    const to = start >>> 2;
    writePrelude(i32, to, tocAt);
    writeHead(i32, to, block, ids);
    i32[to + ENTRY_PRELUDE.rowsOffset / 4 - 1] = datasetsCount;
    let toc = 0;
    for (let i = 0; i < datasetsCount; i++) {
      const rowAt = to + ((ENTRY_PRELUDE.rowsOffset + i * ENTRY_ROW.bytes) >>> 2);
      writeRow(i32, rowAt, block, i);
      i32[rowAt + ENTRY_ROW.key / 4] = ids.keys[i] as number;
      i32[rowAt + ENTRY_ROW.tocStart / 4] = toc;
      toc += copyToc(i32, to + (tocAt >>> 2) + 2 * toc, block, i);
    }
    // Padding and length of the table of contents.
    i32[to + (tocAt >>> 2) - 2] = 0;
    i32[to + (tocAt >>> 2) - 1] = sections;
    return start;
  }
}

function writePrelude(target: Int32Array, to: number, tocAt: number): void {
  const { words, rowsOffset, slotDatasets, slotToc, bytes } = ENTRY_PRELUDE;
  for (let i = 0; i < words.length; i++) target[to + i] = words[i] as number;
  target[to + slotDatasets / 4] = rowsOffset - 4 - slotDatasets;
  target[to + slotToc / 4] = tocAt - 4 - slotToc;
  target[to + bytes / 4] = 0;
}

/** Heads of wire and store differ in the meaning of two references only, so the words are copied. */
function writeHead(target: Int32Array, to: number, block: BlockReader, ids: EntryIds): void {
  const source = block.i32;
  const from = block.headOffset >>> 2;
  const at = to + ENTRY_PRELUDE.headOffset / 4;
  for (let word = 0; word < HEAD.bytes / 4; word++)
    target[at + word] = source[from + word] as number;
  target[at + HEAD.tenant / 4] = ids.tenant;
  target[at + HEAD.createdBy / 4] = ids.createdBy;
  target[at + HEAD.reserved / 4] = 0;
}

/** Everything of the row of dataset `i` but its key and the place of its sections. */
function writeRow(target: Int32Array, at: number, block: BlockReader, i: number): void {
  const source = block.i32;
  const from = block.datasetOffset(i) >>> 2;
  // Times and size: the same 24 bytes in both layouts.
  for (let word = 0; word < 6; word++) target[at + word] = source[from + word] as number;
  target[at + ENTRY_ROW.tocCount / 4] = source[from + DATASET.tocCount / 4] as number;
  target[at + ENTRY_ROW.format / 4] = source[from + DATASET.format / 4] as number;
}

/** Copies the sections of dataset `i` to word `to`; returns how many there are. */
function copyToc(target: Int32Array, to: number, block: BlockReader, i: number): number {
  const source = block.i32;
  const count = block.datasetU32(i, DATASET.tocCount);
  const from = (block.tocOffset >>> 2) + 2 * block.datasetU32(i, DATASET.tocStart);
  for (let word = 0; word < 2 * count; word++) target[to + word] = source[from + word] as number;
  return count;
}
