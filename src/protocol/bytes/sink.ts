/**
 * A growing byte buffer that writers append to, seen through every element type at once. One per
 * thread and purpose, reused: after the first few messages it does not allocate any more.
 */

import { assert, PrefixViews } from "../../base/index.ts";

const INITIAL_BYTES = 4_096;

export class ByteSink {
  /** What the views look at: asking a view for it is a call into the runtime. */
  buffer!: ArrayBuffer;
  /** Views over the whole buffer; replaced when it grows, so do not keep them across `reserve`. */
  u8!: Buffer;
  i32!: Int32Array;
  u32!: Uint32Array;
  f64!: Float64Array;
  u64!: BigUint64Array;
  /** Bytes written so far. Writers advance it themselves. */
  length = 0;
  #prefixes: PrefixViews | null = null;

  constructor(capacityBytes: number = INITIAL_BYTES) {
    this.#allocate(Math.max(64, capacityBytes));
  }

  /** Forgets the content, keeps the buffer. */
  reset(): void {
    this.length = 0;
  }

  /** Makes room for `bytes` more. Cost: a copy of the content when the buffer must double. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.u8.length) return;
    const before = this.u8;
    this.#allocate(Math.max(needed, before.length * 2));
    this.u8.set(before.subarray(0, this.length), 0);
  }

  /** Pads with zeros to a multiple of 8: bytes must not depend on what the buffer held before. */
  align8(): void {
    this.reserve(8);
    while ((this.length & 7) !== 0) this.u8[this.length++] = 0;
  }

  /** Appends bytes[offset, offset + length). */
  append(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): void {
    assert(offset >= 0 && offset + length <= bytes.length, "Append range outside of its source");
    this.reserve(length);
    this.u8.set(
      offset === 0 && length === bytes.length ? bytes : bytes.subarray(offset, offset + length),
      this.length,
    );
    this.length += length;
  }

  /** Appends two little-endian u32. The length must be a multiple of 4. */
  appendWords(first: number, second: number): void {
    this.reserve(8);
    const word = this.length >>> 2;
    this.i32[word] = first;
    this.i32[word + 1] = second;
    this.length += 8;
  }

  /**
   * What was written from `start` on. Borrowed: valid until the sink is written to again.
   *
   * Not a Buffer: `slice` of a Buffer shares the bytes, and a caller who slices a borrowed view
   * wants a copy.
   */
  view(start = 0): Uint8Array {
    return new Uint8Array(this.buffer, start, this.length - start);
  }

  /** As view(), without making one each time; for sinks whose lengths repeat. Not to be kept. */
  prefix(): Uint8Array {
    this.#prefixes ??= new PrefixViews();
    return this.#prefixes.of(this.buffer, this.length);
  }

  /** What was written from `start` on, owned, alone in its ArrayBuffer: may be transferred. */
  copy(start = 0): Uint8Array<ArrayBuffer> {
    // Not zeroed first: it is overwritten whole.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(this.length - start).buffer);
    bytes.set(this.u8.subarray(start, this.length));
    return bytes;
  }

  #allocate(capacityBytes: number): void {
    const buffer = new ArrayBuffer(Math.ceil(capacityBytes / 8) * 8);
    this.buffer = buffer;
    // Alone in its ArrayBuffer, at offset 0: the other views and `view` count on it.
    this.u8 = Buffer.from(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.u64 = new BigUint64Array(buffer);
  }
}
