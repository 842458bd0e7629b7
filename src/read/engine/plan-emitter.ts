/**
 * Matched entries -> plan chunks: maps dictionary ids to references of the chunk and projects label sets (spec 6.7,
 * 6.8). What it mapped once per chunk it does not map again: blocks repeat their strings and dataset keys.
 */

import { HearthError } from "../../base/index.ts";
import { KEYS_PER_CHUNK_SHIFT, STRINGS_PER_CHUNK_SHIFT } from "../../db/index.ts";
import {
  ENTRY_ROW,
  type EntryReader,
  PlanChunkWriter,
  type PlanDatasetRefs,
} from "../../protocol/index.ts";
import { ChunkMemo, type DictionaryMemo } from "./chunk-memo.ts";
import { dataLoss } from "./data-loss.ts";
import type { Dictionary } from "./dictionary.ts";
import type { EncodedBlock, EncodedBlocks, RowRange } from "./encoded-blocks.ts";
import type { ReadCounters } from "./explain.ts";
import { firstValue, type SetEvaluator } from "./set-evaluator.ts";

/** Takes a finished chunk, borrowed until it returns; `isLast` once, at the end of an answer. */
export type ChunkSink = (chunk: Uint8Array, isLast: boolean) => void;

/** Which labels of a dataset leave, in terms of one dictionary. */
export type Projection =
  | { readonly kind: "none" }
  /** All sets as stored: what GetBlockMetadata returns. */
  | { readonly kind: "all" }
  /** Of each set that satisfies the selector, the first pairs of these names; -1 is never found. */
  | {
      readonly kind: "matching";
      readonly nameIds: readonly number[];
      readonly evaluator: SetEvaluator;
    };

/** A dictionary in use, with what an answer takes from it. */
export interface Source {
  readonly dictionary: Dictionary;
  /** May read the database when it is first asked for. */
  readonly projection: Projection;
  /** How a target that repeats blocks names the two. */
  readonly form: number;
}

/** Takes the blocks of an answer one by one. */
export interface BlockTarget {
  /** Adds a block with the datasets at `positions[first, end)`; see PlanEmitter. */
  addBlock(
    entry: EntryReader,
    source: Source,
    positions: Uint32Array,
    first: number,
    end: number,
  ): void;
  /** Null: the target writes every block anew. */
  readonly repeats: BlockRepeats | null;
}

/** A target that knows blocks again. */
export interface BlockRepeats {
  readonly encoded: EncodedBlocks;
  /** Adds a block that `encoded` has. Errors: as addBlock. */
  addEncoded(block: EncodedBlock): void;
  /** Keeps the block that was added last. */
  keepLast(entry: EntryReader, source: Source, rows: RowRange): void;
}

export interface PlanEmitterOptions {
  readonly answerMaxBytes: number;
  readonly chunkBytes: number;
}

const STRING_MASK = (1 << STRINGS_PER_CHUNK_SHIFT) - 1;
const KEY_MASK = (1 << KEYS_PER_CHUNK_SHIFT) - 1;

/** One per thread; `begin`, blocks, `end`. */
export class PlanEmitter implements BlockTarget {
  readonly repeats = null;
  readonly #options: PlanEmitterOptions;
  readonly #counters: ReadCounters;
  readonly #writer = new PlanChunkWriter();
  readonly #memo = new ChunkMemo();
  #sink: ChunkSink = () => {};
  #appliedIndex = 0;
  #sentBytes = 0;
  #blocks = 0;

  constructor(options: PlanEmitterOptions, counters: ReadCounters) {
    this.#options = options;
    this.#counters = counters;
  }

  begin(sink: ChunkSink, appliedIndex: number): void {
    this.#sink = sink;
    this.#appliedIndex = appliedIndex;
    this.#sentBytes = 0;
    this.#blocks = 0;
    this.#startChunk();
  }

  /**
   * Adds a block with the datasets at `positions[first, end)`.
   *
   * Shape: the entry must not stand in the database's scratch buffer: mapping its ids may read.
   * Errors: resource_exhausted when the answer grows over its limit.
   */
  addBlock(
    entry: EntryReader,
    source: Source,
    positions: Uint32Array,
    first: number,
    end: number,
  ): void {
    const { chunkBytes, answerMaxBytes } = this.#options;
    if (this.#writer.byteLength >= chunkBytes && this.#writer.blockCount > 0) this.#flush(false);
    const memo = this.#memo.of(source.dictionary.id);
    const tenant = this.#stringRef(memo, source.dictionary, entry.tenant);
    const createdBy = this.#stringRef(memo, source.dictionary, entry.createdBy);
    this.#writer.addBlock(entry, tenant, createdBy);
    for (let i = first; i < end; i++) {
      const row = positions[i] as number;
      checkToc(entry, row);
      const refs = this.#keyRefs(memo, source, entry.rowU32(row, ENTRY_ROW.key));
      this.#writer.addDataset(entry, row, refs);
    }
    this.#blocks++;
    this.#counters.blocksMatched++;
    this.#counters.datasetsMatched += end - first;
    const answerBytes = this.#sentBytes + this.#writer.byteLength;
    if (answerBytes > answerMaxBytes)
      throw answerTooLarge(this.#blocks, answerBytes, answerMaxBytes);
  }

  /** Sends the rest, or an empty chunk when there is nothing. */
  end(): void {
    this.#flush(true);
    this.#sink = () => {};
  }

  #flush(isLast: boolean): void {
    const chunk = this.#writer.finish(this.#appliedIndex);
    this.#sentBytes += chunk.length;
    this.#startChunk();
    this.#sink(chunk, isLast);
  }

  #startChunk(): void {
    this.#writer.reset();
    this.#memo.startChunk();
  }

