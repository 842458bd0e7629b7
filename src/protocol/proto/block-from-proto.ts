/**
 * metastore.v1.BlockMeta in protobuf -> the wire Block that stands in the log, without an object in between: the message
 * is walked twice, once to count its parts and once to copy them to their places.
 *
 * Whether the index accepts the block is for `validateBlock` to say. What a Block cannot hold is made into what that
 * refuses: a time beyond +-2^53 ms becomes NaN.
 */

import { tryDecodeUlid, ULID_TEXT_LENGTH } from "../../base/index.ts";
import { beginBlock, blockIdError, type BlockParts, endBlock } from "../block/block-parts.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { BLOCK_PRELUDE, DATASET, HEAD } from "../layout.ts";
import type { BlockObjectPlace } from "./block-object.ts";
import { malformed, ProtoReader, tagOf, WIRE } from "./wire.ts";

const { varint, bytes } = WIRE;

/** Tags of BlockMeta. */
export const BLOCK_TAG = {
  formatVersion: tagOf(1, varint),
  id: tagOf(2, bytes),
  tenant: tagOf(3, varint),
  shard: tagOf(4, varint),
  compactionLevel: tagOf(5, varint),
  minTime: tagOf(6, varint),
  maxTime: tagOf(7, varint),
  createdBy: tagOf(8, varint),
  size: tagOf(9, varint),
  datasets: tagOf(10, bytes),
  strings: tagOf(11, bytes),
  metadataOffset: tagOf(12, varint),
} as const;

/** Tags of Dataset. Numbers of a list may be packed or stand alone. */
export const DATASET_TAG = {
  tenant: tagOf(1, varint),
  name: tagOf(2, varint),
  minTime: tagOf(3, varint),
  maxTime: tagOf(4, varint),
  toc: tagOf(5, bytes),
  tocSingle: tagOf(5, varint),
  size: tagOf(6, varint),
  labels: tagOf(8, bytes),
  labelsSingle: tagOf(8, varint),
  format: tagOf(9, varint),
} as const;

interface Counts {
  datasets: number;
  sections: number;
  labels: number;
  strings: number;
}

/** Where the next part of each kind goes; all are word or byte positions of the sink. */
interface Cursors {
  dataset: number;
  toc: number;
  label: number;
  stringEnd: number;
}

/** One per thread. */
export class BlockTranscoder {
  readonly #reader = new ProtoReader();
  readonly #counts: Counts = { datasets: 0, sections: 0, labels: 0, strings: 0 };
  readonly #cursors: Cursors = { dataset: 0, toc: 0, label: 0, stringEnd: 0 };

  /**
   * Appends the Block of the message message[start, end) to the sink, which stands at a multiple of 8; returns its
   * length.
   *
   * Errors: HearthError invalid_argument: `bad_protobuf`, `bad_block_id`, `block_too_large`; the sink is as it was then.
   * Cost: two passes, no allocation.
   */
  append(sink: ByteSink, message: Uint8Array, start = 0, end: number = message.length): number {
    const at = sink.length;
    try {
      this.#count(message, start, end);
      const parts = beginBlock(sink, at, this.#counts);
      this.#copy(sink, at, parts, this.#reader.reset(message, start, end));
      return endBlock(sink, at, parts);
    } catch (error) {
      sink.length = at;
      throw error;
    }
  }

  /**
   * Appends the Block of the metadata in an object: as `append`, but the size is that of the object, which was not known
   * when the copy was written, and where the metadata begins is filled in when the writer left it out.
   */
  appendFromObject(
    sink: ByteSink,
    bytes: Uint8Array,
    { start, end, metadataOffset }: BlockObjectPlace,
    objectBytes: number,
  ): number {
    const at = sink.length;
    const length = this.append(sink, bytes, start, end);
    const head = at + BLOCK_PRELUDE.headOffset;
    const offset = (head + HEAD.metadataOffset) >>> 3;
    sink.u64[(head + HEAD.sizeBytes) >>> 3] = BigInt(objectBytes);
    if (sink.u64[offset] === 0n) sink.u64[offset] = BigInt(metadataOffset);
    return length;
  }

  #count(message: Uint8Array, start: number, end: number): void {
    const reader = this.#reader.reset(message, start, end);
    const counts = this.#counts;
    counts.datasets = 0;
    counts.sections = 0;
    counts.labels = 0;
    counts.strings = 0;
    while (reader.next()) {
      if (reader.tag === BLOCK_TAG.datasets) {
        counts.datasets++;
        this.#countDataset();
      } else {
        if (reader.tag === BLOCK_TAG.strings) counts.strings++;
        reader.skip();
      }
    }
  }

