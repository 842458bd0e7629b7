/**
 * What a reader of a streamed plan sees, in whichever form it was sent: blocks and datasets over the bytes of the
 * message, nothing decoded before it is asked for. Views are borrowed like the message; `toBlockMeta` makes owned
 * plain objects. Plan chunks and entry chunks share the head of a block and the times and size of a dataset.
 */

import { encodeUlid } from "../../base/index.ts";
import type { BlockMeta } from "../block-meta.ts";
import type { AlignedViews } from "../bytes/aligned-views.ts";
import { structureError } from "../bytes/flat-reader.ts";
import { DATASET, HEAD } from "../layout.ts";
import { planBlockToMeta } from "./plan-block-meta.ts";

/** One label of a dataset. */
export interface LabelPair {
  readonly name: string;
  readonly value: string;
}

/** Some blocks of an answer. */
export interface PlanBatch extends Iterable<PlanBlockView> {
  readonly blockCount: number;
  readonly datasetCount: number;
  /** Log index the answer was read at. */
  readonly appliedIndex: number;
  /** Block i. Allocates the view only. Errors: RangeError. */
  block(i: number): PlanBlockView;
}

/** Where views look: the message and what its string references mean. */
export interface PlanViewSource {
  readonly views: AlignedViews;
  /** Errors: HearthError for a reference that means nothing. */
  text(reference: number): string;
}

/** A block of an answer, with the datasets that qualified. */
export abstract class PlanBlockView {
  readonly #source: PlanViewSource;
  readonly #offset: number;

  constructor(source: PlanViewSource, offset: number) {
    this.#source = source;
    this.#offset = offset;
  }

  abstract get datasetCount(): number;

  /** Errors: RangeError. */
  abstract dataset(i: number): PlanDatasetView;

  get id(): string {
    return encodeUlid(this.#source.views.u8, this.#offset + HEAD.id);
  }

  /** Owner; "" = anonymous. */
  get tenant(): string {
    return this.#source.text(this.u32(HEAD.tenant));
  }

  get createdBy(): string {
    return this.#source.text(this.u32(HEAD.createdBy));
  }

  get minTimeMs(): number {
    return this.#f64(HEAD.minTimeMs);
  }

  get maxTimeMs(): number {
    return this.#f64(HEAD.maxTimeMs);
  }

  get sizeBytes(): bigint {
    return this.#source.views.u8.readBigUInt64LE(this.#offset + HEAD.sizeBytes);
  }

  get metadataOffset(): bigint {
    return this.#source.views.u8.readBigUInt64LE(this.#offset + HEAD.metadataOffset);
  }

  get formatVersion(): number {
    return this.u32(HEAD.formatVersion);
  }

  get shard(): number {
    return this.u32(HEAD.shard);
  }

  get compactionLevel(): number {
    return this.u32(HEAD.compactionLevel);
  }

  *datasets(): Generator<PlanDatasetView, void, undefined> {
    for (let i = 0; i < this.datasetCount; i++) yield this.dataset(i);
  }

  /** An owned plain object whose string table is compact and in the order of spec 2.2. */
  toBlockMeta(): BlockMeta {
    return planBlockToMeta(this);
  }

  protected checkDataset(i: number): void {
    if (i >= 0 && i < this.datasetCount) return;
    throw new RangeError(`Dataset ${i} of ${this.datasetCount}`);
  }

  protected u32(field: number): number {
    return (this.#source.views.i32[(this.#offset + field) >>> 2] as number) >>> 0;
  }

  #f64(field: number): number {
    return this.#source.views.f64[(this.#offset + field) >>> 3] as number;
  }
}

/** A dataset of a block of an answer. */
export abstract class PlanDatasetView {
  readonly #source: PlanViewSource;
  readonly #offset: number;

  constructor(source: PlanViewSource, offset: number) {
    this.#source = source;
    this.#offset = offset;
  }

  abstract get tenant(): string;

  abstract get name(): string;

  abstract get format(): number;

  /** Absolute offsets of the sections inside the object. */
  abstract get tableOfContents(): bigint[];

  /** Label sets as sent: `n` and `n` pairs of references for `text`, set after set. Borrowed. */
  abstract get labelInts(): Int32Array;

  get minTimeMs(): number {
    return this.#source.views.f64[(this.#offset + DATASET.minTimeMs) >>> 3] as number;
  }

  get maxTimeMs(): number {
    return this.#source.views.f64[(this.#offset + DATASET.maxTimeMs) >>> 3] as number;
  }

  get sizeBytes(): bigint {
    return this.#source.views.u8.readBigUInt64LE(this.#offset + DATASET.sizeBytes);
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
    return this.#source.text(reference);
  }

  protected u32(field: number): number {
    return (this.#source.views.i32[(this.#offset + field) >>> 2] as number) >>> 0;
  }

  protected i32(field: number): number {
    return this.#source.views.i32[(this.#offset + field) >>> 2] as number;
  }

  /** `count` elements of a table of contents at a checked byte offset. */
  protected readToc(offset: number, count: number): bigint[] {
    const { u8 } = this.#source.views;
    const result: bigint[] = [];
    for (let i = 0; i < count; i++) result.push(u8.readBigUInt64LE(offset + 8 * i));
    return result;
  }
}
