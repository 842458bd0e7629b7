/**
 * Owner and time range -> the shards worth looking into, pruned twice by the live bounds of their data: partition
 * records first, then shard records. Real data times, no look-around (spec W5): a block made today with last
 * year's data is found by last year's times, and nothing else is paid for.
 */

import {
  type IndexDatabase,
  KeyBuffer,
  PARTITION_RECORD,
  PARTITION_RECORD_BYTES,
  SHARD_RECORD,
  SHARD_RECORD_BYTES,
} from "../../db/index.ts";
import { dataLoss } from "./data-loss.ts";
import type { ReadCounters } from "./explain.ts";

/** Closed range of data times, Unix ms. May be inverted: then it asks for what contains the gap (spec 6.3). */
export interface TimeRange {
  readonly startMs: number;
  readonly endMs: number;
}

/** Whether [minMs, maxMs] overlaps the range: `not (start > max) and not (end < min)`. */
export function overlaps(range: TimeRange, minMs: number, maxMs: number): boolean {
  return range.startMs <= maxMs && range.endMs >= minMs;
}

/** A shard record, copied. */
export interface ShardRecord {
  readonly shard: number;
  readonly ordinal: number;
  readonly dictionary: number;
  readonly partitionStartMs: number;
  readonly partitionDurationSec: number;
  readonly blocks: number;
  readonly datasets: number;
  readonly tailChunks: number;
  readonly summaryMinMs: number;
  readonly summaryMaxMs: number;
  /** Contain the range of every block: inf, -inf when there is none. */
  readonly liveMinMs: number;
  readonly liveMaxMs: number;
}

const RECORD_WORDS = PARTITION_RECORD_BYTES / 4;
const RECORD_DOUBLES = PARTITION_RECORD_BYTES / 8;
const SHARD_WORDS = SHARD_RECORD_BYTES / 4;
const SHARD_DOUBLES = SHARD_RECORD_BYTES / 8;

/** LMDB refuses longer keys; the door refuses longer tenants. */
const TENANT_MAX_BYTES = 1024;

/** Tenants, partitions and shards, read in the current transaction. */
export class Catalog {
  readonly #db: IndexDatabase;
  readonly #counters: ReadCounters;
  readonly #ownerKey = new KeyBuffer(4);
  readonly #partitionKey = new KeyBuffer(16);

  constructor(db: IndexDatabase, counters: ReadCounters) {
    this.#db = db;
    this.#counters = counters;
  }

  /** Tenant id of a name, UTF-8; 0 for the anonymous owner, -1 for a name that never owned anything. */
  findTenant(name: Uint8Array): number {
    if (name.length === 0) return 0;
    if (name.length > TENANT_MAX_BYTES) return -1;
    const sizeBytes = this.#db.get("tenantIds", name);
    if (sizeBytes < 0) return -1;
    if (sizeBytes !== 4) throw dataLoss(`a tenant id has ${sizeBytes} bytes`);
    return this.#db.u32[0] as number;
  }

  /**
   * The owner's shards with data that may overlap the range.
   *
   * Shape: ordered by shard number, then partition (spec 6.5).
   * Cost: one read for the owner, one per partition that overlaps.
   */
  candidates(tenant: number, range: TimeRange): ShardRecord[] {
    const found: ShardRecord[] = [];
    for (const partition of this.#partitions(tenant, range)) {
      this.#readPartition(tenant, partition, range, found);
    }
    return found.sort(compareShards);
  }

  /** All shards of the owner, empty ones included, in no particular order. */
  allShards(tenant: number): ShardRecord[] {
    const found: ShardRecord[] = [];
    for (const partition of this.#partitions(tenant, null)) {
      this.#readPartition(tenant, partition, null, found);
    }
    return found;
  }

  /** The shard a block id belongs to under this owner, or null. */
  findShard(tenant: number, partition: PartitionName, shard: number): ShardRecord | null {
    const count = this.#getPartition(tenant, partition);
    const { u32 } = this.#db;
    for (let i = 0; i < count; i++) {
      if (u32[i * SHARD_WORDS + SHARD_RECORD.shard32] === shard)
        return this.#copyShard(i, partition);
    }
    return null;
  }

