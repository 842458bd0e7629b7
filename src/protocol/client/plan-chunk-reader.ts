/**
 * Reads a chunk of a plan in place: nothing is decoded before it is asked for. Views are borrowed
 * like the message they look at; `toBlockMeta` makes owned plain objects.
 */

import { FlatReader, structureError } from "../bytes/flat-reader.ts";
import { DATASET, PLAN_BLOCK } from "../layout.ts";
import { ChunkStrings } from "./chunk-strings.ts";
import { type PlanBatch, PlanBlockView, PlanDatasetView } from "./plan-views.ts";

/** Field numbers of hearth.wire.PlanChunk. */
const FIELD = {
  blocks: 0,
  datasets: 1,
  labels: 2,
  toc: 3,
  stringEnds: 4,
  stringBytes: 5,
  appliedIndex: 6,
} as const;

/** A vector of a chunk: byte offset in the views and number of elements. */
interface Run {
  readonly offset: number;
  readonly count: number;
}

const NO_RUN: Run = { offset: 0, count: 0 };

/** One PlanChunk message. */
export class PlanChunkReader implements PlanBatch {
  readonly blockCount: number;
  readonly datasetCount: number;
  /** Log index the answer was read at. */
  readonly appliedIndex: number;
  readonly #table: FlatReader;
  readonly #blocks: Run = NO_RUN;
  readonly #datasets: Run = NO_RUN;
  readonly #labels: Run = NO_RUN;
  readonly #toc: Run = NO_RUN;
  readonly #strings: ChunkStrings | null = null;

  /**
   * Looks at the PlanChunk in bytes[offset, offset + length). No bytes are an empty chunk.
   *
   * Shape: borrowed: the reader and its views are valid as long as `bytes`.
   * Errors: HearthError invalid_argument when it is no PlanChunk; views throw the same for
   *   references out of bounds.
   */
  constructor(bytes: Uint8Array, offset = 0, length: number = bytes.length - offset) {
    const table = new FlatReader();
    this.#table = table;
    if (length === 0) {
      this.blockCount = 0;
      this.datasetCount = 0;
      this.appliedIndex = 0;
      return;
    }
    table.open(bytes, offset, length);
    this.#blocks = findRun(table, FIELD.blocks, PLAN_BLOCK.bytes, 8);
    this.#datasets = findRun(table, FIELD.datasets, DATASET.bytes, 8);
    this.#labels = findRun(table, FIELD.labels, 4, 4);
    this.#toc = findRun(table, FIELD.toc, 8, 8);
    this.#strings = new ChunkStrings(table, FIELD.stringEnds, FIELD.stringBytes);
    this.blockCount = this.#blocks.count;
    this.datasetCount = this.#datasets.count;
    this.appliedIndex = table.f64(FIELD.appliedIndex);
  }

  /** Block i of the chunk. Allocates the view only. */
  block(i: number): PlanBlockView {
    if (!(i >= 0 && i < this.blockCount)) throw new RangeError(`Block ${i} of ${this.blockCount}`);
    return new ChunkBlockView(this, this.#blocks.offset + i * PLAN_BLOCK.bytes);
  }

  *[Symbol.iterator](): Generator<PlanBlockView, void, undefined> {
    for (let i = 0; i < this.blockCount; i++) yield this.block(i);
  }

  /** Views over the message, for the view classes of this file. */
  get views(): FlatReader["views"] {
    return this.#table.views;
  }

  /** Text of a string reference. */
  text(reference: number): string {
    return this.#strings?.text(reference) ?? "";
  }

  /** Byte offset of dataset i; throws when it is not in the chunk. */
  datasetOffset(i: number): number {
    if (i >= this.#datasets.count) throw structureError(`dataset ${i} of ${this.#datasets.count}`);
    return this.#datasets.offset + i * DATASET.bytes;
  }

  /** Byte offset of a run of the labels vector; throws when it leaves the vector. */
  labelsOffset(start: number, count: number): number {
    return runOffset(this.#labels, start, count, 4);
  }

  tocOffset(start: number, count: number): number {
    return runOffset(this.#toc, start, count, 8);
  }
}

/** A block of a plan chunk, with the datasets that qualified. */
class ChunkBlockView extends PlanBlockView {
  readonly #chunk: PlanChunkReader;

  constructor(chunk: PlanChunkReader, offset: number) {
    super(chunk, offset);
    this.#chunk = chunk;
  }

  get datasetCount(): number {
    return this.u32(PLAN_BLOCK.datasetsCount);
  }

  dataset(i: number): PlanDatasetView {
    this.checkDataset(i);
    const start = this.u32(PLAN_BLOCK.datasetsStart);
    return new ChunkDatasetView(this.#chunk, this.#chunk.datasetOffset(start + i));
  }
}

/** A dataset of a block of a plan chunk. */
class ChunkDatasetView extends PlanDatasetView {
  readonly #chunk: PlanChunkReader;

  constructor(chunk: PlanChunkReader, offset: number) {
    super(chunk, offset);
    this.#chunk = chunk;
  }

  get tenant(): string {
    return this.text(this.i32(DATASET.tenant));
  }

  get name(): string {
    return this.text(this.i32(DATASET.name));
  }

  get format(): number {
    return this.u32(DATASET.format);
  }

  get tableOfContents(): bigint[] {
    const count = this.u32(DATASET.tocCount);
    return this.readToc(this.#chunk.tocOffset(this.u32(DATASET.tocStart), count), count);
  }

  get labelInts(): Int32Array {
    const count = this.u32(DATASET.labelsCount);
    const offset = this.#chunk.labelsOffset(this.u32(DATASET.labelsStart), count) >>> 2;
    return this.#chunk.views.i32.subarray(offset, offset + count);
  }
}

function findRun(table: FlatReader, field: number, elementBytes: number, align: number): Run {
  table.vector(field, elementBytes, align);
  return { offset: table.vectorOffset, count: table.vectorCount };
}

function runOffset(run: Run, start: number, count: number, elementBytes: number): number {
  if (start + count > run.count) {
    throw structureError(`a run from ${start} to ${start + count} of ${run.count}`);
  }
  return run.offset + start * elementBytes;
}
