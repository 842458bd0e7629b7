/**
 * Rows of `tails` and `postings` in memory (db/DESIGN.md, "Rows"): a growing buffer of them, and their order.
 */

import { ROW, ROW_BYTES } from "../../db/index.ts";
import { swapBytes } from "../../protocol/index.ts";

export const ROW_WORDS = ROW_BYTES / 4;
export const ROW_DOUBLES = ROW_BYTES / 8;
/** Words of a ULID, at the start of a row. */
export const ID_WORDS = 4;

export class RowBuffer {
  count = 0;
  bytes = new Uint8Array(64 * ROW_BYTES);
  words = new Uint32Array(this.bytes.buffer);
  doubles = new Float64Array(this.bytes.buffer);

  /** Appends whole rows. Copies. */
  append(bytes: Uint8Array): void {
    this.reserve(this.count + bytes.length / ROW_BYTES);
    this.bytes.set(bytes, this.count * ROW_BYTES);
    this.count += bytes.length / ROW_BYTES;
  }

  /** Appends row `i` of another buffer's words. */
  appendRow(words: Uint32Array, i: number): void {
    this.reserve(this.count + 1);
    const from = i * ROW_WORDS;
    const to = this.count * ROW_WORDS;
    for (let word = 0; word < ROW_WORDS; word++)
      this.words[to + word] = words[from + word] as number;
    this.count++;
  }

  keyAt(i: number): number {
    return this.words[i * ROW_WORDS + ROW.key32] as number;
  }

  /** The rows as they are stored. Borrowed. */
  content(): Uint8Array {
    return this.bytes.subarray(0, this.count * ROW_BYTES);
  }

  reserve(rows: number): void {
    if (rows * ROW_BYTES <= this.bytes.length) return;
    const before = this.bytes;
    this.bytes = new Uint8Array(Math.max(rows * ROW_BYTES, before.length * 2));
    this.bytes.set(before);
    this.words = new Uint32Array(this.bytes.buffer);
    this.doubles = new Float64Array(this.bytes.buffer);
  }
}

/** Order of two ULIDs that stand at word offsets `a` and `b`: negative, 0 or positive, as their bytes compare. */
export function compareIds(aWords: Uint32Array, a: number, bWords: Uint32Array, b: number): number {
  for (let i = 0; i < ID_WORDS; i++) {
    const x = aWords[a + i] as number;
    const y = bWords[b + i] as number;
    // Not their difference: one beyond 31 bits is an object per comparison.
    if (x !== y) return swapBytes(x) < swapBytes(y) ? -1 : 1;
  }
  return 0;
}

/** Order of rows `a` and `b`: by ULID, then by position of the dataset. */
export function compareRows(words: Uint32Array, a: number, b: number): number {
  const byId = compareIds(words, a * ROW_WORDS, words, b * ROW_WORDS);
  if (byId !== 0) return byId;
  const aPosition = words[a * ROW_WORDS + ROW.position32] as number;
  return aPosition - (words[b * ROW_WORDS + ROW.position32] as number);
}
