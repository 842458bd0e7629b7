/**
 * Matched entries -> metastore.v1.BlockMeta messages, each with a string table of its own that holds what the block
 * refers to and nothing else. The counterpart of PlanEmitter for askers that speak protobuf: the whole answer is one
 * message, so it is gathered in one sink.
 */

import { KEYS_PER_CHUNK_SHIFT, STRINGS_PER_CHUNK_SHIFT } from "../../db/index.ts";
import {
  BLOCKS_FIELD_TAG,
  BlockProtoWriter,
  type ByteSink,
  ENTRY_ROW,
  type EntryReader,
} from "../../protocol/index.ts";
import { ChunkMemo, type DictionaryMemo } from "./chunk-memo.ts";
import type { Dictionary } from "./dictionary.ts";
import type { ReadCounters } from "./explain.ts";
import { type EncodedBlock, EncodedBlocks, type RowRange } from "./encoded-blocks.ts";
import {
  answerTooLarge,
  type BlockRepeats,
  type BlockTarget,
  checkToc,
  type Source,
} from "./plan-emitter.ts";
import { firstValue } from "./set-evaluator.ts";

const STRING_MASK = (1 << STRINGS_PER_CHUNK_SHIFT) - 1;
const KEY_MASK = (1 << KEYS_PER_CHUNK_SHIFT) - 1;

/**
 * Of an answer, the blocks that begin before this are kept: a wide one would push out what is asked for all the time, and
 * its price is in reading, not in writing.
 */
const ANSWER_KEPT_MAX_BYTES = 256 * 1024;

/** One per thread; `begin`, then blocks. */
export class ProtoEmitter implements BlockTarget, BlockRepeats {
  readonly repeats = this;
  readonly encoded: EncodedBlocks;
  readonly #counters: ReadCounters;
  readonly #memo = new ChunkMemo();
  #writer: BlockProtoWriter | null = null;
  #start = 0;
  /** Where the block that was added last begins. */
  #blockStart = 0;
  #answerMaxBytes = 0;
  #blocks = 0;
  /** Dictionary ids of the block's strings, by reference. */
  #strings = new Uint32Array(64);
  #stringsCount = 0;
  /** Labels of the dataset that is being written. */
  #labels = new Int32Array(256);
  #labelsCount = 0;

  /** `keptMaxBytes`: of blocks as they were written before. */
  constructor(keptMaxBytes: number, counters: ReadCounters) {
    this.encoded = new EncodedBlocks(keptMaxBytes);
    this.#counters = counters;
  }

