/**
 * Reads one FlatBuffers table in place and trusts nothing: every offset and length is checked
 * against the range before it is used, so that hostile bytes give an error and never a read outside
 * of the message.
 *
 * ```
 * base:    u32 root -> table
 * table:   i32 (table - vtable) | fields
 * vtable:  u16 its bytes | u16 table bytes | u16 offset in the table, per field; 0 = absent
 * vector:  u32 count | elements              a field refers to it by a u32 relative to itself
 * string:  u32 bytes | UTF-8 | 0
 * ```
 *
 * The generated accessors check nothing; they are the oracle of the tests, not a way to read what
 * peers send.
 */

import {
  HearthError,
  tryDecodeUlidWords,
  ULID_BYTES,
  ULID_TEXT_LENGTH,
  ULID_TEXT_WORDS,
} from "../../base/index.ts";
import { AlignedViews } from "./aligned-views.ts";
import { isValidUtf8, readText, type TextMemo } from "./text.ts";

/** Reason of every structural refusal. */
export const BAD_STRUCTURE = "bad_structure";

/** Refusal of bytes that are no such table. */
export function structureError(what: string): HearthError {
  return new HearthError("invalid_argument", `Malformed message: ${what}`, {
    reason: BAD_STRUCTURE,
  });
}

export class FlatReader {
  readonly views: AlignedViews;
  /** Set by `vector`: where its elements begin in the views, bytes, and how many there are. */
  vectorOffset = 0;
  vectorCount = 0;
  #table = 0;
  #tableBytes = 0;
  #vtable = 0;
  #vtableBytes = 0;

  constructor(views: AlignedViews = new AlignedViews()) {
    this.views = views;
  }

  /** Opens the root table of bytes[offset, offset + length). Borrowed. */
  open(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): this {
    this.views.point(bytes, offset, length);
    return this.openPointed();
  }

  /** Opens the root table of the range that the views point at. */
  openPointed(): this {
    const { i32, base, end } = this.views;
    if (end - base < 8) throw structureError(`${end - base} bytes are too short for a table`);
    this.#openTable(base + ((i32[base >>> 2] as number) >>> 0));
    return this;
  }

  /** The table a field refers to, or null when it is absent. Allocates. */
  table(field: number): FlatReader | null {
    const slot = this.#slot(field, 4);
    if (slot < 0) return null;
    const child = new FlatReader(this.views);
    child.#openTable(this.#target(slot));
    return child;
  }

  /** A vector of bytes as a view, or null when it is absent. Borrowed. */
  bytes(field: number): Uint8Array | null {
    if (!this.vector(field, 1, 1)) return null;
    return new Uint8Array(this.views.u8.buffer, this.vectorOffset, this.vectorCount);
  }

  /** The tables of a vector. Bounded by `countMax` before anything is allocated. */
  tables(field: number, countMax: number, what: string): FlatReader[] {
    if (!this.vector(field, 4, 4)) return [];
    const { vectorOffset, vectorCount } = this;
    checkCount(vectorCount, countMax, what);
    const result: FlatReader[] = [];
    for (let i = 0; i < vectorCount; i++) {
      const child = new FlatReader(this.views);
      child.#openTable(this.#target(vectorOffset + 4 * i));
      result.push(child);
    }
    return result;
  }

  /** Offset of an inline struct in the views, or -1 when the field is absent. */
  struct(field: number, bytes: number): number {
    const offset = this.#slot(field, bytes);
    if (offset >= 0 && (offset & 7) !== 0) throw structureError("a struct is not aligned");
    return offset;
  }

  /**
   * Finds a vector: false when it is absent (then empty), else vectorOffset and vectorCount are
   * set.
   */
  vector(field: number, elementBytes: number, align: number): boolean {
    this.vectorOffset = this.views.base;
    this.vectorCount = 0;
    const slot = this.#slot(field, 4);
    if (slot < 0) return false;
    this.#openVector(this.#target(slot), elementBytes, align);
    return true;
  }

