/**
 * A stored BlockEntry -> metastore.v1.BlockMeta in protobuf, appended field by field as the rows are visited. Knows
 * nothing of dictionaries: whoever calls maps their ids to references of the block's own string table.
 *
 * ```
 * begin | for each dataset: beginDataset, labels, endDataset | strings in the order of their references | end
 * ```
 */

import { assert, ULID_TEXT_LENGTH, writeUlid } from "../../base/index.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { ENTRY_ROW, HEAD } from "../layout.ts";
import type { EntryReader } from "../stored/entry-reader.ts";
import { BLOCK_TAG, DATASET_TAG } from "./block-from-proto.ts";
import { beginLength, endLength, putInt64, putU32, putU64 } from "./wire.ts";

/** Upper bounds of what is written without another look at the room. */
const HEAD_MAX_BYTES = 160;
const DATASET_MAX_BYTES = 96;

/** Most names are shorter, and a call into the runtime costs more than so many bytes. Measured. */
const COPY_BY_HAND_MAX_BYTES = 48;

/** One per thread. */
export class BlockProtoWriter {
  readonly sink: ByteSink;
  #entry!: EntryReader;
  #block = 0;
  #dataset = 0;
  #row = 0;

  constructor(sink: ByteSink) {
    this.sink = sink;
  }

  /** Begins a BlockMeta as an element of field `tag`. */
  begin(tag: number, entry: EntryReader, tenant: number, createdBy: number): void {
    const { sink } = this;
    this.#entry = entry;
    sink.reserve(HEAD_MAX_BYTES);
    putU32(sink, tag);
    this.#block = beginLength(sink);
    const { i32, f64, headOffset } = entry;
    const word = headOffset >>> 2;
    put32(sink, BLOCK_TAG.formatVersion, i32[word + HEAD.formatVersion / 4] as number);
    putU32(sink, BLOCK_TAG.id);
    putU32(sink, ULID_TEXT_LENGTH);
    writeUlid(entry.u8, headOffset + HEAD.id, sink.u8, sink.length);
    sink.length += ULID_TEXT_LENGTH;
    put32(sink, BLOCK_TAG.tenant, tenant);
    put32(sink, BLOCK_TAG.shard, i32[word + HEAD.shard / 4] as number);
    put32(sink, BLOCK_TAG.compactionLevel, i32[word + HEAD.compactionLevel / 4] as number);
    putTime(sink, BLOCK_TAG.minTime, f64[(headOffset + HEAD.minTimeMs) >>> 3] as number);
    putTime(sink, BLOCK_TAG.maxTime, f64[(headOffset + HEAD.maxTimeMs) >>> 3] as number);
    put32(sink, BLOCK_TAG.createdBy, createdBy);
    put64(sink, BLOCK_TAG.size, i32, word + HEAD.sizeBytes / 4);
  }

  /** Begins the dataset of row `row`. */
  beginDataset(row: number, tenant: number, name: number): void {
    const { sink } = this;
    const { i32, f64, rowsOffset, tocOffset } = this.#entry;
    const at = rowsOffset + row * ENTRY_ROW.bytes;
    const word = at >>> 2;
    const tocCount = i32[word + ENTRY_ROW.tocCount / 4] as number;
    sink.reserve(DATASET_MAX_BYTES + 10 * tocCount);
    putU32(sink, BLOCK_TAG.datasets);
    this.#dataset = beginLength(sink);
    this.#row = word;
    put32(sink, DATASET_TAG.tenant, tenant);
    put32(sink, DATASET_TAG.name, name);
    putTime(sink, DATASET_TAG.minTime, f64[at >>> 3] as number);
    putTime(sink, DATASET_TAG.maxTime, f64[(at >>> 3) + 1] as number);
    if (tocCount > 0) {
      putU32(sink, DATASET_TAG.toc);
      const start = beginLength(sink);
      const first = (tocOffset >>> 2) + 2 * (i32[word + ENTRY_ROW.tocStart / 4] as number);
      for (let i = first; i < first + 2 * tocCount; i += 2)
        putU64(sink, i32[i] as number, i32[i + 1] as number);
      endLength(sink, start);
    }
    put64(sink, DATASET_TAG.size, i32, word + ENTRY_ROW.sizeBytes / 4);
  }

  /** The labels of the dataset: counts and references, labels[0, count). */
  labels(labels: Int32Array, count: number): void {
    if (count === 0) return;
    const { sink } = this;
    sink.reserve(16 + 10 * count);
    putU32(sink, DATASET_TAG.labels);
    const start = beginLength(sink);
    for (let i = 0; i < count; i++) {
      const value = labels[i] as number;
      // A count that is no count may be negative; it is sent as it is stored.
      putU64(sink, value, value >> 31);
    }
    endLength(sink, start);
  }

  endDataset(): void {
    const { sink } = this;
    sink.reserve(16);
    put32(sink, DATASET_TAG.format, this.#entry.i32[this.#row + ENTRY_ROW.format / 4] as number);
    endLength(sink, this.#dataset);
  }

  /** The next string of the table: bytes[start, end). */
  string(bytes: Buffer, start: number, end: number): void {
    const { sink } = this;
    const length = end - start;
    sink.reserve(16 + length);
    putU32(sink, BLOCK_TAG.strings);
    putU32(sink, length);
    if (length > COPY_BY_HAND_MAX_BYTES) bytes.copy(sink.u8, sink.length, start, end);
    else copyByHand(bytes, start, end, sink);
    sink.length += length;
  }

  end(): void {
    const { sink } = this;
    assert(this.#block > 0, "A block must begin before it ends");
    sink.reserve(32);
    const word = (this.#entry.headOffset + HEAD.metadataOffset) >>> 2;
    put64(sink, BLOCK_TAG.metadataOffset, this.#entry.i32, word);
    endLength(sink, this.#block);
    this.#block = 0;
  }
}

function copyByHand(bytes: Uint8Array, start: number, end: number, sink: ByteSink): void {
  const { u8 } = sink;
  let to = sink.length;
  for (let from = start; from < end; from++) u8[to++] = bytes[from] as number;
}

function put32(sink: ByteSink, tag: number, value: number): void {
  if (value === 0) return;
  putU32(sink, tag);
  putU32(sink, value);
}

function put64(sink: ByteSink, tag: number, words: Int32Array, word: number): void {
  const low = words[word] as number;
  const high = words[word + 1] as number;
  if ((low | high) === 0) return;
  putU32(sink, tag);
  putU64(sink, low, high);
}

function putTime(sink: ByteSink, tag: number, timeMs: number): void {
  if (timeMs === 0) return;
  putU32(sink, tag);
  putInt64(sink, timeMs);
}