  /** Blocks go to the end of the sink, as elements of field 1 of the answer. */
  begin(sink: ByteSink, answerMaxBytes: number): void {
    if (this.#writer?.sink !== sink) this.#writer = new BlockProtoWriter(sink);
    this.#start = sink.length;
    this.#answerMaxBytes = answerMaxBytes;
    this.#blocks = 0;
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
    const writer = this.#writer as BlockProtoWriter;
    const { dictionary } = source;
    this.#blockStart = writer.sink.length;
    this.#memo.startChunk();
    const memo = this.#memo.of(dictionary.id);
    // String 0 is the empty one; others get their references in the order in which they are met.
    this.#stringsCount = 1;
    this.#strings[0] = 0;
    const tenant = this.#stringRef(memo, entry.tenant);
    const createdBy = this.#stringRef(memo, entry.createdBy);
    writer.begin(BLOCKS_FIELD_TAG, entry, tenant, createdBy);
    for (let i = first; i < end; i++)
      this.#addDataset(writer, entry, source, memo, positions[i] as number);
    this.#writeStrings(writer, dictionary);
    writer.end();
    this.#countBlock(writer.sink, end - first);
  }

  addEncoded({ bytes, positions }: EncodedBlock): void {
    const { sink } = this.#writer as BlockProtoWriter;
    sink.append(bytes);
    this.#counters.blocksRepeated++;
    this.#countBlock(sink, positions.length);
  }

  keepLast(entry: EntryReader, source: Source, rows: RowRange): void {
    const { sink } = this.#writer as BlockProtoWriter;
    if (this.#blockStart - this.#start > ANSWER_KEPT_MAX_BYTES) return;
    this.encoded.keep(source.form, entry, rows, sink.view(this.#blockStart));
  }

  #countBlock(sink: ByteSink, datasets: number): void {
    this.#blocks++;
    this.#counters.blocksMatched++;
    this.#counters.datasetsMatched += datasets;
    const bytes = sink.length - this.#start;
    if (bytes > this.#answerMaxBytes)
      throw answerTooLarge(this.#blocks, bytes, this.#answerMaxBytes);
  }

  #addDataset(
    writer: BlockProtoWriter,
    entry: EntryReader,
    source: Source,
    memo: DictionaryMemo,
    row: number,
  ): void {
    checkToc(entry, row);
    const key = entry.rowU32(row, ENTRY_ROW.key);
    const { ints, bounds } = source.dictionary.keyChunk(key);
    const start = bounds[key & KEY_MASK] as number;
    const end = bounds[(key & KEY_MASK) + 1] as number;
    const tenant = this.#stringRef(memo, ints[start] as number);
    const name = this.#stringRef(memo, ints[start + 1] as number);
    writer.beginDataset(row, tenant, name);
    this.#labelsCount = 0;
    if (source.projection.kind === "all") this.#takeAll(memo, ints, start + 2, end);
    if (source.projection.kind === "matching")
      this.#takeMatching(memo, source, ints, start + 2, end);
    writer.labels(this.#labels, this.#labelsCount);
    writer.endDataset();
  }

  /** Copies label sets; what is left of one that is cut off is copied too (spec 2.3). */
  #takeAll(memo: DictionaryMemo, ints: Int32Array, start: number, end: number): void {
    let position = start;
    while (position < end) {
      const pairs = ints[position] as number;
      const next = pairs < 0 ? end : Math.min(end, position + 1 + 2 * pairs);
      this.#pushLabel(pairs);
      for (let i = position + 1; i < next; i++)
        this.#pushLabel(this.#stringRef(memo, ints[i] as number));
      position = next;
    }
  }

  #takeMatching(
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
      if (evaluator.matchesSet(ints, position + 1, next))
        this.#takeProjected(memo, ints, position + 1, next, nameIds);
      position = next;
    }
  }

  #takeProjected(
    memo: DictionaryMemo,
    ints: Int32Array,
    start: number,
    end: number,
    nameIds: readonly number[],
  ): void {
    const countAt = this.#labelsCount;
    this.#pushLabel(0);
    let found = 0;
    for (const nameId of nameIds) {
      const value = firstValue(ints, start, end, nameId);
      if (value < 0) continue;
      this.#pushLabel(this.#stringRef(memo, nameId));
      this.#pushLabel(this.#stringRef(memo, value));
      found++;
    }
    this.#labels[countAt] = found;
  }

  #pushLabel(value: number): void {
    if (this.#labelsCount === this.#labels.length) {
      const grown = new Int32Array(2 * this.#labels.length);
      grown.set(this.#labels);
      this.#labels = grown;
    }
    this.#labels[this.#labelsCount++] = value;
  }

  #stringRef(memo: DictionaryMemo, id: number): number {
    if (id === 0) return 0;
    const known = memo.string(id);
    if (known >= 0) return known;
    const ref = this.#stringsCount++;
    if (ref === this.#strings.length) {
      const grown = new Uint32Array(2 * this.#strings.length);
      grown.set(this.#strings);
      this.#strings = grown;
    }
    this.#strings[ref] = id;
    memo.setString(id, ref);
    return ref;
  }

  #writeStrings(writer: BlockProtoWriter, dictionary: Dictionary): void {
    writer.string(EMPTY, 0, 0);
    for (let ref = 1; ref < this.#stringsCount; ref++) {
      const id = this.#strings[ref] as number;
      const { bytes, bounds } = dictionary.stringChunk(id);
      const i = id & STRING_MASK;
      writer.string(bytes, bounds[i] as number, bounds[i + 1] as number);
    }
  }
}

const EMPTY = Buffer.alloc(0);