  #countDataset(): void {
    const reader = this.#reader;
    const counts = this.#counts;
    const outer = reader.enter();
    while (reader.next()) {
      if (reader.tag === DATASET_TAG.labels) counts.labels += countPacked(reader);
      else if (reader.tag === DATASET_TAG.toc) counts.sections += countPacked(reader);
      else {
        if (reader.tag === DATASET_TAG.labelsSingle) counts.labels++;
        if (reader.tag === DATASET_TAG.tocSingle) counts.sections++;
        reader.skip();
      }
    }
    reader.leave(outer);
  }

  #copy(sink: ByteSink, at: number, parts: BlockParts, reader: ProtoReader): void {
    const head = at + BLOCK_PRELUDE.headOffset;
    sink.i32.fill(0, head >>> 2, (head + HEAD.bytes) >>> 2);
    const cursors = this.#cursors;
    cursors.dataset = parts.datasets;
    cursors.toc = parts.toc >>> 2;
    cursors.label = parts.labels >>> 2;
    cursors.stringEnd = parts.stringEnds >>> 2;
    let hasId = false;
    while (reader.next()) {
      switch (reader.tag) {
        case BLOCK_TAG.id:
          copyId(sink, head, reader);
          hasId = true;
          break;
        case BLOCK_TAG.datasets:
          this.#copyDataset(sink, parts);
          break;
        case BLOCK_TAG.strings:
          this.#copyString(sink, parts);
          break;
        default:
          copyHeadField(sink, head, reader);
      }
    }
    if (!hasId) throw blockIdError("");
  }

  #copyDataset(sink: ByteSink, parts: BlockParts): void {
    const reader = this.#reader;
    const cursors = this.#cursors;
    const { i32 } = sink;
    const at = cursors.dataset;
    const word = at >>> 2;
    i32.fill(0, word, word + DATASET.bytes / 4);
    const firstToc = cursors.toc;
    const firstLabel = cursors.label;
    const outer = reader.enter();
    while (reader.next()) {
      switch (reader.tag) {
        case DATASET_TAG.toc:
          cursors.toc = copyPacked64(i32, cursors.toc, reader);
          break;
        case DATASET_TAG.tocSingle:
          cursors.toc = copy64(i32, cursors.toc, reader);
          break;
        case DATASET_TAG.labels:
          cursors.label = copyPacked32(i32, cursors.label, reader);
          break;
        case DATASET_TAG.labelsSingle:
          i32[cursors.label++] = reader.int32();
          break;
        default:
          copyDatasetField(sink, at, reader);
      }
    }
    reader.leave(outer);
    i32[word + DATASET.tocStart / 4] = (firstToc - (parts.toc >>> 2)) >>> 1;
    i32[word + DATASET.tocCount / 4] = (cursors.toc - firstToc) >>> 1;
    i32[word + DATASET.labelsStart / 4] = firstLabel - (parts.labels >>> 2);
    i32[word + DATASET.labelsCount / 4] = cursors.label - firstLabel;
    cursors.dataset = at + DATASET.bytes;
  }

  #copyString(sink: ByteSink, parts: BlockParts): void {
    const reader = this.#reader;
    const length = reader.length();
    sink.reserve(length + 8);
    reader.bytes.copy(sink.u8, sink.length, reader.position, reader.position + length);
    reader.position += length;
    sink.length += length;
    sink.i32[this.#cursors.stringEnd++] = sink.length - parts.stringBytes;
  }
}

