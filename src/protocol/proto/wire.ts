/**
 * Protobuf on the wire: a reader that walks a message in place, and what writers need to append one to a sink.
 *
 * Fields whose wire type is not the declared one are read as unknown ones, and skipped, as the format demands: callers
 * switch over whole tags.
 */

import { HearthError } from "../../base/index.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { isValidUtf8, readText } from "../bytes/text.ts";

/** Wire types in use; 3 and 4 are the groups of old, 5 and 1 fixed numbers. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 };

const FIELD_MAX = 0x1fff_ffff;
/** Of groups in groups, which only a hostile sender makes. */
const GROUP_DEPTH_MAX = 100;
const TWO_32 = 0x1_0000_0000;
/** High word of 2^53. */
const EXACT_HIGH = 0x20_0000;

/** The tag of a field: what `ProtoReader.tag` compares with. */
export function tagOf(field: number, wire: number): number {
  return ((field << 3) | wire) >>> 0;
}

/**
 * One per purpose and thread. Positions are absolute in `bytes`.
 *
 * Errors: every read throws HearthError invalid_argument "bad_protobuf" for bytes that are no message.
 */
export class ProtoReader {
  bytes!: Buffer;
  position = 0;
  end = 0;
  /** Tag of the field that `next` found. */
  tag = 0;
  /** The last varint: both halves as int32. */
  low = 0;
  high = 0;

  /** Reads bytes[start, end) next; borrowed. */
  reset(bytes: Uint8Array, start = 0, end: number = bytes.length): this {
    this.bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.position = start;
    this.end = end;
    return this;
  }

  /** Goes to the next field; false at the end of the message. */
  next(): boolean {
    if (this.position >= this.end) return false;
    this.varint();
    const tag = this.low >>> 0;
    if (this.high !== 0 || tag < 8 || tag >>> 3 > FIELD_MAX) throw malformed("a bad tag");
    this.tag = tag;
    return true;
  }

  /** Reads a varint to `low` and `high`. */
  varint(): void {
    const { bytes, end } = this;
    let at = this.position;
    let low = 0;
    this.high = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= end) throw malformed("a number that is cut off");
      const byte = bytes[at++] as number;
      low |= (byte & 127) << shift;
      if (byte < 128) {
        this.position = at;
        this.low = low;
        return;
      }
    }
    this.#longVarint(at, low);
  }

  #longVarint(start: number, lowBits: number): void {
    const { bytes, end } = this;
    let at = start;
    if (at >= end) throw malformed("a number that is cut off");
    let byte = bytes[at++] as number;
    const low = lowBits | ((byte & 15) << 28);
    let high = (byte & 127) >>> 4;
    for (let shift = 3; byte >= 128; shift += 7) {
      if (at >= end) throw malformed("a number that is cut off");
      byte = bytes[at++] as number;
      if (shift > 31 || (shift === 31 && byte > 1))
        throw malformed("a number of more than 64 bits");
      high |= (byte & 127) << shift;
    }
    this.position = at;
    this.low = low;
    this.high = high;
  }

  /** An int32 or enum field; larger numbers are cut to 32 bits, as everywhere. */
  int32(): number {
    this.varint();
    return this.low;
  }

  uint32(): number {
    this.varint();
    return this.low >>> 0;
  }

  /** An int64 as a double; NaN beyond +-2^53, where doubles are not exact. */
  int64(): number {
    this.varint();
    return exactInt64(this.low, this.high);
  }

  /** A uint64 as a double; NaN beyond 2^53. */
  uint64(): number {
    this.varint();
    if (this.high < 0 || this.high >= EXACT_HIGH) return Number.NaN;
    return this.high * TWO_32 + (this.low >>> 0);
  }

  bool(): boolean {
    this.varint();
    return (this.low | this.high) !== 0;
  }

  /** Length of the bytes that begin at `position` then. */
  length(): number {
    this.varint();
    const length = this.low >>> 0;
    if (this.high !== 0 || length > this.end - this.position)
      throw malformed(`a field of ${length} bytes where ${this.end - this.position} are left`);
    return length;
  }

  /** Begins to read a field's bytes as a message of its own; pass the result to `leave`. */
  enter(): number {
    const length = this.length();
    const outer = this.end;
    this.end = this.position + length;
    return outer;
  }

  /** Ends what `enter` began, read or not. */
  leave(outer: number): void {
    this.position = this.end;
    this.end = outer;
  }

  /** Text of a string field. Errors: also for what is no UTF-8, or longer than `maxBytes`. */
  text(maxBytes: number, what: string): string {
    const length = this.length();
    const start = this.position;
    if (length > maxBytes) throw tooLong(`${what} has ${length} bytes, limit is ${maxBytes}`);
    const end = start + length;
    if (!isValidUtf8(this.bytes, start, end)) throw malformed(`${what} is not UTF-8`);
    this.position = end;
    return readText(this.bytes, start, end);
  }

  /** Skips the field that `next` found. */
  skip(): void {
    this.#skip(this.tag, 0);
  }

  #skip(tag: number, depth: number): void {
    switch (tag & 7) {
      case WIRE.varint:
        return this.varint();
      case WIRE.fixed64:
        return this.#advance(8);
      case WIRE.bytes:
        return this.#advance(this.length());
      case WIRE.fixed32:
        return this.#advance(4);
      case WIRE.groupStart:
        return this.#skipGroup(tag >>> 3, depth + 1);
      default:
        throw malformed(`a field of wire type ${tag & 7}`);
    }
  }

  #skipGroup(field: number, depth: number): void {
    if (depth > GROUP_DEPTH_MAX) throw malformed("groups within groups");
    while (this.next()) {
      const { tag } = this;
      if ((tag & 7) !== WIRE.groupEnd) this.#skip(tag, depth);
      else if (tag >>> 3 === field) return;
      else throw malformed("the end of another group");
    }
    throw malformed("a group without an end");
  }

  #advance(bytes: number): void {
    if (bytes > this.end - this.position) throw malformed("a field that is cut off");
    this.position += bytes;
  }
}