  #partitions(tenant: number, range: TimeRange | null): PartitionName[] {
    const sizeBytes = this.#db.get("owners", this.#ownerKey.u32(0, tenant).bytes);
    if (sizeBytes < 0) return [];
    if (sizeBytes % PARTITION_RECORD_BYTES !== 0) throw dataLoss(`owner ${tenant} is damaged`);
    const { u32, f64 } = this.#db;
    const count = sizeBytes / PARTITION_RECORD_BYTES;
    const found: PartitionName[] = [];
    this.#counters.partitionsSeen += count;
    for (let i = 0; i < count; i++) {
      const double = i * RECORD_DOUBLES;
      const minMs = f64[double + PARTITION_RECORD.liveMinMs64] as number;
      const maxMs = f64[double + PARTITION_RECORD.liveMaxMs64] as number;
      if (range !== null && !overlaps(range, minMs, maxMs)) continue;
      const durationSec = u32[i * RECORD_WORDS + PARTITION_RECORD.durationSec32] as number;
      found.push({ startMs: f64[double + PARTITION_RECORD.startMs64] as number, durationSec });
    }
    return found;
  }

  #readPartition(
    tenant: number,
    partition: PartitionName,
    range: TimeRange | null,
    found: ShardRecord[],
  ): void {
    const count = this.#getPartition(tenant, partition);
    if (count < 0) throw dataLoss(`partition ${partition.startMs} of owner ${tenant} is missing`);
    this.#counters.shardsSeen += count;
    const { f64 } = this.#db;
    for (let i = 0; i < count; i++) {
      const double = i * SHARD_DOUBLES;
      const minMs = f64[double + SHARD_RECORD.liveMinMs64] as number;
      const maxMs = f64[double + SHARD_RECORD.liveMaxMs64] as number;
      if (range !== null && !overlaps(range, minMs, maxMs)) continue;
      found.push(this.#copyShard(i, partition));
    }
  }

  /** Shard records now in the scratch buffer, or -1 when the partition does not exist. */
  #getPartition(tenant: number, { startMs, durationSec }: PartitionName): number {
    const key = this.#partitionKey.u32(0, tenant).u64(4, startMs).u32(12, durationSec);
    const sizeBytes = this.#db.get("partitions", key.bytes);
    if (sizeBytes < 0) return -1;
    if (sizeBytes % SHARD_RECORD_BYTES !== 0)
      throw dataLoss(`partition ${startMs} of owner ${tenant} is damaged`);
    return sizeBytes / SHARD_RECORD_BYTES;
  }

  #copyShard(i: number, partition: PartitionName): ShardRecord {
    const { u32, f64 } = this.#db;
    const word = i * SHARD_WORDS;
    const double = i * SHARD_DOUBLES;
    return {
      shard: u32[word + SHARD_RECORD.shard32] as number,
      ordinal: u32[word + SHARD_RECORD.ordinal32] as number,
      dictionary: u32[word + SHARD_RECORD.dictionary32] as number,
      partitionStartMs: partition.startMs,
      partitionDurationSec: partition.durationSec,
      blocks: u32[word + SHARD_RECORD.blocks32] as number,
      datasets: u32[word + SHARD_RECORD.datasets32] as number,
      tailChunks: u32[word + SHARD_RECORD.tailChunks32] as number,
      summaryMinMs: f64[double + SHARD_RECORD.summaryMinMs64] as number,
      summaryMaxMs: f64[double + SHARD_RECORD.summaryMaxMs64] as number,
      liveMinMs: f64[double + SHARD_RECORD.liveMinMs64] as number,
      liveMaxMs: f64[double + SHARD_RECORD.liveMaxMs64] as number,
    };
  }
}

/** A partition of an owner: the rest of its key. */
export interface PartitionName {
  readonly startMs: number;
  readonly durationSec: number;
}

/** Length of the windows that block ids fall into (spec 3.1). */
const PARTITION_MS = 21_600_000;

/** The partition of a creation time. */
export function partitionOf(creationTimeMs: number): PartitionName {
  return {
    startMs: creationTimeMs - (creationTimeMs % PARTITION_MS),
    durationSec: PARTITION_MS / 1000,
  };
}

function compareShards(a: ShardRecord, b: ShardRecord): number {
  return (
    a.shard - b.shard ||
    a.partitionStartMs - b.partitionStartMs ||
    a.partitionDurationSec - b.partitionDurationSec
  );
}
