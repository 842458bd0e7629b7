/**
 * Reads a stored BlockEntry in place: the hottest reader there is. `reset` finds the rows; the
 * query engine then walks them by stride with its own loop, over the same views that the database
 * reads into:
 *
 * ```
 * at = rowsOffset + 40 * i:  f64[at >>> 3] min ms, f64[(at + 8) >>> 3] max ms
 *                            i32[(at + 24) >>> 2] key id, unsigned
 * ```
 */

import { assert, encodeUlid, HearthError, isHearthError } from "../../base/index.ts";
import { FlatReader } from "../bytes/flat-reader.ts";
import { ENTRY_PRELUDE, ENTRY_ROW, HEAD } from "../layout.ts";

/** Field numbers of hearth.stored.BlockEntry. */
const FIELD = { head: 0, datasets: 1, toc: 2 } as const;

/** The views a reader works over; the index database has exactly these over its scratch buffer. */
export interface EntryViews {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
}

/**
 * One per thread. All offsets are byte offsets into the views, valid until the next reset or
 * database read.
 */
export class EntryReader {
  u8!: Uint8Array;
  i32!: Int32Array;
  f64!: Float64Array;
  /** The whole entry. */
  startOffset = 0;
  entryBytes = 0;
  /** The head: HEAD.bytes bytes. */
  headOffset = 0;
  /** Row i stands at rowsOffset + i * ENTRY_ROW.bytes. */
  rowsOffset = 0;
  rowsCount = 0;
  /** Element i of the table of contents is the u64 at tocOffset + 8 * i. */
  tocOffset = 0;
  tocCount = 0;
  #flat: FlatReader | null = null;

  constructor(views?: EntryViews) {
    if (views !== undefined) this.bind(views);
  }

  /** Chooses the views that following resets refer to. */
  bind(views: EntryViews): void {
    this.u8 = views.u8;
    this.i32 = views.i32;
    this.f64 = views.f64;
  }

  /**
   * Points at the entry in [offset, offset + length) of the bound views; `offset` must be a
   * multiple of 8.
   *
   * Errors: HearthError data_loss when the bytes are no entry: a damaged database must not pass for
   *   an empty block.
   * Cost: a dozen loads for the canonical layout.
   */
  reset(offset: number, length: number): void {
    assert((offset & 7) === 0, "An entry must begin at a multiple of 8");
    this.startOffset = offset;
    this.entryBytes = length;
    const { i32 } = this;
    const word = offset >>> 2;
    const { words, headOffset, rowsOffset } = ENTRY_PRELUDE;
    const rows = (i32[word + rowsOffset / 4 - 1] as number) >>> 0;
    const tocOffset = rowsOffset + rows * ENTRY_ROW.bytes + 8;
    const isCanonical =
      tocOffset <= length &&
      i32[word] === words[0] &&
      i32[word + 1] === words[1] &&
      i32[word + 2] === words[2] &&
      i32[word + 3] === words[3] &&
      i32[word + 5] === words[5] &&
      i32[word + 24] === rowsOffset - 4 - 96 &&
      i32[word + 25] === tocOffset - 4 - 100;
    if (!isCanonical) {
      this.#resetAny(offset, length);
      return;
    }
    const toc = (i32[(offset + tocOffset - 4) >>> 2] as number) >>> 0;
    if (tocOffset + 8 * toc > length) throw damaged(`a table of contents of ${toc} is cut off`);
    this.headOffset = offset + headOffset;
    this.rowsOffset = offset + rowsOffset;
    this.rowsCount = rows;
    this.tocOffset = offset + tocOffset;
    this.tocCount = toc;
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

  /** Dictionary string id of the owner. */
  get tenant(): number {
    return (this.i32[(this.headOffset + HEAD.tenant) >>> 2] as number) >>> 0;
  }

  get createdBy(): number {
    return (this.i32[(this.headOffset + HEAD.createdBy) >>> 2] as number) >>> 0;
  }

  get shard(): number {
    return (this.i32[(this.headOffset + HEAD.shard) >>> 2] as number) >>> 0;
  }

  get compactionLevel(): number {
    return (this.i32[(this.headOffset + HEAD.compactionLevel) >>> 2] as number) >>> 0;
  }

  /** As a double: exact below 2^53. */
  get sizeBytes(): number {
    const word = (this.headOffset + HEAD.sizeBytes) >>> 2;
    const low = (this.i32[word] as number) >>> 0;
    return ((this.i32[word + 1] as number) >>> 0) * 0x1_0000_0000 + low;
  }

  /** A u32 field of row i; `field` is an offset of ENTRY_ROW. */
  rowU32(i: number, field: number): number {
    return (this.i32[(this.rowsOffset + i * ENTRY_ROW.bytes + field) >>> 2] as number) >>> 0;
  }

  rowF64(i: number, field: number): number {
    return this.f64[(this.rowsOffset + i * ENTRY_ROW.bytes + field) >>> 3] as number;
  }

  /**
   * Layouts that another writer of the same schema may choose: later versions, the generated
   * builder.
   */
  #resetAny(offset: number, length: number): void {
    this.#flat ??= new FlatReader();
    try {
      const flat = this.#flat.open(this.u8, offset, length);
      const shift = this.u8.byteOffset;
      const head = flat.struct(FIELD.head, HEAD.bytes);
      if (head < 0) throw damaged("it has no head");
      this.headOffset = head - shift;
      flat.vector(FIELD.datasets, ENTRY_ROW.bytes, 8);
      this.rowsOffset = flat.vectorOffset - shift;
      this.rowsCount = flat.vectorCount;
      flat.vector(FIELD.toc, 8, 8);
      this.tocOffset = flat.vectorOffset - shift;
      this.tocCount = flat.vectorCount;
    } catch (error) {
      throw isHearthError(error) && error.code !== "data_loss" ? damaged(error.message) : error;
    }
  }
}

function damaged(what: string): HearthError {
  return new HearthError("data_loss", `Cannot read stored block entry: ${what}`, {
    reason: "damaged_entry",
    next: "Stop the process, delete the index directory, start again: the log rebuilds it",
  });
}