/** The int64 of two words as a double; NaN where that would not be exact. */
export function exactInt64(low: number, high: number): number {
  const isExact = (high < EXACT_HIGH && high >= -EXACT_HIGH) || (high === EXACT_HIGH && low === 0);
  return isExact ? high * TWO_32 + (low >>> 0) : Number.NaN;
}

/** What is no message of the declared type. */
export function malformed(what: string): HearthError {
  return new HearthError("invalid_argument", `Cannot read protobuf: ${what}`, {
    reason: "bad_protobuf",
  });
}

/** A text or list over its limit. */
export function tooLong(what: string): HearthError {
  return new HearthError("invalid_argument", `Cannot read protobuf: ${what}`, {
    reason: "too_long",
  });
}

// -- writing -----------------------------------------------------------------------------------------------------------

/** Most bytes that one number takes. */
export const VARINT_MAX_BYTES = 10;

/** Appends a varint of 32 bits. The sink has room for 5 bytes. */
export function putU32(sink: ByteSink, value: number): void {
  const { u8 } = sink;
  let at = sink.length;
  let rest = value >>> 0;
  while (rest > 127) {
    u8[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  u8[at++] = rest;
  sink.length = at;
}

/** Appends a varint of two words. The sink has room for 10 bytes. */
export function putU64(sink: ByteSink, low: number, high: number): void {
  if (high === 0) {
    putU32(sink, low);
    return;
  }
  const { u8 } = sink;
  let at = sink.length;
  let lo = low >>> 0;
  let hi = high >>> 0;
  while (hi !== 0 || lo > 127) {
    u8[at++] = (lo & 127) | 128;
    lo = ((lo >>> 7) | (hi << 25)) >>> 0;
    hi >>>= 7;
  }
  u8[at++] = lo;
  sink.length = at;
}

/** Appends a whole number of up to 53 bits, of either sign. The sink has room for 10 bytes. */
export function putInt64(sink: ByteSink, value: number): void {
  const high = Math.floor(value / TWO_32);
  putU64(sink, value - high * TWO_32, high);
}

/** Appends a string field; nothing for the empty string. */
export function putText(sink: ByteSink, field: number, text: string): void {
  if (text === "") return;
  putTextElement(sink, field, text);
}

/** Appends an element of a repeated string field: also the empty one. */
export function putTextElement(sink: ByteSink, field: number, text: string): void {
  const maxBytes = 3 * text.length;
  sink.reserve(2 * VARINT_MAX_BYTES + maxBytes);
  putU32(sink, tagOf(field, WIRE.bytes));
  const start = beginLength(sink);
  sink.length += sink.u8.write(text, sink.length, maxBytes, "utf8");
  endLength(sink, start);
}

/** Appends a whole number field of up to 53 bits; nothing for 0. */
export function putNumber(sink: ByteSink, field: number, value: number): void {
  if (value === 0) return;
  sink.reserve(2 * VARINT_MAX_BYTES);
  putU32(sink, tagOf(field, WIRE.varint));
  putInt64(sink, value);
}

/** Begins a field with a length in front: the tag, and room for the length. Pass the result to `endLength`. */
export function beginField(sink: ByteSink, field: number): number {
  sink.reserve(2 * VARINT_MAX_BYTES);
  putU32(sink, tagOf(field, WIRE.bytes));
  return beginLength(sink);
}

/** Leaves the one byte that most lengths take. */
export function beginLength(sink: ByteSink): number {
  sink.length++;
  return sink.length;
}

/** Writes the length of what stands behind `start`; moves it where the length takes more than a byte. */
export function endLength(sink: ByteSink, start: number): void {
  const length = sink.length - start;
  if (length < 128) {
    sink.u8[start - 1] = length;
    return;
  }
  const more = varintBytes(length) - 1;
  sink.reserve(more);
  sink.u8.copyWithin(start + more, start, sink.length);
  sink.length = start - 1;
  putU32(sink, length);
  sink.length += length;
}

/** Bytes that a number of 32 bits takes. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}
