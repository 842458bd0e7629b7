/**
 * Owners, partitions and shards: finding, creating and removing their records (db/DESIGN.md, "Rows").
 *
 * Records live in memory while they are used and are stored once per transaction by `flush`. `trim` bounds what
 * stays; `forget` drops everything after a transaction that did not happen.
 */

import { assert } from "../../base/index.ts";
import {
  GARBAGE_KIND,
  type IndexDatabase,
  KeyBuffer,
  PARTITION_RECORD_BYTES,
} from "../../db/index.ts";
import type { Counters } from "../counters.ts";
import { PARTITION_SEC, STATE_LIMITS } from "../limits.ts";
import type { StateOptions } from "../options.ts";
import type { Garbage } from "./garbage.ts";
import { positionOf, siblingOf } from "./owner-partitions.ts";
import { decodePartition, decodeShards, encodeOwner, encodeShards } from "./records.ts";
import { ID_WORDS } from "./rows.ts";
import {
  createShard,
  type OwnerState,
  type PartitionState,
  type ShardState,
} from "./shard-state.ts";
import type { TailChunk } from "./tail-chunk.ts";

const ownerKey = new KeyBuffer(4);
const partitionKey = new KeyBuffer(16);

export interface CatalogModules {
  readonly db: IndexDatabase;
  readonly counters: Counters;
  readonly garbage: Garbage;
}

export class Catalog {
  readonly #options: StateOptions;
  readonly #db: IndexDatabase;
  readonly #counters: Counters;
  readonly #garbage: Garbage;
  /** In order of last use, oldest first. Owners without partitions are kept as well: they answer "nothing there". */
  readonly #owners = new Map<number, OwnerState>();
  /** Partitions with shards in memory, in order of last change. */
  readonly #loaded = new Set<PartitionState>();
  readonly #dirtyOwners = new Set<OwnerState>();
  readonly #dirtyPartitions = new Set<PartitionState>();
  /** Found last: the next block mostly goes there, too. */
  #recent: PartitionState | null = null;
  #partitionCount = 0;
  #shardCount = 0;

  constructor(options: StateOptions, modules: CatalogModules) {
    this.#options = options;
    this.#db = modules.db;
    this.#counters = modules.counters;
    this.#garbage = modules.garbage;
  }

  /** The shard, or null. `tenant` -1 (unknown) finds nothing. */
  findShard(tenant: number, startMs: number, shard: number): ShardState | null {
    if (tenant < 0) return null;
    const partition = this.#partition(tenant, startMs);
    if (partition === undefined) return null;
    return this.#shardsOf(partition).get(shard) ?? null;
  }

  /** Whether `count` more shards, in as many new partitions, stay within the limits of one record value. */
  hasRoom(tenant: number, startMs: number, count: number): boolean {
    if (tenant < 0) return true;
    const partition = this.#partition(tenant, startMs);
    const owner = partition?.owner ?? this.#owner(tenant);
    if (owner.partitions.length + count > STATE_LIMITS.partitionsPerOwnerMax) return false;
    if (partition === undefined) return true;
    return partition.shardCount + count <= STATE_LIMITS.shardsPerPartitionMax;
  }

