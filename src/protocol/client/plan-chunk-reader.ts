/**
 * Reads a chunk of a plan in place: nothing is decoded before it is asked for. Views are borrowed
 * like the message they look at; `toBlockMeta` makes owned plain objects.
 */

import { encodeUlid } from "../../base/index.ts";
import type { BlockMeta } from "../block-meta.ts";
import { FlatReader, structureError } from "../bytes/flat-reader.ts";
import { DATASET, HEAD, PLAN_BLOCK } from "../layout.ts";
import { ChunkStrings } from "./chunk-strings.ts";
import { planBlockToMeta } from "./plan-block-meta.ts";

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

/** One label of a dataset. */
export interface LabelPair {
  readonly name: string;
  readonly value: string;
}

/** A vector of a chunk: byte offset in the views and number of elements. */
interface Run {
  readonly offset: number;
  readonly count: number;
}

const NO_RUN: Run = { offset: 0, count: 0 };

/** One PlanChunk message. */
export class PlanChunkReader {
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
    return new PlanBlockView(this, this.#blocks.offset + i * PLAN_BLOCK.bytes);
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

/** A block of a chunk, with the datasets that qualified. */
export class PlanBlockView {
  readonly #chunk: PlanChunkReader;
  readonly #offset: number;

  constructor(chunk: PlanChunkReader, offset: number) {
    this.#chunk = chunk;
    this.#offset = offset;
  }

  get id(): string {
    return encodeUlid(this.#chunk.views.u8, this.#offset + HEAD.id);
  }

  /** Owner; "" = anonymous. */
  get tenant(): string {
    return this.#chunk.text(this.#i32(HEAD.tenant));
  }

  get createdBy(): string {
    return this.#chunk.text(this.#i32(HEAD.createdBy));
  }

  get minTimeMs(): number {
    return this.#f64(HEAD.minTimeMs);
  }

  get maxTimeMs(): number {
    return this.#f64(HEAD.maxTimeMs);
  }

  get sizeBytes(): bigint {
    return this.#chunk.views.u8.readBigUInt64LE(this.#offset + HEAD.sizeBytes);
  }

  get metadataOffset(): bigint {
    return this.#chunk.views.u8.readBigUInt64LE(this.#offset + HEAD.metadataOffset);
  }

  get formatVersion(): number {
    return this.#i32(HEAD.formatVersion) >>> 0;
  }

  get shard(): number {
    return this.#i32(HEAD.shard) >>> 0;
  }

  get compactionLevel(): number {
    return this.#i32(HEAD.compactionLevel) >>> 0;
  }

  get datasetCount(): number {
    return this.#i32(PLAN_BLOCK.datasetsCount) >>> 0;
  }

  dataset(i: number): PlanDatasetView {
    const start = this.#i32(PLAN_BLOCK.datasetsStart) >>> 0;
    if (!(i >= 0 && i < this.datasetCount)) {
      throw new RangeError(`Dataset ${i} of ${this.datasetCount}`);
    }
    return new PlanDatasetView(this.#chunk, this.#chunk.datasetOffset(start + i));
  }

  *datasets(): Generator<PlanDatasetView, void, undefined> {
    for (let i = 0; i < this.datasetCount; i++) yield this.dataset(i);
  }

  /** An owned plain object whose string table is compact and in the order of spec 2.2. */
  toBlockMeta(): BlockMeta {
    return planBlockToMeta(this);
  }

  #i32(field: number): number {
    return this.#chunk.views.i32[(this.#offset + field) >>> 2] as number;
  }

  #f64(field: number): number {
    return this.#chunk.views.f64[(this.#offset + field) >>> 3] as number;
  }
}

/** A dataset of a block of a chunk. */
export class PlanDatasetView {
  readonly #chunk: PlanChunkReader;
  readonly #offset: number;

  constructor(chunk: PlanChunkReader, offset: number) {
    this.#chunk = chunk;
    this.#offset = offset;
  }

  get tenant(): string {
    return this.#chunk.text(this.#i32(DATASET.tenant));
  }

  get name(): string {
    return this.#chunk.text(this.#i32(DATASET.name));
  }

  get minTimeMs(): number {
    return this.#chunk.views.f64[(this.#offset + DATASET.minTimeMs) >>> 3] as number;
  }

  get maxTimeMs(): number {
    return this.#chunk.views.f64[(this.#offset + DATASET.maxTimeMs) >>> 3] as number;
  }

  get sizeBytes(): bigint {
    return this.#chunk.views.u8.readBigUInt64LE(this.#offset + DATASET.sizeBytes);
  }

  get format(): number {
    return this.#i32(DATASET.format) >>> 0;
  }

  /** Absolute offsets of the sections inside the object. */
  get tableOfContents(): bigint[] {
    const count = this.#i32(DATASET.tocCount) >>> 0;
    const offset = this.#chunk.tocOffset(this.#i32(DATASET.tocStart) >>> 0, count);
    const { u8 } = this.#chunk.views;
    const result: bigint[] = [];
    for (let i = 0; i < count; i++) result.push(u8.readBigUInt64LE(offset + 8 * i));
    return result;
  }

  /**
   * Label sets as sent: `n` and `n` pairs of references into the chunk's table, set after set.
   * Borrowed.
   */
  get labelInts(): Int32Array {
    const count = this.#i32(DATASET.labelsCount) >>> 0;
    const offset = this.#chunk.labelsOffset(this.#i32(DATASET.labelsStart) >>> 0, count) >>> 2;
    return this.#chunk.views.i32.subarray(offset, offset + count);
  }

  /** Label sets in words. */
  get labelSets(): LabelPair[][] {
    const ints = this.labelInts;
    const sets: LabelPair[][] = [];
    let i = 0;
    while (i < ints.length) {
      const pairs = ints[i++] as number;
      if (pairs < 0 || pairs > (ints.length - i) / 2) {
        throw structureError(`a label set of ${pairs} pairs`);
      }
      const set: LabelPair[] = [];
      for (const end = i + 2 * pairs; i < end; i += 2) {
        set.push({ name: this.text(ints[i] as number), value: this.text(ints[i + 1] as number) });
      }
      sets.push(set);
    }
    return sets;
  }

  /** Text of a reference in `labelInts`. */
  text(reference: number): string {
    return this.#chunk.text(reference);
  }

  #i32(field: number): number {
    return this.#chunk.views.i32[(this.#offset + field) >>> 2] as number;
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