  u8(field: number, absent = 0): number {
    const slot = this.#slot(field, 1);
    return slot < 0 ? absent : (this.views.u8[slot] as number);
  }

  u32(field: number, absent = 0): number {
    const slot = this.#slot(field, 4);
    return slot < 0 ? absent : (this.views.i32[slot >>> 2] as number) >>> 0;
  }

  f64(field: number, absent = 0): number {
    const slot = this.#slot(field, 8);
    if (slot < 0) return absent;
    // Doubles of small tables may legally stand at any multiple of 8 only; checked like every slot.
    if ((slot & 7) !== 0) throw structureError("a double is not aligned");
    return this.views.f64[slot >>> 3] as number;
  }

  i64(field: number): bigint {
    const slot = this.#slot(field, 8);
    return slot < 0 ? 0n : this.views.u8.readBigInt64LE(slot);
  }

  /**
   * Text of a string field; "" when absent. Refuses what is not UTF-8 and what is longer than the
   * limit.
   */
  text(field: number, maxBytes: number, what: string): string {
    const slot = this.#slot(field, 4);
    return slot < 0 ? "" : this.#text(this.#target(slot), maxBytes, what);
  }

  /** As `text`, for a field that mostly holds what it held the last time: what the memo keeps passed before. */
  textAgain(field: number, memo: TextMemo, maxBytes: number, what: string): string {
    const slot = this.#slot(field, 4);
    if (slot < 0) return "";
    const vector = this.#target(slot);
    this.#openVector(vector, 1, 1);
    const start = this.vectorOffset;
    const end = start + this.vectorCount;
    const known = memo.find(this.views.u8, start, end);
    if (known !== null) return known;
    const text = this.#text(vector, maxBytes, what);
    memo.keep(this.views.u8, start, end, text);
    return text;
  }

  /**
   * Block ids of a vector of strings, ULID_BYTES each, in one array: `known` if it has their length,
   * else a new one. Bounded like `texts`; refuses what is no canonical ULID.
   */
  ulids(field: number, known: Uint8Array, countMax: number, what: string): Uint8Array {
    if (!this.vector(field, 4, 4)) return NO_BYTES;
    const { vectorOffset, vectorCount } = this;
    checkCount(vectorCount, countMax, what);
    const bytes = vectorCount * ULID_BYTES;
    const ids = known.length === bytes ? known : new Uint8Array(bytes);
    const { u8, i32, end } = this.views;
    for (let i = 0; i < vectorCount; i++) {
      this.#openVector(this.#target(vectorOffset + 4 * i), 1, 1);
      const { vectorOffset: start, vectorCount: length } = this;
      // Strings end with a zero and are padded to words: what comes behind an id is there to be read with it.
      const hasEnd = length !== ULID_TEXT_LENGTH || start + 4 * ULID_TEXT_WORDS <= end;
      if (!hasEnd) throw structureError("a string is cut off");
      const isUlid =
        length === ULID_TEXT_LENGTH && tryDecodeUlidWords(i32, start >>> 2, ids, i * ULID_BYTES);
      if (!isUlid) throw idError(what, readText(u8, start, start + Math.min(length, 40)));
    }
    return ids;
  }