/** Numbers of a packed list: as many as there are last bytes. */
function countPacked(reader: ProtoReader): number {
  const length = reader.length();
  const { bytes: message, position } = reader;
  const end = position + length;
  let count = 0;
  for (let at = position; at < end; at++) if ((message[at] as number) < 128) count++;
  if (length > 0 && (message[end - 1] as number) > 127) throw malformed("a list that is cut off");
  reader.position = end;
  return count;
}

function copyPacked32(target: Int32Array, from: number, reader: ProtoReader): number {
  let to = from;
  const outer = reader.enter();
  while (reader.position < reader.end) target[to++] = reader.int32();
  reader.leave(outer);
  return to;
}

function copyPacked64(target: Int32Array, from: number, reader: ProtoReader): number {
  let to = from;
  const outer = reader.enter();
  while (reader.position < reader.end) to = copy64(target, to, reader);
  reader.leave(outer);
  return to;
}

/** Copies a number as two words; returns the word after it. */
function copy64(target: Int32Array, to: number, reader: ProtoReader): number {
  reader.varint();
  target[to] = reader.low;
  target[to + 1] = reader.high;
  return to + 2;
}

function copyId(sink: ByteSink, head: number, reader: ProtoReader): void {
  const length = reader.length();
  const start = reader.position;
  reader.position += length;
  const text = reader.bytes.toString(
    "latin1",
    start,
    start + Math.min(length, ULID_TEXT_LENGTH + 1),
  );
  if (!tryDecodeUlid(text, sink.u8, head + HEAD.id)) throw blockIdError(text);
}

function copyHeadField(sink: ByteSink, head: number, reader: ProtoReader): void {
  const { i32, f64 } = sink;
  switch (reader.tag) {
    case BLOCK_TAG.formatVersion:
      i32[(head + HEAD.formatVersion) >>> 2] = reader.int32();
      return;
    case BLOCK_TAG.tenant:
      i32[(head + HEAD.tenant) >>> 2] = reader.int32();
      return;
    case BLOCK_TAG.shard:
      i32[(head + HEAD.shard) >>> 2] = reader.int32();
      return;
    case BLOCK_TAG.compactionLevel:
      i32[(head + HEAD.compactionLevel) >>> 2] = reader.int32();
      return;
    case BLOCK_TAG.minTime:
      f64[(head + HEAD.minTimeMs) >>> 3] = reader.int64();
      return;
    case BLOCK_TAG.maxTime:
      f64[(head + HEAD.maxTimeMs) >>> 3] = reader.int64();
      return;
    case BLOCK_TAG.createdBy:
      i32[(head + HEAD.createdBy) >>> 2] = reader.int32();
      return;
    case BLOCK_TAG.size:
      copy64(i32, (head + HEAD.sizeBytes) >>> 2, reader);
      return;
    case BLOCK_TAG.metadataOffset:
      copy64(i32, (head + HEAD.metadataOffset) >>> 2, reader);
      return;
    default:
      reader.skip();
  }
}

function copyDatasetField(sink: ByteSink, at: number, reader: ProtoReader): void {
  const { i32, f64 } = sink;
  switch (reader.tag) {
    case DATASET_TAG.tenant:
      i32[(at + DATASET.tenant) >>> 2] = reader.int32();
      return;
    case DATASET_TAG.name:
      i32[(at + DATASET.name) >>> 2] = reader.int32();
      return;
    case DATASET_TAG.minTime:
      f64[(at + DATASET.minTimeMs) >>> 3] = reader.int64();
      return;
    case DATASET_TAG.maxTime:
      f64[(at + DATASET.maxTimeMs) >>> 3] = reader.int64();
      return;
    case DATASET_TAG.size:
      copy64(i32, (at + DATASET.sizeBytes) >>> 2, reader);
      return;
    case DATASET_TAG.format:
      i32[(at + DATASET.format) >>> 2] = reader.int32();
      return;
    default:
      reader.skip();
  }
}
