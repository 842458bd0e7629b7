/**
 * Reads a wire Block in place, for the code that handles every block: validation and apply.
 *
 * `open` finds head and vectors and checks that they lie inside the bytes; after that all reads are
 * plain loads from the views. What it does not check are the numbers *inside* the records
 * (references, runs of labels): that is `validateBlock`, which every block passes before it enters
 * the log.
 */

import { encodeUlid, type HearthError, isHearthError } from "../../base/index.ts";
import { AlignedViews } from "../bytes/aligned-views.ts";
import { FlatReader, structureError } from "../bytes/flat-reader.ts";
import { readText } from "../bytes/text.ts";
import { DATASET, HEAD } from "../layout.ts";

/** Field numbers of hearth.wire.Block. */
const FIELD = { head: 0, datasets: 1, labels: 2, toc: 3, stringEnds: 4, stringBytes: 5 } as const;

/**
 * Reused for every block of a thread; all offsets are byte offsets into the views, valid until the
 * next reset.
 */
export class BlockReader {
  /**
   * Views over the ArrayBuffer that holds the block (or over an aligned copy). Borrowed, like the
   * block's bytes.
   */
  u8!: Buffer;
  i32!: Int32Array;
  f64!: Float64Array;
  /** The head: HEAD.bytes bytes. */
  headOffset = 0;
  /** Dataset i stands at datasetsOffset + i * DATASET.bytes. */
  datasetsOffset = 0;
  datasetsCount = 0;
  /** Label int i is i32[(labelsOffset >>> 2) + i]. */
  labelsOffset = 0;
  labelsCount = 0;
  /** Element i of the table of contents is the u64 at tocOffset + 8 * i. */
  tocOffset = 0;
  tocCount = 0;
  /** End of string i, relative to stringBytesOffset, is i32[(stringEndsOffset >>> 2) + i]. */
  stringEndsOffset = 0;
  /** Entries of the table as sent; 0 means: only the empty string. */
  stringsCount = 0;
  stringBytesOffset = 0;
  stringBytesCount = 0;
  readonly #flat = new FlatReader(new AlignedViews());

  /**
   * Points at the Block in bytes[offset, offset + length).
   *
   * Errors: HearthError invalid_argument, reason `bad_structure`, when it is no Block or leaves its
   *   bytes.
   * Cost: about 40 ns, no allocation, when the ArrayBuffer is the one of the call before.
   */
  reset(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset): this {
    const flat = this.#flat.open(bytes, offset, length);
    this.u8 = flat.views.u8;
    this.i32 = flat.views.i32;
    this.f64 = flat.views.f64;
    this.headOffset = flat.struct(FIELD.head, HEAD.bytes);
    if (this.headOffset < 0) throw structureError("the block has no head");
    flat.vector(FIELD.datasets, DATASET.bytes, 8);
    this.datasetsOffset = flat.vectorOffset;
    this.datasetsCount = flat.vectorCount;
    flat.vector(FIELD.labels, 4, 4);
    this.labelsOffset = flat.vectorOffset;
    this.labelsCount = flat.vectorCount;
    flat.vector(FIELD.toc, 8, 8);
    this.tocOffset = flat.vectorOffset;
    this.tocCount = flat.vectorCount;
    flat.vector(FIELD.stringEnds, 4, 4);
    this.stringEndsOffset = flat.vectorOffset;
    this.stringsCount = flat.vectorCount;
    flat.vector(FIELD.stringBytes, 1, 1);
    this.stringBytesOffset = flat.vectorOffset;
    this.stringBytesCount = flat.vectorCount;
    return this;
  }

  /** As `reset`, with the refusal as a value. */
  tryReset(bytes: Uint8Array, offset: number, length: number): HearthError | null {
    try {
      this.reset(bytes, offset, length);
      return null;
    } catch (error) {
      if (isHearthError(error)) return error;
      throw error;
    }
  }

  get id(): string {
    return encodeUlid(this.u8, this.headOffset + HEAD.id);
  }

  get minTimeMs(): number {
    return this.f64[(this.headOffset + HEAD.minTimeMs) >>> 3] as number;
  }

  get maxTimeMs(): number {
    return this.f64[(this.headOffset + HEAD.maxTimeMs) >>> 3] as number;
  }

  /**
   * As a double: exact up to 2^53, which every real object is below; the raw bytes are in the head.
   */
  get sizeBytes(): number {
    return this.#u64(this.headOffset + HEAD.sizeBytes);
  }

  get metadataOffset(): number {
    return this.#u64(this.headOffset + HEAD.metadataOffset);
  }

  get formatVersion(): number {
    return (this.i32[(this.headOffset + HEAD.formatVersion) >>> 2] as number) >>> 0;
  }

  get shard(): number {
    return (this.i32[(this.headOffset + HEAD.shard) >>> 2] as number) >>> 0;
  }

  get compactionLevel(): number {
    return (this.i32[(this.headOffset + HEAD.compactionLevel) >>> 2] as number) >>> 0;
  }

  /** String reference of the owner; 0 = anonymous. */
  get tenant(): number {
    return this.i32[(this.headOffset + HEAD.tenant) >>> 2] as number;
  }

  get createdBy(): number {
    return this.i32[(this.headOffset + HEAD.createdBy) >>> 2] as number;
  }

  /** Byte offset of dataset i, a multiple of 8. */
  datasetOffset(i: number): number {
    return this.datasetsOffset + i * DATASET.bytes;
  }

  /** An i32 field of dataset i; `field` is an offset of DATASET. */
  datasetI32(i: number, field: number): number {
    return this.i32[(this.datasetsOffset + i * DATASET.bytes + field) >>> 2] as number;
  }

  /** A u32 field of dataset i. */
  datasetU32(i: number, field: number): number {
    return this.datasetI32(i, field) >>> 0;
  }

  /** An f64 field of dataset i. */
  datasetF64(i: number, field: number): number {
    return this.f64[(this.datasetsOffset + i * DATASET.bytes + field) >>> 3] as number;
  }

  /**
   * Where the bytes of string `reference` begin in u8. Reference 0 of an empty table is the empty
   * range.
   */
  stringStart(reference: number): number {
    if (reference === 0) return this.stringBytesOffset;
    return (
      this.stringBytesOffset +
      ((this.i32[(this.stringEndsOffset >>> 2) + reference - 1] as number) >>> 0)
    );
  }

  /** Where they end. */
  stringEnd(reference: number): number {
    if (this.stringsCount === 0) return this.stringBytesOffset;
    return (
      this.stringBytesOffset +
      ((this.i32[(this.stringEndsOffset >>> 2) + reference] as number) >>> 0)
    );
  }

  /** Text of a string. Allocates. */
  string(reference: number): string {
    return readText(this.u8, this.stringStart(reference), this.stringEnd(reference));
  }

  #u64(offset: number): number {
    const low = (this.i32[offset >>> 2] as number) >>> 0;
    const high = (this.i32[(offset >>> 2) + 1] as number) >>> 0;
    return high * 0x1_0000_0000 + low;
  }
}
