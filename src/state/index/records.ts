/** Shard and partition records as bytes (db/DESIGN.md, "Rows"), for the catalog. */

import {
  PARTITION_RECORD,
  PARTITION_RECORD_BYTES,
  SHARD_RECORD,
  SHARD_RECORD_BYTES,
} from "../../db/index.ts";
import {
  createShard,
  type OwnerState,
  type PartitionState,
  type ShardState,
} from "./shard-state.ts";

/** One buffer for values that are copied by the put that follows; grows to the largest seen. */
let scratch = new ArrayBuffer(16_384);

function reserve(bytes: number): void {
  if (bytes > scratch.byteLength)
    scratch = new ArrayBuffer(Math.max(bytes, scratch.byteLength * 2));
}

/** Shards of a `partitions` value that stands at offset 0 of the views. */
export function decodeShards(
  partition: PartitionState,
  words: Uint32Array,
  doubles: Float64Array,
  length: number,
): Map<number, ShardState> {
  const shards = new Map<number, ShardState>();
  for (let at = 0; at < length; at += SHARD_RECORD_BYTES) {
    const word = at / 4;
    const double = at / 8;
    const state = createShard(
      partition,
      words[word + SHARD_RECORD.shard32] as number,
      words[word + SHARD_RECORD.ordinal32] as number,
    );
    state.blocks = words[word + SHARD_RECORD.blocks32] as number;
    state.summaryMinMs = doubles[double + SHARD_RECORD.summaryMinMs64] as number;
    state.summaryMaxMs = doubles[double + SHARD_RECORD.summaryMaxMs64] as number;
    state.liveMinMs = doubles[double + SHARD_RECORD.liveMinMs64] as number;
    state.liveMaxMs = doubles[double + SHARD_RECORD.liveMaxMs64] as number;
    state.version = doubles[double + SHARD_RECORD.version64] as number;
    state.bytes = doubles[double + SHARD_RECORD.bytes64] as number;
    state.datasets = words[word + SHARD_RECORD.datasets32] as number;
    state.tailChunks = words[word + SHARD_RECORD.tailChunks32] as number;
    shards.set(state.shard, state);
  }
  return shards;
}

/**
 * The `partitions` value of a partition, and on the way the sums that its own record carries.
 *
 * Shape: ascending by shard. Borrowed until the next call of this module.
 */
export function encodeShards(
  partition: PartitionState,
  shards: ReadonlyMap<number, ShardState>,
): Uint8Array {
  reserve(shards.size * SHARD_RECORD_BYTES);
  const words = new Uint32Array(scratch);
  const doubles = new Float64Array(scratch);
  partition.liveMinMs = Number.POSITIVE_INFINITY;
  partition.liveMaxMs = Number.NEGATIVE_INFINITY;
  partition.blocks = 0;
  partition.bytes = 0;
  let at = 0;
  for (const state of ascending(shards)) {
    encodeShard(state, words, doubles, at);
    at += SHARD_RECORD_BYTES;
    partition.liveMinMs = Math.min(partition.liveMinMs, state.liveMinMs);
    partition.liveMaxMs = Math.max(partition.liveMaxMs, state.liveMaxMs);
    partition.blocks += state.blocks;
    partition.bytes += state.bytes;
  }
  return new Uint8Array(scratch, 0, at);
}

/** The `owners` value. Borrowed until the next call of this module. */
export function encodeOwner(owner: OwnerState): Uint8Array {
  reserve(owner.partitions.length * PARTITION_RECORD_BYTES);
  const words = new Uint32Array(scratch);
  const doubles = new Float64Array(scratch);
  let word = 0;
  for (const partition of owner.partitions) {
    const double = word / 2;
    words.fill(0, word, word + PARTITION_RECORD_BYTES / 4);
    doubles[double + PARTITION_RECORD.startMs64] = partition.startMs;
    words[word + PARTITION_RECORD.durationSec32] = partition.durationSec;
    words[word + PARTITION_RECORD.dictionary32] = partition.dictionary;
    doubles[double + PARTITION_RECORD.liveMinMs64] = partition.liveMinMs;
    doubles[double + PARTITION_RECORD.liveMaxMs64] = partition.liveMaxMs;
    words[word + PARTITION_RECORD.shards32] = partition.shardCount;
    words[word + PARTITION_RECORD.blocks32] = partition.blocks;
    doubles[double + PARTITION_RECORD.bytes64] = partition.bytes;
    word += PARTITION_RECORD_BYTES / 4;
  }
  return new Uint8Array(scratch, 0, word * 4);
}

/** The map is in order of creation, which is nearly always ascending already. */
function ascending(shards: ReadonlyMap<number, ShardState>): ShardState[] {
  return [...shards.values()].sort((a, b) => a.shard - b.shard);
}

function encodeShard(
  state: ShardState,
  words: Uint32Array,
  doubles: Float64Array,
  at: number,
): void {
  const word = at / 4;
  const double = at / 8;
  words[word + SHARD_RECORD.shard32] = state.shard;
  words[word + SHARD_RECORD.ordinal32] = state.ordinal;
  words[word + SHARD_RECORD.dictionary32] = state.partition.dictionary;
  words[word + SHARD_RECORD.blocks32] = state.blocks;
  doubles[double + SHARD_RECORD.summaryMinMs64] = state.summaryMinMs;
  doubles[double + SHARD_RECORD.summaryMaxMs64] = state.summaryMaxMs;
  doubles[double + SHARD_RECORD.liveMinMs64] = state.liveMinMs;
  doubles[double + SHARD_RECORD.liveMaxMs64] = state.liveMaxMs;
  doubles[double + SHARD_RECORD.version64] = state.version;
  doubles[double + SHARD_RECORD.bytes64] = state.bytes;
  words[word + SHARD_RECORD.datasets32] = state.datasets;
  words[word + SHARD_RECORD.tailChunks32] = state.tailChunks;
}

/** The partition record at byte `at` of an `owners` value that stands at offset 0 of the views. */
export function decodePartition(
  owner: OwnerState,
  words: Uint32Array,
  doubles: Float64Array,
  at: number,
): PartitionState {
  const word = at / 4;
  const double = at / 8;
  return {
    owner,
    startMs: doubles[double + PARTITION_RECORD.startMs64] as number,
    durationSec: words[word + PARTITION_RECORD.durationSec32] as number,
    dictionary: words[word + PARTITION_RECORD.dictionary32] as number,
    liveMinMs: doubles[double + PARTITION_RECORD.liveMinMs64] as number,
    liveMaxMs: doubles[double + PARTITION_RECORD.liveMaxMs64] as number,
    shardCount: words[word + PARTITION_RECORD.shards32] as number,
    blocks: words[word + PARTITION_RECORD.blocks32] as number,
    bytes: doubles[double + PARTITION_RECORD.bytes64] as number,
    shards: null,
    isDirty: false,
  };
}
