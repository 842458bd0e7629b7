/**
 * Builds one chunk of a plan out of stored entries: columns that grow by memory copies, put
 * together once at the end. Knows nothing of dictionaries: the query engine maps its ids to the
 * chunk's string references.
 */

import { assert } from "../../base/index.ts";
import { ByteSink } from "../bytes/sink.ts";
import { DATASET, ENTRY_ROW, HEAD, PLAN_BLOCK, PLAN_PRELUDE } from "../layout.ts";
import type { EntryReader } from "../stored/entry-reader.ts";
import {
  appendVector,
  beginChunk,
  CHUNK_HEADROOM_BYTES,
  pushInt,
  StringColumn,
} from "./chunk-columns.ts";

export { CHUNK_HEADROOM_BYTES };

/**
 * What a returned dataset refers to; positions and references of the chunk. Reused by the caller.
 */
export interface PlanDatasetRefs {
  tenant: number;
  name: number;
  /** From `labelsCount` before the labels were pushed; equal label runs may be shared. */
  labelsStart: number;
  labelsCount: number;
}

/** One per thread. Write blocks, then `finish`. */
export class PlanChunkWriter {
  readonly #blocks = new ByteSink();
  readonly #datasets = new ByteSink();
  readonly #labels = new ByteSink();
  readonly #toc = new ByteSink();
  readonly #strings = new StringColumn();
  readonly #out = new ByteSink();

  constructor() {
    this.reset();
  }

  /** Forgets what was written. The bytes of the chunk before stay valid until the next `finish`. */
  reset(): void {
    this.#blocks.reset();
    this.#datasets.reset();
    this.#labels.reset();
    this.#toc.reset();
    this.#strings.reset();
  }

  get blockCount(): number {
    return this.#blocks.length / PLAN_BLOCK.bytes;
  }

  /**
   * Strings so far; the next one added gets this number as its reference. Reference 0 is the empty
   * string.
   */
  get stringCount(): number {
    return this.#strings.count;
  }

  /** Label ints so far: where a run that is pushed now begins. */
  get labelsCount(): number {
    return this.#labels.length >>> 2;
  }

  /** Bytes of the chunk if it were finished now, up to a few bytes of padding. */
  get byteLength(): number {
    return (
      PLAN_PRELUDE.bytes +
      48 +
      this.#blocks.length +
      this.#datasets.length +
      this.#labels.length +
      this.#toc.length +
      this.#strings.ends.length +
      this.#strings.bytes.length
    );
  }

  /**
   * Appends a string (UTF-8 bytes, copied) and returns its reference. Duplicates are the caller's
   * to avoid.
   */
  addString(bytes: Uint8Array, start: number, end: number): number {
    return this.#strings.add(bytes, start, end);
  }

  addText(text: string): number {
    return this.#strings.addText(text);
  }

