/**
 * What the writer keeps in memory of owners, partitions and shards: mirrors of the records in db/DESIGN.md, changed
 * freely during a transaction and stored once at its end.
 */

import type { TailChunk } from "./tail-chunk.ts";

/** One owner: the value of its `owners` row. */
export interface OwnerState {
  readonly tenant: number;
  /** Ascending by start. */
  readonly partitions: PartitionState[];
  readonly byStart: Map<number, PartitionState>;
  isDirty: boolean;
}

/** One partition of an owner: a record of `owners` and, once loaded, the value of its `partitions` row. */
export interface PartitionState {
  readonly owner: OwnerState;
  readonly startMs: number;
  readonly durationSec: number;
  readonly dictionary: number;
  liveMinMs: number;
  liveMaxMs: number;
  shardCount: number;
  blocks: number;
  bytes: number;
  /** By shard number; null while not in memory. */
  shards: Map<number, ShardState> | null;
  isDirty: boolean;
}

/** One shard: a record of `partitions`, and the end of its tail. */
export interface ShardState {
  readonly partition: PartitionState;
  readonly shard: number;
  /** Prefix of its rows; never used again after the shard is deleted, so nothing of it can be seen then. */
  readonly ordinal: number;
  blocks: number;
  datasets: number;
  /** Sum of object sizes. */
  bytes: number;
  /** Spec 3.3, NaN until a block was inserted (W9: an explicit "none yet"). Never narrows. */
  summaryMinMs: number;
  summaryMaxMs: number;
  version: number;
  /** Contain the range of every block; reset when the last block goes. */
  liveMinMs: number;
  liveMaxMs: number;
  /**
   * Words of a ULID, as they stand in memory: no id of the shard is above it. Null: not known yet. Not stored: the
   * last key of the shard's rows says it.
   */
  newestId: Int32Array | null;
  /** One more than the number of the last tail chunk. */
  tailChunks: number;
  /** The last tail chunk; null while not in memory. */
  tail: TailChunk | null;
}

export function createShard(partition: PartitionState, shard: number, ordinal: number): ShardState {
  return {
    partition,
    shard,
    ordinal,
    blocks: 0,
    datasets: 0,
    bytes: 0,
    summaryMinMs: Number.NaN,
    summaryMaxMs: Number.NaN,
    version: 0,
    liveMinMs: Number.POSITIVE_INFINITY,
    liveMaxMs: Number.NEGATIVE_INFINITY,
    newestId: null,
    tailChunks: 0,
    tail: null,
  };
}

/** Notes an inserted block: spec 3.3, and the live bounds. */
export function widenShard(shard: ShardState, minTimeMs: number, maxTimeMs: number): void {
  // Written so that NaN, "no block yet", gives way.
  if (!(shard.summaryMinMs <= minTimeMs)) shard.summaryMinMs = minTimeMs;
  if (!(shard.summaryMaxMs >= maxTimeMs)) shard.summaryMaxMs = maxTimeMs;
  if (minTimeMs < shard.liveMinMs) shard.liveMinMs = minTimeMs;
  if (maxTimeMs > shard.liveMaxMs) shard.liveMaxMs = maxTimeMs;
  shard.version++;
}