  /** Creates a shard that `findShard` does not know, and what is missing above it. */
  createShard(tenant: number, startMs: number, shard: number): ShardState {
    const owner = this.#owner(tenant);
    const partition = owner.byStart.get(startMs) ?? this.#createPartition(owner, startMs);
    const state = createShard(partition, shard, this.#counters.take("nextOrdinal"));
    // Its ordinal was never used before: it has no rows that would have to be looked at.
    state.newestId = new Int32Array(ID_WORDS);
    this.#shardsOf(partition).set(shard, state);
    partition.shardCount++;
    this.#shardCount++;
    this.#counters.shards++;
    this.touch(state);
    return state;
  }

  /** The owner's first shards, at most `countMax`: oldest partition first, then by shard number. */
  firstShards(tenant: number, countMax: number): ShardState[] {
    const found: ShardState[] = [];
    for (const partition of this.partitions(tenant)) {
      if (found.length >= countMax) break;
      // Sorted: in memory they stand in the order of coming, which differs from member to member.
      const shards = [...this.#shardsOf(partition).values()].sort((a, b) => a.shard - b.shard);
      found.push(...shards.slice(0, countMax - found.length));
    }
    return found;
  }

  /** Every partition of the owner, ascending. Borrowed. */
  partitions(tenant: number): readonly PartitionState[] {
    return tenant < 0 ? [] : this.#owner(tenant).partitions;
  }

  /** Notes that the shard's record changed. */
  touch(shard: ShardState): void {
    const { partition } = shard;
    if (partition.isDirty) return;
    partition.isDirty = true;
    this.#dirtyPartitions.add(partition);
    // Reinserted at the end: the order of the set is the order of last change.
    this.#loaded.delete(partition);
    this.#loaded.add(partition);
    this.#touchOwner(partition.owner);
  }

  /**
   * Removes a shard, and partition and owner when it was the last; its rows become garbage. Returns the id of the
   * dictionary that nobody needs any more, or 0.
   */
  deleteShard(shard: ShardState): number {
    const { partition } = shard;
    this.touch(shard);
    this.#shardsOf(partition).delete(shard.shard);
    partition.shardCount--;
    this.#shardCount--;
    this.#counters.shards--;
    this.#garbage.add(GARBAGE_KIND.ordinal, shard.ordinal);
    return partition.shardCount === 0 ? this.#deletePartition(partition) : 0;
  }

  /** Stores what changed. */
  flush(storeTail: (shard: ShardState, tail: TailChunk) => void): void {
    for (const partition of this.#dirtyPartitions) {
      partition.isDirty = false;
      const shards = this.#shardsOf(partition);
      for (const shard of shards.values()) {
        if (shard.tail?.isDirty === true) storeTail(shard, shard.tail);
      }
      this.#db.put("partitions", this.#partitionKey(partition), encodeShards(partition, shards));
    }
    this.#dirtyPartitions.clear();
    for (const owner of this.#dirtyOwners) {
      owner.isDirty = false;
      const key = ownerKey.u32(0, owner.tenant).bytes;
      if (owner.partitions.length === 0) this.#db.remove("owners", key);
      else this.#db.put("owners", key, encodeOwner(owner));
    }
    this.#dirtyOwners.clear();
  }

  /** Between transactions: forgets what was not used longest beyond the bounds. */
  trim(): void {
    this.#recent = null;
    for (const partition of this.#loaded) {
      if (this.#shardCount <= this.#options.shardCacheCount) break;
      this.#unload(partition);
    }
    for (const owner of this.#owners.values()) {
      if (this.#partitionCount + this.#owners.size <= this.#options.partitionCacheCount) break;
      for (const partition of owner.partitions) this.#unload(partition);
      this.#partitionCount -= owner.partitions.length;
      this.#owners.delete(owner.tenant);
    }
  }

  /** After a transaction that did not happen. */
  forget(): void {
    this.#recent = null;
    this.#owners.clear();
    this.#loaded.clear();
    this.#dirtyOwners.clear();
    this.#dirtyPartitions.clear();
    this.#partitionCount = 0;
    this.#shardCount = 0;
  }

  #partition(tenant: number, startMs: number): PartitionState | undefined {
    const recent = this.#recent;
    if (recent?.startMs === startMs && recent.owner.tenant === tenant) return recent;
    const found = this.#owner(tenant).byStart.get(startMs);
    if (found !== undefined) this.#recent = found;
    return found;
  }

  #owner(tenant: number): OwnerState {
    const known = this.#owners.get(tenant);
    if (known !== undefined) return known;
    const owner: OwnerState = { tenant, partitions: [], byStart: new Map(), isDirty: false };
    const bytes = this.#db.get("owners", ownerKey.u32(0, tenant).bytes);
    for (let at = 0; at < bytes; at += PARTITION_RECORD_BYTES) {
      this.#enter(decodePartition(owner, this.#db.u32, this.#db.f64, at));
    }
    this.#owners.set(tenant, owner);
    return owner;
  }

  #enter(partition: PartitionState): void {
    const { owner, startMs } = partition;
    owner.partitions.splice(positionOf(owner, startMs), 0, partition);
    owner.byStart.set(startMs, partition);
    this.#partitionCount++;
  }

  #createPartition(owner: OwnerState, startMs: number): PartitionState {
    if (owner.partitions.length === 0) this.#counters.owners++;
    const partition: PartitionState = {
      owner,
      startMs,
      durationSec: PARTITION_SEC,
      dictionary: siblingOf(owner, startMs)?.dictionary ?? this.#counters.take("nextDictionary"),
      liveMinMs: Number.POSITIVE_INFINITY,
      liveMaxMs: Number.NEGATIVE_INFINITY,
      shardCount: 0,
      blocks: 0,
      bytes: 0,
      shards: new Map(),
      isDirty: false,
    };
    this.#enter(partition);
    this.#loaded.add(partition);
    this.#counters.partitions++;
    return partition;
  }

  #deletePartition(partition: PartitionState): number {
    const { owner } = partition;
    owner.partitions.splice(positionOf(owner, partition.startMs), 1);
    owner.byStart.delete(partition.startMs);
    this.#recent = null;
    this.#loaded.delete(partition);
    this.#dirtyPartitions.delete(partition);
    this.#db.remove("partitions", this.#partitionKey(partition));
    this.#partitionCount--;
    this.#counters.partitions--;
    if (owner.partitions.length === 0) this.#counters.owners--;
    this.#touchOwner(owner);
    // The dictionary serves every partition of the epoch; the last one takes it along.
    if (siblingOf(owner, partition.startMs) !== null) return 0;
    this.#garbage.add(GARBAGE_KIND.dictionary, partition.dictionary);
    return partition.dictionary;
  }

  #touchOwner(owner: OwnerState): void {
    if (owner.isDirty) return;
    owner.isDirty = true;
    this.#dirtyOwners.add(owner);
    // Reinserted at the end: the order of the map is the order of last use.
    this.#owners.delete(owner.tenant);
    this.#owners.set(owner.tenant, owner);
  }

  #shardsOf(partition: PartitionState): Map<number, ShardState> {
    if (partition.shards !== null) return partition.shards;
    const bytes = this.#db.get("partitions", this.#partitionKey(partition));
    const shards = decodeShards(partition, this.#db.u32, this.#db.f64, Math.max(0, bytes));
    assert(
      shards.size === partition.shardCount,
      `Partition ${partition.startMs} of tenant ${partition.owner.tenant} has ${shards.size} shard records, ` +
        `its owner says ${partition.shardCount}`,
    );
    partition.shards = shards;
    this.#shardCount += shards.size;
    this.#loaded.add(partition);
    return shards;
  }

  #unload(partition: PartitionState): void {
    if (partition.shards === null) return;
    this.#shardCount -= partition.shards.size;
    partition.shards = null;
    this.#loaded.delete(partition);
  }

  #partitionKey(partition: PartitionState): Uint8Array {
    return partitionKey
      .u32(0, partition.owner.tenant)
      .u64(4, partition.startMs)
      .u32(12, partition.durationSec).bytes;
  }
}