  /** Texts of a vector of strings. Bounded by `countMax` before anything is allocated. */
  texts(field: number, countMax: number, maxBytes: number, what: string): string[] {
    if (!this.vector(field, 4, 4)) return [];
    const { vectorOffset, vectorCount } = this;
    checkCount(vectorCount, countMax, what);
    const result: string[] = [];
    for (let i = 0; i < vectorCount; i++) {
      result.push(this.#text(this.#target(vectorOffset + 4 * i), maxBytes, what));
    }
    return result;
  }

  /**
   * Strings kept as a vector of ends and one of bytes. Bounded by the message: each takes four
   * bytes at least.
   */
  stringTable(endsField: number, bytesField: number, what: string): string[] {
    this.vector(endsField, 4, 4);
    const { vectorOffset: ends, vectorCount: count } = this;
    this.vector(bytesField, 1, 1);
    const { vectorOffset: bytes, vectorCount: bytesCount } = this;
    const { u8, i32 } = this.views;
    const result: string[] = [];
    let start = 0;
    for (let i = 0; i < count; i++) {
      const end = (i32[(ends >>> 2) + i] as number) >>> 0;
      if (end < start || end > bytesCount)
        throw structureError(`${what}: string ${i} is out of bounds`);
      result.push(readText(u8, bytes + start, bytes + end));
      start = end;
    }
    return result;
  }

  #text(vector: number, maxBytes: number, what: string): string {
    this.#openVector(vector, 1, 1);
    const { vectorOffset: start, vectorCount: bytes } = this;
    if (bytes > maxBytes) {
      throw new HearthError(
        "invalid_argument",
        `Cannot read ${what}: a string has ${bytes} bytes, limit is ${maxBytes}`,
        { reason: "string_too_long" },
      );
    }
    if (!isValidUtf8(this.views.u8, start, start + bytes)) {
      throw new HearthError("invalid_argument", `Cannot read ${what}: a string is not UTF-8`, {
        reason: "string_not_utf8",
      });
    }
    return readText(this.views.u8, start, start + bytes);
  }

  #openTable(table: number): void {
    const { u8, i32, base, end } = this.views;
    if (table + 4 > end || (table & 3) !== 0) throw structureError("a table is out of bounds");
    const vtable = table - (i32[table >>> 2] as number);
    if (vtable < base || vtable + 4 > end || (vtable & 1) !== 0) {
      throw structureError("a vtable is out of bounds");
    }
    const vtableBytes = readU16(u8, vtable);
    const tableBytes = readU16(u8, vtable + 2);
    if (vtableBytes < 4 || vtable + vtableBytes > end) throw structureError("a vtable is cut off");
    if (tableBytes < 4 || table + tableBytes > end) throw structureError("a table is cut off");
    this.#table = table;
    this.#tableBytes = tableBytes;
    this.#vtable = vtable;
    this.#vtableBytes = vtableBytes;
  }

  /** Offset of a field's inline bytes, or -1 when it is absent. */
  #slot(field: number, bytes: number): number {
    const entry = 4 + 2 * field;
    if (entry + 2 > this.#vtableBytes) return -1;
    const offset = readU16(this.views.u8, this.#vtable + entry);
    if (offset === 0) return -1;
    if (offset < 4 || offset + bytes > this.#tableBytes) {
      throw structureError(`field ${field} is outside of its table`);
    }
    if (bytes >= 4 && (offset & 3) !== 0) throw structureError(`field ${field} is not aligned`);
    return this.#table + offset;
  }

  #target(slot: number): number {
    const offset = (this.views.i32[slot >>> 2] as number) >>> 0;
    const target = slot + offset;
    if (offset < 4 || target + 4 > this.views.end || (target & 3) !== 0) {
      throw structureError("a reference is out of bounds");
    }
    return target;
  }

  #openVector(vector: number, elementBytes: number, align: number): void {
    const { i32, end } = this.views;
    const count = (i32[vector >>> 2] as number) >>> 0;
    const offset = vector + 4;
    if (offset + count * elementBytes > end) {
      throw structureError(`a vector of ${count} elements is cut off`);
    }
    if (count > 0 && (offset & (align - 1)) !== 0) throw structureError("a vector is not aligned");
    this.vectorOffset = offset;
    this.vectorCount = count;
  }
}

const NO_BYTES = new Uint8Array(0);

function idError(what: string, text: string): HearthError {
  const message = `Cannot read ${what}: ${JSON.stringify(text)} is not a canonical, upper-case ULID`;
  return new HearthError("invalid_argument", message, { reason: "bad_block_id" });
}

function readU16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] as number) | ((bytes[offset + 1] as number) << 8);
}

function checkCount(count: number, countMax: number, what: string): void {
  if (count <= countMax) return;
  throw new HearthError(
    "invalid_argument",
    `Cannot read ${what}: ${count} elements, limit is ${countMax}`,
    { reason: "too_many_elements" },
  );
}