  #stringRef(memo: DictionaryMemo, dictionary: Dictionary, id: number): number {
    if (id === 0) return 0;
    const known = memo.string(id);
    if (known >= 0) return known;
    const { bytes, bounds } = dictionary.stringChunk(id);
    const i = id & STRING_MASK;
    const ref = this.#writer.addString(bytes, bounds[i] as number, bounds[i + 1] as number);
    memo.setString(id, ref);
    return ref;
  }

  /** What a dataset of this key refers to. Borrowed until the next call. */
  #keyRefs(memo: DictionaryMemo, source: Source, key: number): PlanDatasetRefs {
    const refs = memo.found;
    if (memo.key(key)) return refs;
    const { dictionary, projection } = source;
    const { ints, bounds } = dictionary.keyChunk(key);
    const start = bounds[key & KEY_MASK] as number;
    const end = bounds[(key & KEY_MASK) + 1] as number;
    refs.tenant = this.#stringRef(memo, dictionary, ints[start] as number);
    refs.name = this.#stringRef(memo, dictionary, ints[start + 1] as number);
    const labelsStart = this.#writer.labelsCount;
    if (projection.kind === "all") this.#pushAll(memo, dictionary, ints, start + 2, end);
    if (projection.kind === "matching") this.#pushMatching(memo, source, ints, start + 2, end);
    refs.labelsCount = this.#writer.labelsCount - labelsStart;
    refs.labelsStart = refs.labelsCount === 0 ? 0 : labelsStart;
    memo.setKey(key, refs);
    return refs;
  }

  /** Copies label sets; what is left of one that is cut off is copied too (spec 2.3). */
  #pushAll(
    memo: DictionaryMemo,
    dictionary: Dictionary,
    ints: Int32Array,
    start: number,
    end: number,
  ): void {
    const first = this.#writer.labelsCount;
    const labels = this.#writer.reserveLabels(end - start);
    let position = start;
    let to = first;
    while (position < end) {
      const pairs = ints[position] as number;
      const next = pairs < 0 ? end : Math.min(end, position + 1 + 2 * pairs);
      labels[to++] = pairs;
      for (let i = position + 1; i < next; i++) {
        labels[to++] = this.#stringRef(memo, dictionary, ints[i] as number);
      }
      position = next;
    }
    this.#writer.advanceLabels(to - first);
  }

  #pushMatching(
    memo: DictionaryMemo,
    source: Source,
    ints: Int32Array,
    start: number,
    end: number,
  ): void {
    if (source.projection.kind !== "matching") return;
    const { nameIds, evaluator } = source.projection;
    let position = start;
    while (position < end) {
      const pairs = ints[position] as number;
      const next = position + 1 + 2 * pairs;
      if (pairs < 0 || next > end) return;
      if (evaluator.matchesSet(ints, position + 1, next)) {
        this.#pushProjected(memo, source.dictionary, ints.subarray(position + 1, next), nameIds);
      }
      position = next;
    }
  }

  #pushProjected(
    memo: DictionaryMemo,
    dictionary: Dictionary,
    set: Int32Array,
    nameIds: readonly number[],
  ): void {
    let found = 0;
    for (const nameId of nameIds) if (firstValue(set, 0, set.length, nameId) >= 0) found++;
    this.#writer.pushLabel(found);
    for (const nameId of nameIds) {
      const value = firstValue(set, 0, set.length, nameId);
      if (value < 0) continue;
      this.#writer.pushLabel(this.#stringRef(memo, dictionary, nameId));
      this.#writer.pushLabel(this.#stringRef(memo, dictionary, value));
    }
  }
}

/** What an answer that grew over its limit ends with. */
export function answerTooLarge(blocks: number, bytes: number, maxBytes: number): HearthError {
  return new HearthError(
    "resource_exhausted",
    `Cannot answer: ${blocks} blocks so far take ${bytes} bytes, limit is ${maxBytes}`,
    {
      reason: "answer_too_large",
      next: "Ask for a shorter time range, fewer tenants or a narrower selector",
    },
  );
}

/** Errors: data_loss when the table of contents of a row is not in the entry. */
export function checkToc(entry: EntryReader, row: number): void {
  const end = entry.rowU32(row, ENTRY_ROW.tocStart) + entry.rowU32(row, ENTRY_ROW.tocCount);
  if (end > entry.tocCount)
    throw dataLoss(`the table of contents of a dataset of block ${entry.id} is cut off`);
}