  /** Appends one label int: a count or a string reference. */
  pushLabel(value: number): void {
    pushInt(this.#labels, value);
  }

  /**
   * Room for `count` label ints: write them to the result at `labelsCount` and further, then call `advanceLabels`.
   * For whole runs, where a call per int would cost more than the int.
   */
  reserveLabels(count: number): Int32Array {
    this.#labels.reserve(4 * count);
    return this.#labels.i32;
  }

  advanceLabels(count: number): void {
    this.#labels.length += 4 * count;
  }

  /** Begins a block with the entry's head; tenant and creator are references of this chunk. */
  addBlock(entry: EntryReader, tenant: number, createdBy: number): void {
    const sink = this.#blocks;
    sink.reserve(PLAN_BLOCK.bytes);
    const { i32 } = sink;
    const from = entry.headOffset >>> 2;
    const to = sink.length >>> 2;
    for (let word = 0; word < HEAD.bytes / 4; word++) {
      i32[to + word] = entry.i32[from + word] as number;
    }
    i32[to + HEAD.tenant / 4] = tenant;
    i32[to + HEAD.createdBy / 4] = createdBy;
    i32[to + PLAN_BLOCK.datasetsStart / 4] = this.#datasets.length / DATASET.bytes;
    i32[to + PLAN_BLOCK.datasetsCount / 4] = 0;
    sink.length += PLAN_BLOCK.bytes;
  }

  /** Adds row `row` of the entry to the last block, with its table of contents. */
  addDataset(entry: EntryReader, row: number, refs: PlanDatasetRefs): void {
    assert(this.#blocks.length > 0, "A dataset needs a block");
    const sink = this.#datasets;
    sink.reserve(DATASET.bytes);
    const target = sink.i32;
    const source = entry.i32;
    const from = (entry.rowsOffset + row * ENTRY_ROW.bytes) >>> 2;
    const to = sink.length >>> 2;
    const tocStart = source[from + ENTRY_ROW.tocStart / 4] as number;
    const tocCount = source[from + ENTRY_ROW.tocCount / 4] as number;
    for (let word = 0; word < 6; word++) target[to + word] = source[from + word] as number;
    target[to + DATASET.tenant / 4] = refs.tenant;
    target[to + DATASET.name / 4] = refs.name;
    target[to + DATASET.labelsStart / 4] = refs.labelsStart;
    target[to + DATASET.labelsCount / 4] = refs.labelsCount;
    target[to + DATASET.tocStart / 4] = this.#toc.length >>> 3;
    target[to + DATASET.tocCount / 4] = tocCount;
    target[to + DATASET.format / 4] = source[from + ENTRY_ROW.format / 4] as number;
    target[to + DATASET.reserved / 4] = 0;
    sink.length += DATASET.bytes;
    this.#addToc(entry, tocStart >>> 0, tocCount >>> 0);
    const count = (this.#blocks.length - PLAN_BLOCK.bytes + PLAN_BLOCK.datasetsCount) >>> 2;
    this.#blocks.i32[count] = (this.#blocks.i32[count] as number) + 1;
  }

  /**
   * The chunk so far. Does not reset.
   *
   * Shape: FlatBuffer PlanChunk, borrowed until the next `finish`; the CHUNK_HEADROOM_BYTES before
   *   it in the same ArrayBuffer are the caller's, for the frame header.
   */
  finish(appliedIndex: number): Uint8Array {
    const out = this.#out;
    beginChunk(out, PLAN_PRELUDE.words, PLAN_PRELUDE.bytes);
    out.f64[(CHUNK_HEADROOM_BYTES + PLAN_PRELUDE.slotAppliedIndex) >>> 3] = appliedIndex;
    appendVector(out, PLAN_PRELUDE.slotBlocks, this.#blocks, { elementBytes: 80, align: 8 });
    appendVector(out, PLAN_PRELUDE.slotDatasets, this.#datasets, { elementBytes: 56, align: 8 });
    appendVector(out, PLAN_PRELUDE.slotToc, this.#toc, { elementBytes: 8, align: 8 });
    appendVector(out, PLAN_PRELUDE.slotLabels, this.#labels, { elementBytes: 4, align: 4 });
    appendVector(out, PLAN_PRELUDE.slotStringEnds, this.#strings.ends, {
      elementBytes: 4,
      align: 4,
    });
    appendVector(out, PLAN_PRELUDE.slotStringBytes, this.#strings.bytes, {
      elementBytes: 1,
      align: 1,
    });
    out.align8();
    return out.view(CHUNK_HEADROOM_BYTES);
  }

  #addToc(entry: EntryReader, start: number, count: number): void {
    assert(start + count <= entry.tocCount, "Stored table of contents is out of bounds");
    const sink = this.#toc;
    sink.reserve(8 * count);
    const target = sink.i32;
    const source = entry.i32;
    const from = (entry.tocOffset >>> 2) + 2 * start;
    const to = sink.length >>> 2;
    for (let word = 0; word < 2 * count; word++) {
      target[to + word] = source[from + word] as number;
    }
    sink.length += 8 * count;
  }
}
