/**
 * Owner and time range -> the shards worth looking into, pruned twice by the live bounds of their data: partition
 * records first, then shard records. Real data times, no look-around (spec W5): a block made today with last
 * year's data is found by last year's times, and nothing else is paid for.
 */

import {
  type IndexDatabase,
  KeyBuffer,
  PARTITION_MS,
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

/** Shard records kept between queries: 4 MB or so. Over it everything is forgotten; it is read again when asked for. */
const KEPT_SHARDS_MAX = 32_768;
/** Tenant names kept, unknown ones included, so that hostile names cannot fill the memory. */
const KEPT_NAMES_MAX = 4_096;

/** A partition of an owner with the live bounds of its data. */
interface PartitionRecord extends PartitionName {
  readonly liveMinMs: number;
  readonly liveMaxMs: number;
  /** Ascending by shard; null until read. */
  shards: readonly ShardRecord[] | null;
}

/**
 * Tenants, partitions and shards as of the current transaction.
 *
 * Two transactions with the same applied index see the same index, so what one query read serves the following ones
 * until something is applied: under load, hundreds of queries share one look.
 */
export class Catalog {
  readonly #db: IndexDatabase;
  readonly #counters: ReadCounters;
  readonly #ownerKey = new KeyBuffer(4);
  readonly #partitionKey = new KeyBuffer(16);
  #appliedIndex = -1;
  readonly #tenants = new Map<string, number>();
  readonly #owners = new Map<number, readonly PartitionRecord[]>();
  #keptShards = 0;

  constructor(db: IndexDatabase, counters: ReadCounters) {
    this.#db = db;
    this.#counters = counters;
  }

  /** To be called when a query begins, with the applied index its transaction sees. */
  beginQuery(appliedIndex: number): void {
    const isFull = this.#keptShards > KEPT_SHARDS_MAX || this.#tenants.size > KEPT_NAMES_MAX;
    if (appliedIndex === this.#appliedIndex && !isFull) return;
    this.#appliedIndex = appliedIndex;
    this.#tenants.clear();
    this.#owners.clear();
    this.#keptShards = 0;
  }

  /** Tenant id of a name; 0 for the anonymous owner, -1 for a name that never owned anything. */
  findTenant(name: string): number {
    if (name === "") return 0;
    const known = this.#tenants.get(name);
    if (known !== undefined) return known;
    const tenant = this.#readTenant(Buffer.from(name));
    this.#tenants.set(name, tenant);
    return tenant;
  }

  /**
   * The owner's shards with data that may overlap the range.
   *
   * Shape: ordered by shard number, then partition (spec 6.5).
   * Cost: nothing is read that was read since the last apply; else one read for the owner, one per partition that
   *   overlaps.
   */
  candidates(tenant: number, range: TimeRange): ShardRecord[] {
    const found: ShardRecord[] = [];
    const partitions = this.#partitions(tenant);
    this.#counters.partitionsSeen += partitions.length;
    for (const partition of partitions) {
      if (!overlaps(range, partition.liveMinMs, partition.liveMaxMs)) continue;
      const shards = this.#shards(tenant, partition);
      this.#counters.shardsSeen += shards.length;
      for (const shard of shards) {
        if (overlaps(range, shard.liveMinMs, shard.liveMaxMs)) found.push(shard);
      }
    }
    return found.sort(compareShards);
  }

  /** All shards of the owner, empty ones included, in no particular order. */
  allShards(tenant: number): ShardRecord[] {
    return this.#partitions(tenant).flatMap((partition) => this.#shards(tenant, partition));
  }

  /** The shard of the owner's partition that begins at `partitionStartMs`, or null. */
  findShard(tenant: number, partitionStartMs: number, shard: number): ShardRecord | null {
    for (const partition of this.#partitions(tenant)) {
      if (partition.startMs !== partitionStartMs || partition.durationSec !== PARTITION_SEC)
        continue;
      for (const record of this.#shards(tenant, partition)) {
        if (record.shard === shard) return record;
      }
      return null;
    }
    return null;
  }

  #readTenant(name: Uint8Array): number {
    if (name.length > TENANT_MAX_BYTES) return -1;
    const sizeBytes = this.#db.get("tenantIds", name);
    if (sizeBytes < 0) return -1;
    if (sizeBytes !== 4) throw dataLoss(`a tenant id has ${sizeBytes} bytes`);
    return this.#db.u32[0] as number;
  }

  #partitions(tenant: number): readonly PartitionRecord[] {
    let partitions = this.#owners.get(tenant);
    if (partitions === undefined) {
      partitions = this.#readOwner(tenant);
      this.#owners.set(tenant, partitions);
      this.#keptShards += partitions.length;
    }
    return partitions;
  }

  #shards(tenant: number, partition: PartitionRecord): readonly ShardRecord[] {
    if (partition.shards === null) {
      partition.shards = this.#readPartition(tenant, partition);
      this.#keptShards += partition.shards.length;
    }
    return partition.shards;
  }

  #readOwner(tenant: number): PartitionRecord[] {
    const sizeBytes = this.#db.get("owners", this.#ownerKey.u32(0, tenant).bytes);
    if (sizeBytes < 0) return [];
    if (sizeBytes % PARTITION_RECORD_BYTES !== 0) throw dataLoss(`owner ${tenant} is damaged`);
    const { u32, f64 } = this.#db;
    const partitions: PartitionRecord[] = [];
    for (let i = 0; i < sizeBytes / PARTITION_RECORD_BYTES; i++) {
      const double = i * RECORD_DOUBLES;
      partitions.push({
        startMs: f64[double + PARTITION_RECORD.startMs64] as number,
        durationSec: u32[i * RECORD_WORDS + PARTITION_RECORD.durationSec32] as number,
        liveMinMs: f64[double + PARTITION_RECORD.liveMinMs64] as number,
        liveMaxMs: f64[double + PARTITION_RECORD.liveMaxMs64] as number,
        shards: null,
      });
    }
    return partitions;
  }

  #readPartition(tenant: number, partition: PartitionName): ShardRecord[] {
    const { startMs, durationSec } = partition;
    const key = this.#partitionKey.u32(0, tenant).u64(4, startMs).u32(12, durationSec);
    const sizeBytes = this.#db.get("partitions", key.bytes);
    if (sizeBytes < 0) throw dataLoss(`partition ${startMs} of owner ${tenant} is missing`);
    if (sizeBytes % SHARD_RECORD_BYTES !== 0)
      throw dataLoss(`partition ${startMs} of owner ${tenant} is damaged`);
    const shards: ShardRecord[] = [];
    for (let i = 0; i < sizeBytes / SHARD_RECORD_BYTES; i++)
      shards.push(this.#copyShard(i, partition));
    return shards;
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
interface PartitionName {
  readonly startMs: number;
  readonly durationSec: number;
}

/** The start of the partition of a creation time. */
export function partitionStartOf(creationTimeMs: number): number {
  return creationTimeMs - (creationTimeMs % PARTITION_MS);
}

const PARTITION_SEC = PARTITION_MS / 1000;

function compareShards(a: ShardRecord, b: ShardRecord): number {
  return (
    a.shard - b.shard ||
    a.partitionStartMs - b.partitionStartMs ||
    a.partitionDurationSec - b.partitionDurationSec
  );
}
