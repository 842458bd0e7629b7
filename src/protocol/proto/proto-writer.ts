/**
 * Writes a protobuf message into one growing buffer: defaults are left out, lists of integers are packed. For messages of
 * many small parts, where the library keeps an object for every number until the end.
 */

const VARINT = 0;
const LENGTH = 2;
const VARINT_MAX_BYTES = 10;
/** Texts up to here are written here when they are ASCII: a call into native code costs more. */
const SHORT_TEXT = 64;

export class ProtoWriter {
  #bytes: Buffer;
  #length = 0;

  /** `capacity`: bytes that are expected; growing from less copies what is there. */
  constructor(capacity = 4_096) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** The message; owned by the caller. */
  finish(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#bytes, 0, this.#length);
  }

  /** Starts a message inside; give what this returns to `end`. */
  begin(field: number): number {
    this.#reserve(2 * VARINT_MAX_BYTES);
    this.#varint(field * 8 + LENGTH);
    // Most are shorter than 128 bytes; `end` makes room for a longer length.
    this.#length++;
    return this.#length;
  }

  end(start: number): void {
    const bytes = this.#length - start;
    if (bytes < 0x80) {
      this.#bytes[start - 1] = bytes;
      return;
    }
    const more = varintBytes(bytes) - 1;
    this.#reserve(more);
    this.#bytes.copyWithin(start + more, start, this.#length);
    this.#length = start - 1;
    this.#varint(bytes);
    this.#length += bytes;
  }

  text(field: number, text: string): void {
    if (text === "") return;
    // Three bytes for a UTF-16 unit at most.
    this.#reserve(2 * VARINT_MAX_BYTES + 3 * text.length);
    const start = this.begin(field);
    const end = text.length <= SHORT_TEXT ? putAscii(this.#bytes, start, text) : -1;
    this.#length = end < 0 ? start + this.#bytes.write(text, start) : end;
    this.end(start);
  }

  /** A whole number from 0 to 2^53. */
  uint(field: number, value: number): void {
    if (value === 0) return;
    this.#reserve(2 * VARINT_MAX_BYTES);
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
  }

  /** Whole numbers from 0 to 2^53. */
  packed(field: number, values: readonly number[]): void {
    if (values.length === 0) return;
    const start = this.begin(field);
    this.#reserve(VARINT_MAX_BYTES * values.length);
    const bytes = this.#bytes;
    let at = start;
    for (const value of values) at = putVarint(bytes, at, value);
    this.#length = at;
    this.end(start);
  }

  int64(field: number, value: bigint): void {
    if (value === 0n) return;
    this.#reserve(2 * VARINT_MAX_BYTES);
    this.#varint(field * 8 + VARINT);
    let rest = BigInt.asUintN(64, value);
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.#length++] = Number(rest);
  }

  #varint(value: number): void {
    this.#length = putVarint(this.#bytes, this.#length, value);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#length + bytes));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Returns where it ends. */
function putVarint(bytes: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  // Above 31 bits the operators on integers do not reach.
  for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) | 0x80;
  for (; rest >= 0x80; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}

/** Returns where it ends; -1: it is not ASCII. */
function putAscii(bytes: Uint8Array, offset: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return -1;
    bytes[offset + i] = unit;
  }
  return offset + text.length;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}
