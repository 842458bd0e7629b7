/**
 * One range of bytes seen as u8, i32 and f64, for readers that walk records by word.
 *
 * Typed arrays need alignment: a range that starts at a multiple of 8 in its ArrayBuffer is seen in
 * place, any other is copied first. Our own frames are aligned (16-byte header, padded entries);
 * what is not comes from foreign buffers, so the copy is the exception.
 */

import { assert } from "../../base/index.ts";
import { ByteSink } from "./sink.ts";

export class AlignedViews {
  u8: Buffer = EMPTY.u8;
  i32: Int32Array = EMPTY.i32;
  f64: Float64Array = EMPTY.f64;
  /** Where the range begins in `u8`, a multiple of 8. */
  base = 0;
  /** Where it ends in `u8`. */
  end = 0;
  #buffer: ArrayBufferLike = EMPTY.buffer;
  /** Bytes that were seen in place by the last call, and where they begin in `u8`: asking them is a call each. */
  #inPlace: Uint8Array | null = null;
  #inPlaceAt = 0;
  #copy: ByteSink | null = null;
  readonly #copyMaxBytes: number;

  /** Messages up to `copyMaxBytes` are copied: for readers that see a new buffer every time. */
  constructor(copyMaxBytes = 0) {
    this.#copyMaxBytes = copyMaxBytes;
  }

  /**
   * Points at bytes[offset, offset + length).
   *
   * Shape: borrowed: the views are as long-lived as `bytes`. Reads behind the range are the
   *   caller's bug.
   * Cost: none when the ArrayBuffer is that of the call before; three view objects when it is
   *   another.
   */
  point(bytes: Uint8Array, offset: number, length: number): void {
    assert(
      offset >= 0 && length >= 0 && offset + length <= bytes.length,
      "Range outside of its bytes",
    );
    const isSeen = bytes === this.#inPlace && ((this.#inPlaceAt + offset) & 7) === 0;
    this.base = isSeen ? this.#inPlaceAt + offset : this.#pointAnew(bytes, offset, length);
    this.end = this.base + length;
  }

  /** Brings the views to the range; returns where it begins in them. */
  #pointAnew(bytes: Uint8Array, offset: number, length: number): number {
    const base = bytes.byteOffset + offset;
    this.#inPlace = null;
    if (bytes.length <= this.#copyMaxBytes && (offset & 7) === 0) {
      this.#pointAtCopy(bytes);
      return offset;
    }
    if ((base & 7) === 0) {
      this.#view(bytes.buffer);
      this.#inPlace = bytes;
      this.#inPlaceAt = bytes.byteOffset;
      return base;
    }
    const copy = this.#copySink();
    copy.append(bytes, offset, length);
    this.#view(copy.buffer);
    return 0;
  }

  /** Whole, which needs no view of a part. */
  #pointAtCopy(bytes: Uint8Array): void {
    const copy = this.#copySink();
    copy.reserve(bytes.length);
    copy.u8.set(bytes);
    this.#view(copy.buffer);
  }

  #copySink(): ByteSink {
    this.#copy ??= new ByteSink();
    this.#copy.reset();
    return this.#copy;
  }

  #view(buffer: ArrayBufferLike): void {
    if (buffer === this.#buffer && this.u8.length === buffer.byteLength) return;
    this.#buffer = buffer;
    this.u8 = Buffer.from(buffer as ArrayBuffer);
    this.i32 = new Int32Array(buffer, 0, buffer.byteLength >>> 2);
    this.f64 = new Float64Array(buffer, 0, buffer.byteLength >>> 3);
  }
}

const EMPTY = new ByteSink(64);
