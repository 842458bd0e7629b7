/**
 * Writes one small FlatBuffers table front to back into a sink: what the requests and replies are
 * made of.
 *
 * Every slot is 8 bytes wide, which wastes a few bytes and needs no layout pass. Absent fields have
 * no vtable entry, as in generated code. Rejected: the generated builder, which writes back to
 * front through one call per scalar and took 20 times as long (src/protocol/DESIGN.md).
 *
 * ```
 * u32 root | vtable | padding | i32 (table - vtable) | 8 B slot per field | strings, vectors
 * ```
 */

import type { ByteSink } from "./sink.ts";
import { writeText } from "./text.ts";

export class FlatWriter {
  #sink!: ByteSink;
  #start = 0;
  #vtable = 0;
  #slots = 0;

  /** Begins a table of `fieldCount` fields at the end of the sink, which must be 8-aligned. */
  begin(sink: ByteSink, fieldCount: number): void {
    const start = sink.length;
    const vtable = start + 4;
    // The table begins at 4 modulo 8, so that the slots behind its first word are 8-aligned.
    const table = ((vtable + 4 + 2 * fieldCount + 3) & ~7) + 4;
    const end = table + 4 + 8 * fieldCount;
    sink.reserve(end - start);
    sink.u8.fill(0, start, end);
    sink.i32[start >>> 2] = table - start;
    writeU16(sink.u8, vtable, 4 + 2 * fieldCount);
    writeU16(sink.u8, vtable + 2, 4 + 8 * fieldCount);
    sink.i32[table >>> 2] = table - vtable;
    sink.length = end;
    this.#sink = sink;
    this.#start = start;
    this.#vtable = vtable;
    this.#slots = table + 4;
  }

  /** Pads to a multiple of 8 and returns how many bytes the table took. */
  end(): number {
    this.#sink.align8();
    return this.#sink.length - this.#start;
  }

  u8(field: number, value: number): void {
    if (value !== 0) this.#sink.u8[this.#slot(field)] = value;
  }

  u32(field: number, value: number): void {
    if (value !== 0) this.#sink.u32[this.#slot(field) >>> 2] = value;
  }

  f64(field: number, value: number): void {
    if (value !== 0) this.#sink.f64[this.#slot(field) >>> 3] = value;
  }

  /** An empty text is an absent field. */
  text(field: number, value: string): void {
    if (value !== "") this.#text(this.#slot(field), value);
  }

  /** An empty list is an absent field. */
  texts(field: number, values: readonly string[]): void {
    if (values.length === 0) return;
    const slots = this.#vector(this.#slot(field), values.length);
    for (let i = 0; i < values.length; i++) this.#text(slots + 4 * i, values[i] as string);
  }

  /** Strings as a vector of ends and one of bytes. Both vectors are always present. */
  stringTable(endsField: number, bytesField: number, values: readonly string[]): void {
    const sink = this.#sink;
    const ends = this.#vector(this.#slot(endsField), values.length);
    const bytes = this.#vector(this.#slot(bytesField), 0);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as string;
      sink.reserve(3 * value.length);
      sink.length += writeText(sink.u8, sink.length, value);
      sink.i32[(ends >>> 2) + i] = sink.length - bytes;
    }
    sink.i32[(bytes >>> 2) - 1] = sink.length - bytes;
    sink.align8();
  }

  #vector(slot: number, count: number): number {
    const sink = this.#sink;
    sink.reserve(4 + 4 * count);
    sink.i32[slot >>> 2] = sink.length - slot;
    sink.i32[sink.length >>> 2] = count;
    const slots = sink.length + 4;
    sink.length = slots + 4 * count;
    return slots;
  }

  #text(slot: number, value: string): void {
    const sink = this.#sink;
    sink.reserve(8 + 3 * value.length);
    const vector = sink.length;
    const bytes = writeText(sink.u8, vector + 4, value);
    sink.i32[slot >>> 2] = vector - slot;
    sink.i32[vector >>> 2] = bytes;
    let end = vector + 4 + bytes;
    sink.u8[end++] = 0;
    while ((end & 3) !== 0) sink.u8[end++] = 0;
    sink.length = end;
  }

  #slot(field: number): number {
    writeU16(this.#sink.u8, this.#vtable + 4 + 2 * field, 4 + 8 * field);
    return this.#slots + 8 * field;
  }
}

function writeU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value & 255;
  bytes[offset + 1] = value >>> 8;
}
