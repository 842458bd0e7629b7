/**
 * Reads an entry chunk in place: stored entries whose ids mean what the connection's dictionary records say. Layout:
 * entry-chunk-writer.ts. Every reference to a dictionary is checked when the chunk is opened.
 */

import { AlignedViews } from "../bytes/aligned-views.ts";
import { structureError } from "../bytes/flat-reader.ts";
import { ENTRY_ROW } from "../layout.ts";
import { EntryReader } from "../stored/entry-reader.ts";
import { ENTRY_CHUNK_BLOCK_BYTES, ENTRY_CHUNK_HEADER_BYTES } from "./entry-chunk-writer.ts";
import type { HeldDictionaries, HeldDictionary } from "./held-dictionaries.ts";
import { type PlanBatch, PlanBlockView, PlanDatasetView } from "./plan-views.ts";

/** One entry of the chunk and what its ids mean. */
interface EntrySource {
  readonly views: AlignedViews;
  readonly entry: EntryReader;
  readonly dictionary: HeldDictionary;
  text(reference: number): string;
}

/** One entry chunk. */
export class EntryChunkReader implements PlanBatch {
  readonly appliedIndex: number;
  readonly datasetCount: number;
  readonly #views = new AlignedViews();
  readonly #entries: EntrySource[] = [];

  /**
   * Looks at the chunk in `bytes`.
   *
   * Shape: borrowed: the reader and its views are valid as long as `bytes`; they keep `held` alive.
   * Errors: HearthError when it is no entry chunk or refers to what was not sent.
   */
  constructor(bytes: Uint8Array, held: HeldDictionaries) {
    const views = this.#views;
    views.point(bytes, 0, bytes.length);
    const { base, end } = views;
    if (end - base < ENTRY_CHUNK_HEADER_BYTES) throw structureError("an entry chunk is cut off");
    this.appliedIndex = views.f64[base >>> 3] as number;
    const count = (views.i32[(base + 8) >>> 2] as number) >>> 0;
    let at = base + ENTRY_CHUNK_HEADER_BYTES;
    let datasets = 0;
    for (let i = 0; i < count; i++) {
      const start = at + ENTRY_CHUNK_BLOCK_BYTES;
      if (start > end) throw structureError(`entry ${i} of ${count} is missing`);
      const length = (views.i32[at >>> 2] as number) >>> 0;
      if (start + length > end || (length & 7) !== 0)
        throw structureError(`entry ${i} has ${length} bytes`);
      const dictionary = held.dictionary((views.i32[(at + 4) >>> 2] as number) >>> 0);
      datasets += this.#open(dictionary, start, length);
      at = start + length;
    }
    if (at !== end) throw structureError("bytes are left over");
    this.datasetCount = datasets;
  }

  get blockCount(): number {
    return this.#entries.length;
  }

  block(i: number): PlanBlockView {
    const source = this.#entries[i];
    if (source === undefined) throw new RangeError(`Block ${i} of ${this.blockCount}`);
    return new EntryBlockView(source);
  }

  *[Symbol.iterator](): Generator<PlanBlockView, void, undefined> {
    for (let i = 0; i < this.blockCount; i++) yield this.block(i);
  }

  /** Checks an entry and keeps it; returns its datasets. */
  #open(dictionary: HeldDictionary, offset: number, length: number): number {
    const entry = new EntryReader(this.#views);
    entry.reset(offset, length);
    dictionary.text(entry.tenant);
    dictionary.text(entry.createdBy);
    for (let row = 0; row < entry.rowsCount; row++) {
      dictionary.key(entry.rowU32(row, ENTRY_ROW.key));
      const tocEnd = entry.rowU32(row, ENTRY_ROW.tocStart) + entry.rowU32(row, ENTRY_ROW.tocCount);
      if (tocEnd > entry.tocCount)
        throw structureError(`the table of contents of dataset ${row} is cut off`);
    }
    const text = (reference: number): string => dictionary.text(reference >>> 0);
    this.#entries.push({ views: this.#views, entry, dictionary, text });
    return entry.rowsCount;
  }
}

class EntryBlockView extends PlanBlockView {
  readonly #source: EntrySource;

  constructor(source: EntrySource) {
    super(source, source.entry.headOffset);
    this.#source = source;
  }

  get datasetCount(): number {
    return this.#source.entry.rowsCount;
  }

  dataset(i: number): PlanDatasetView {
    this.checkDataset(i);
    return new EntryDatasetView(this.#source, i);
  }
}

class EntryDatasetView extends PlanDatasetView {
  readonly #source: EntrySource;
  /** Tenant, name, label sets. */
  readonly #key: Int32Array;

  constructor(source: EntrySource, row: number) {
    super(source, source.entry.rowsOffset + row * ENTRY_ROW.bytes);
    this.#source = source;
    this.#key = source.dictionary.key(this.u32(ENTRY_ROW.key));
  }

  get tenant(): string {
    return this.text(this.#key[0] as number);
  }

  get name(): string {
    return this.text(this.#key[1] as number);
  }

  get format(): number {
    return this.u32(ENTRY_ROW.format);
  }

  get tableOfContents(): bigint[] {
    const offset = this.#source.entry.tocOffset + 8 * this.u32(ENTRY_ROW.tocStart);
    return this.readToc(offset, this.u32(ENTRY_ROW.tocCount));
  }

  get labelInts(): Int32Array {
    return this.#key.subarray(2);
  }
}
