/**
 * Checked reading and writing of the small records of this folder. Little-endian; numbers that stand for terms,
 * indexes, times and sizes are doubles that must be safe integers (log/DESIGN.md, "Format"), counts are u32.
 *
 * Readers throw HearthError invalid_argument with one of REASONS, and nothing else, for any bytes.
 */

import { assert, assertFailed, HearthError } from "../../base/index.ts";
import { isId, knownId, remember } from "./ids.ts";
import { CODEC_LIMITS } from "./limits.ts";

/** Why bytes were refused: labels of a counter. */
export const CODEC_REASONS = [
  /** Not as long as it says, or cut off. */
  "bad_length",
  "bad_magic",
  "bad_checksum",
  "unsupported_version",
  /** Log entries that are not framed as log entries. */
  "bad_structure",
  /** Well framed, but it says what no correct member would say. */
  "bad_content",
  /** A bound of CODEC_LIMITS. */
  "too_large",
] as const;
export type CodecReason = (typeof CODEC_REASONS)[number];

export function codecError(reason: CodecReason, what: string): HearthError {
  return new HearthError("invalid_argument", `Malformed peer data: ${what}`, { reason });
}

export function check(isGood: boolean, what: string): void {
  if (!isGood) throw codecError("bad_content", what);
}

/** Next multiple of 8. */
export function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Refuses what is not UTF-8, and keeps a leading byte order mark: a text has one encoding. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads bytes[start, end), which are borrowed. */
export class RecordReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    assert(start >= 0 && start <= end && end <= bytes.length, "Range outside of its bytes");
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
  }

  get at(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Another reader of the same bytes, `bytes` ahead of this one. */
  ahead(bytes: number): RecordReader {
    return new RecordReader(this.#bytes, this.#at + bytes, this.#end);
  }

  /** Goes on where the other one stands. */
  skipTo({ at }: RecordReader): void {
    this.#at = at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A double that is a safe integer of 0 or more; -0 is not what a writer writes. */
  integer(what: string): number {
    const value = this.#view.getFloat64(this.#take(8), true);
    if (!Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) {
      throw codecError("bad_content", `${what} is ${value}, not an integer of 0 or more`);
    }
    return value;
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(length: number, maxBytes: number, what: string): string {
    if (length > maxBytes) {
      throw codecError("too_large", `${what} has ${length} bytes, limit is ${maxBytes}`);
    }
    const bytes = this.bytes(length);
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw codecError("bad_content", `${what} is not UTF-8`).with({ cause });
    }
  }

  id(length: number, what: string): string {
    if (length <= this.remaining) {
      const id = knownId(this.#bytes, this.#at, length);
      if (id !== null) {
        this.#at += length;
        return id;
      }
    }
    const text = this.text(length, CODEC_LIMITS.idMaxBytes, what);
    check(isId(text), `${what} ${JSON.stringify(text)} is not an id`);
    remember(text);
    return text;
  }

  /** Skips to a multiple of 8 of the bytes; what lies between must be zero: one value, one encoding. */
  align(): void {
    const start = this.#take(align8(this.#at) - this.#at);
    for (let i = start; i < this.#at; i++) check(this.#bytes[i] === 0, "padding is not zero");
  }

  expectEnd(): void {
    if (this.remaining !== 0) {
      throw codecError("bad_length", `${this.remaining} bytes are left over`);
    }
  }

  #take(length: number): number {
    if (length > this.remaining) {
      throw codecError("bad_length", `${length} bytes are wanted, ${this.remaining} are left`);
    }
    const start = this.#at;
    this.#at += length;
    return start;
  }
}

const encoder = new TextEncoder();

/** Writes into bytes that the caller has measured. Limits are the caller's promise, so they assert. */
export class RecordWriter {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }

  u8(value: number): this {
    this.#view.setUint8(this.at, value);
    this.at += 1;
    return this;
  }

  u16(value: number): this {
    if (value > 0xffff) assertFailed(`${value} does not fit into 16 bits`);
    this.#view.setUint16(this.at, value, true);
    this.at += 2;
    return this;
  }

  u32(value: number): this {
    if (value > 0xffff_ffff) assertFailed(`${value} does not fit into 32 bits`);
    this.#view.setUint32(this.at, value, true);
    this.at += 4;
    return this;
  }

  integer(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0)
      assertFailed(`${value} is not an index, term or size`);
    this.#view.setFloat64(this.at, value, true);
    this.at += 8;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
    return this;
  }

  /** To the next multiple of 8; the bytes are zero from the start. */
  align(): this {
    this.at = align8(this.at);
    return this;
  }
}

export function encodeText(text: string, maxBytes: number, what: string): Uint8Array {
  const bytes = encoder.encode(text);
  assert(bytes.length <= maxBytes, `${what} has ${bytes.length} bytes, limit is ${maxBytes}`);
  return bytes;
}
