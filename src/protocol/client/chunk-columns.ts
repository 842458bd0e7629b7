/**
 * What plan and labels chunks share: growing columns, the string table, and their assembly into one
 * FlatBuffer.
 */

import { ByteSink } from "../bytes/sink.ts";
import { writeText } from "../bytes/text.ts";

/**
 * Bytes in front of a finished chunk, in the same ArrayBuffer, that belong to the caller: the frame
 * header goes there and the whole frame is sent without a copy.
 */
export const CHUNK_HEADROOM_BYTES = 16;

/**
 * A chunk's strings, filled in any order and without a look for duplicates: the caller knows its
 * ids.
 */
export class StringColumn {
  readonly ends = new ByteSink();
  readonly bytes = new ByteSink();
  count = 0;

  /** Empties the table; string 0 is the empty string again. */
  reset(): void {
    this.ends.reset();
    this.bytes.reset();
    this.count = 0;
    this.#end();
  }

  /** Appends bytes[start, end), UTF-8, and returns its reference. */
  add(bytes: Uint8Array, start: number, end: number): number {
    const sink = this.bytes;
    const length = end - start;
    sink.reserve(length);
    // Most strings are short: a loop beats a view and a native copy.
    for (let i = 0; i < length; i++) sink.u8[sink.length + i] = bytes[start + i] as number;
    sink.length += length;
    return this.#end();
  }

  addText(text: string): number {
    this.bytes.reserve(3 * text.length);
    this.bytes.length += writeText(this.bytes.u8, this.bytes.length, text);
    return this.#end();
  }

  #end(): number {
    this.ends.reserve(4);
    this.ends.i32[this.ends.length >>> 2] = this.bytes.length;
    this.ends.length += 4;
    return this.count++;
  }
}

/** Appends one int to a column. */
export function pushInt(column: ByteSink, value: number): void {
  column.reserve(4);
  column.i32[column.length >>> 2] = value;
  column.length += 4;
}

/** Starts a chunk in `out`: headroom, then the prelude; the slots are filled by `appendVector`. */
export function beginChunk(out: ByteSink, words: readonly number[], preludeBytes: number): void {
  out.reset();
  out.reserve(CHUNK_HEADROOM_BYTES + preludeBytes);
  out.u8.fill(0, 0, CHUNK_HEADROOM_BYTES + preludeBytes);
  for (let i = 0; i < words.length; i++) {
    out.i32[CHUNK_HEADROOM_BYTES / 4 + i] = words[i] as number;
  }
  out.length = CHUNK_HEADROOM_BYTES + preludeBytes;
}

/** Appends a column as a vector and points the slot (relative to the chunk) at it. */
export function appendVector(
  out: ByteSink,
  slot: number,
  column: ByteSink,
  shape: { readonly elementBytes: number; readonly align: number },
): void {
  out.reserve(column.length + 16);
  while ((out.length & 3) !== 0) out.u8[out.length++] = 0;
  // Elements, not the length in front of them, are what must be aligned.
  if (shape.align === 8 && (out.length & 7) !== 4) {
    out.i32[out.length >>> 2] = 0;
    out.length += 4;
  }
  const slotOffset = CHUNK_HEADROOM_BYTES + slot;
  out.i32[slotOffset >>> 2] = out.length - slotOffset;
  out.i32[out.length >>> 2] = column.length / shape.elementBytes;
  out.length += 4;
  if (column.length > SHORT_COLUMN_BYTES) out.append(column.u8, 0, column.length);
  else appendWords(out, column);
}

/** Up to here a loop over words is cheaper than making a view for a native copy. */
const SHORT_COLUMN_BYTES = 512;

/** Both sides begin at a multiple of 4; what the last word holds beyond the column is overwritten by what follows. */
function appendWords(out: ByteSink, column: ByteSink): void {
  const target = out.i32;
  const source = column.i32;
  const to = out.length >>> 2;
  const count = (column.length + 3) >>> 2;
  for (let word = 0; word < count; word++) target[to + word] = source[word] as number;
  out.length += column.length;
}
