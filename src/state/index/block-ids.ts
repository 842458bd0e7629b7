/**
 * Translates a block's string references and label sets to ids of a dictionary: the first half of storing a block.
 */

import { type BlockReader, DATASET, type EntryIds } from "../../protocol/index.ts";
import type { Dictionary } from "./dictionary.ts";

/** How far `resolve` may go for what is not in memory. */
export type ResolveMode = "find" | "add";

/** One per writer; the ids are valid until the next `resolve`. */
export class BlockIds implements EntryIds {
  tenant = 0;
  createdBy = 0;
  keys = new Uint32Array(64);
  /** Reference -> string id. */
  #strings = new Int32Array(256);
  /** The ints of the dataset at hand. */
  #words = new Int32Array(256);
  /** Over the bytes of the block at hand; mostly the same as for the block before. */
  #view: DataView = new DataView(new ArrayBuffer(0));
  #viewed: Uint8Array | null = null;

  /** View over the ArrayBuffer the reader looks at: offsets of the reader are offsets of the view. */
  viewOf(block: BlockReader): DataView {
    if (this.#viewed !== block.u8) {
      this.#viewed = block.u8;
      this.#view = new DataView(block.u8.buffer);
    }
    return this.#view;
  }

  /**
   * Finds the ids of all strings and dataset keys. In mode "find" it returns false, having changed nothing, when one
   * of them is not in memory; in mode "add" it asks the database, gives out new ids, and always succeeds.
   *
   * Shape: the block passed `checkBlock`.
   */
  resolve(block: BlockReader, dictionary: Dictionary, mode: ResolveMode): boolean {
    if (!this.#resolveStrings(block, dictionary, mode)) return false;
    this.tenant = this.#strings[block.tenant] as number;
    this.createdBy = this.#strings[block.createdBy] as number;
    const { datasetsCount } = block;
    if (this.keys.length < datasetsCount) this.keys = new Uint32Array(datasetsCount * 2);
    for (let i = 0; i < datasetsCount; i++) {
      const end = this.#translate(block, i);
      let key = dictionary.findKey(this.#words, 0, end);
      if (key < 0) {
        if (mode === "find") return false;
        key = dictionary.loadKey(this.#words, 0, end);
        if (key < 0) key = dictionary.addKey(this.#words, 0, end);
      }
      this.keys[i] = key;
    }
    return true;
  }

  #resolveStrings(block: BlockReader, dictionary: Dictionary, mode: ResolveMode): boolean {
    const view = this.viewOf(block);
    const { stringsCount } = block;
    if (this.#strings.length < stringsCount) this.#strings = new Int32Array(stringsCount * 2);
    const strings = this.#strings;
    const endsAt = block.stringEndsOffset >>> 2;
    const base = block.stringBytesOffset;
    const found = dictionary.findStrings(view, base, block.i32, endsAt, stringsCount, strings);
    if (found < stringsCount && mode === "find") return false;
    for (let i = found; i < stringsCount; i++) {
      strings[i] = resolveString(dictionary, view, block.stringStart(i), block.stringEnd(i));
    }
    // Reference 0 is the empty string, whatever stands there.
    strings[0] = 0;
    return true;
  }

  /** Fills #words with the key of dataset i and returns its length. */
  #translate(block: BlockReader, i: number): number {
    const labelsCount = block.datasetU32(i, DATASET.labelsCount);
    const length = 2 + labelsCount;
    if (this.#words.length < length) this.#words = new Int32Array(length * 2);
    const words = this.#words;
    const strings = this.#strings;
    const { i32 } = block;
    words[0] = strings[block.datasetI32(i, DATASET.tenant)] as number;
    words[1] = strings[block.datasetI32(i, DATASET.name)] as number;
    let from = (block.labelsOffset >>> 2) + block.datasetU32(i, DATASET.labelsStart);
    let to = 2;
    while (to < length) {
      const pairs = i32[from++] as number;
      words[to++] = pairs;
      for (const setEnd = to + 2 * pairs; to < setEnd; to++) {
        words[to] = strings[i32[from++] as number] as number;
      }
    }
    return length;
  }
}

/** Finds the string in memory or database, or gives out an id. */
function resolveString(dictionary: Dictionary, view: DataView, start: number, end: number): number {
  if (start === end) return 0;
  const found = dictionary.findString(view, start, end);
  if (found >= 0) return found;
  const loaded = dictionary.loadString(view, start, end);
  return loaded >= 0 ? loaded : dictionary.addString(view, start, end);
}
