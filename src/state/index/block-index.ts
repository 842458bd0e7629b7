/**
 * The index: blocks in shards in partitions of owners, with their label index. Everything here happens inside the
 * write transaction of `apply`, between two calls of `flush`.
 *
 * Order of effects of an insert: look up (no change) -> create shard -> give out ids -> put the entry, or keep it for
 * later -> widen the shard -> append to the tail -> maybe move the tail to the postings.
 */

import { assert, tryDecodeUlid, ULID_BYTES, ulidTimeMs } from "../../base/index.ts";
import { type IndexDatabase, KeyBuffer, PARTITION_MS } from "../../db/index.ts";
import {
  type BlockReader,
  ENTRY_ROW,
  EntryReader,
  EntryWriter,
  HEAD,
} from "../../protocol/index.ts";
import type { Counters } from "../counters.ts";
import type { StateMetrics } from "../metrics.ts";
import type { StateOptions } from "../options.ts";
import { BlockIds } from "./block-ids.ts";
import { Catalog } from "./catalog.ts";
import { epochOf } from "./owner-partitions.ts";
import { Dictionaries } from "./dictionaries.ts";
import { Garbage } from "./garbage.ts";
import { PendingBlocks } from "./pending-blocks.ts";
import { Postings } from "./postings.ts";
import { RemovedBlocks } from "./removed-blocks.ts";
import { RowBuffer } from "./rows.ts";
import { type ShardState, widenShard } from "./shard-state.ts";
import { Tails } from "./tails.ts";
import { Tenants } from "./tenants.ts";

const blockKey = new KeyBuffer(4 + ULID_BYTES);

export interface BlockIndexModules {
  readonly db: IndexDatabase;
  readonly counters: Counters;
  readonly metrics: StateMetrics;
}

export class BlockIndex {
  readonly tenants: Tenants;
  readonly #db: IndexDatabase;
  readonly #counters: Counters;
  readonly #metrics: StateMetrics;
  readonly #garbage: Garbage;
  readonly #catalog: Catalog;
  readonly #dictionaries: Dictionaries;
  readonly #tails: Tails;
  readonly #postings: Postings;
  readonly #ids = new BlockIds();
  readonly #pending: PendingBlocks;
  readonly #entryWriter: EntryWriter;
  readonly #entryReader: EntryReader;
  readonly #rows = new RowBuffer();

  constructor(options: StateOptions, modules: BlockIndexModules) {
    const { db, counters } = modules;
    this.#db = db;
    this.#counters = counters;
    this.#metrics = modules.metrics;
    this.tenants = new Tenants(db, counters);
    this.#garbage = new Garbage(db, counters);
    this.#catalog = new Catalog(options, { db, counters, garbage: this.#garbage });
    this.#dictionaries = new Dictionaries(db, options.dictionaryCacheBytes);
    this.#tails = new Tails(db);
    this.#postings = new Postings(modules);
    this.#pending = new PendingBlocks(db);
    this.#entryWriter = new EntryWriter(this.#pending.entries);
    this.#entryReader = new EntryReader(db);
  }

  /** Tenant id of the block's owner, or -1 when that name was never seen. */
  findOwner(block: BlockReader): number {
    const { tenant } = block;
    if (tenant === 0) return 0;
    const view = this.#ids.viewOf(block);
    return this.tenants.find(view, block.stringStart(tenant), block.stringEnd(tenant));
  }

  /** Whether `count` blocks like this one fit, were each to need a shard of its own. */
  hasRoom(block: BlockReader, owner: number, count: number): boolean {
    return this.#catalog.hasRoom(owner, partitionStartMs(block), count);
  }

  /**
   * Stores a block that passed `checkBlock`; `owner` as `findOwner` gave it. False, and nothing changed, when its id
   * is in the shard already (W4: first write wins).
   */
  insert(block: BlockReader, owner: number): boolean {
    const startMs = partitionStartMs(block);
    const found = this.#catalog.findShard(owner, startMs, block.shard);
    const shard = found ?? this.#createShard(block, startMs);
    const isNew = this.#pending.isAboveAll(shard, block);
    if (!this.#resolve(block, shard, isNew)) return false;
    if (!this.#store(block, shard, isNew)) return false;
    this.#note(block, shard);
    this.#tails.append(shard, block, this.#ids.keys);
    if (this.#tails.isFull(shard)) this.#flushTail(shard);
    return true;
  }

  /** Compaction level of the block with these id bytes, or -1 when it is not there. */
  levelOf(owner: number, shardNumber: number, id: Uint8Array): number {
    const startMs = partitionStartOf(ulidTimeMs(id, 0));
    const shard = this.#catalog.findShard(owner, startMs, shardNumber);
    if (shard === null) return -1;
    this.#pending.write();
    const length = this.#db.get("blocks", blockKey.u32(0, shard.ordinal).copy(4, id, 0, 16).bytes);
    if (length < 0) return -1;
    this.#entryReader.reset(0, length);
    return this.#entryReader.compactionLevel;
  }

  /**
   * Removes blocks by id from the shards of an owner, each from the partition of its id; returns how many were
   * there. What is not there is ignored, also ids that are no ULIDs.
   */
  remove(owner: number, shardNumber: number, ids: readonly string[]): number {
    const byPartition = new Map<number, Uint8Array[]>();
    for (const id of ids) {
      const bytes = new Uint8Array(ULID_BYTES);
      if (!tryDecodeUlid(id, bytes, 0)) continue;
      const startMs = partitionStartOf(ulidTimeMs(bytes, 0));
      const others = byPartition.get(startMs);
      if (others === undefined) byPartition.set(startMs, [bytes]);
      else others.push(bytes);
    }
    let removed = 0;
    for (const [startMs, partitionIds] of byPartition) {
      const shard = this.#catalog.findShard(owner, startMs, shardNumber);
      if (shard !== null) removed += this.#removeFrom(shard, partitionIds);
    }
    return removed;
  }

  /** The owner's first shards, at most `countMax`: oldest partition first, then by shard number. */
  firstShards(owner: number, countMax: number): ShardState[] {
    return this.#catalog.firstShards(owner, countMax);
  }

  /** Names of the tenants whose data is in a block, or null when it is not there. */
  tenantsOf(owner: number, shardNumber: number, id: Uint8Array): Set<string> | null {
    const startMs = partitionStartOf(ulidTimeMs(id, 0));
    const shard = this.#catalog.findShard(owner, startMs, shardNumber);
    if (shard === null) return null;
    this.#pending.write();
    const length = this.#db.get("blocks", blockKey.u32(0, shard.ordinal).copy(4, id, 0, 16).bytes);
    if (length < 0) return null;
    const entry = this.#entryReader;
    entry.reset(0, length);
    const keys = new Set<number>();
    for (let i = 0; i < entry.rowsCount; i++) keys.add(entry.rowU32(i, ENTRY_ROW.key));
    const { dictionary } = shard.partition;
    return this.#dictionaries.get(dictionary, owner, epochOf(startMs)).tenantsOfKeys(keys);
  }

  /** How many blocks a shard holds and their newest data, or null when there is no such shard. Borrowed. */
  contentOf(
    owner: number,
    startMs: number,
    shardNumber: number,
  ): Pick<ShardState, "blocks" | "liveMaxMs"> | null {
    return this.#catalog.findShard(owner, startMs, shardNumber);
  }

  /** Deletes a shard with everything in it. False when there is none of exactly that place. */
  deleteShard(owner: number, startMs: number, durationSec: number, shardNumber: number): boolean {
    const shard = this.#catalog.findShard(owner, startMs, shardNumber);
    if (shard === null || shard.partition.durationSec !== durationSec) return false;
    this.#pending.write();
    this.#counters.blocks -= shard.blocks;
    this.#counters.datasets -= shard.datasets;
    this.#counters.bytes -= shard.bytes;
    const dictionary = this.#catalog.deleteShard(shard);
    if (dictionary !== 0) this.#dictionaries.drop(dictionary);
    this.#metrics.shardsDeleted++;
    return true;
  }

  /** Puts rows that the outcomes of the entries did not need. */
  writePending(): void {
    this.#pending.write();
  }

  /** Removes a bounded number of rows of deleted shards; returns how many. */
  sweep(rowsMax: number): number {
    if (this.#counters.garbage === 0) return 0;
    const rows = this.#garbage.sweep(rowsMax);
    this.#metrics.rowsSwept += rows;
    return rows;
  }

  /** Stores what the transaction changed in memory. Last, before counters and `applied`. */
  flush(): void {
    this.#pending.write();
    this.#dictionaries.flush();
    this.#catalog.flush((shard, tail) => this.#tails.store(shard, tail));
  }

  /** Between transactions: keeps the caches within their bounds. */
  trim(): void {
    this.#dictionaries.trim();
    this.#catalog.trim();
    this.tenants.trim();
  }

  /** After a transaction that did not happen: nothing of it may stay in memory. */
  forget(): void {
    this.#pending.forget();
    this.#dictionaries.forget();
    this.#catalog.forget();
    this.tenants.forget();
  }

  #createShard(block: BlockReader, startMs: number): ShardState {
    const { tenant } = block;
    const view = this.#ids.viewOf(block);
    const owner = this.tenants.intern(view, block.stringStart(tenant), block.stringEnd(tenant));
    return this.#catalog.createShard(owner, startMs, block.shard);
  }

  /** Fills #ids; false when the block turns out to be a duplicate, before anything changed. */
  #resolve(block: BlockReader, shard: ShardState, isNew: boolean): boolean {
    const { partition } = shard;
    const dictionary = this.#dictionaries.get(
      partition.dictionary,
      partition.owner.tenant,
      epochOf(partition.startMs),
    );
    if (this.#ids.resolve(block, dictionary, "find")) {
      this.#metrics.dictionaryHits++;
      return true;
    }
    this.#metrics.dictionaryMisses++;
    if (!isNew && this.#has(block, shard)) return false;
    return this.#ids.resolve(block, dictionary, "add");
  }

  #has(block: BlockReader, shard: ShardState): boolean {
    this.#pending.write();
    return this.#db.has("blocks", keyOf(block, shard));
  }

  /** Puts the block with the ids found, now or later; false when it is there already. */
  #store(block: BlockReader, shard: ShardState, isNew: boolean): boolean {
    if (isNew) {
      this.#pending.keep(shard, block, this.#entryWriter.append(block, this.#ids));
      return true;
    }
    this.#pending.write();
    const entry = this.#entryWriter.write(block, this.#ids);
    return this.#db.putNew("blocks", keyOf(block, shard), entry);
  }

  #note(block: BlockReader, shard: ShardState): void {
    const { datasetsCount, sizeBytes } = block;
    widenShard(shard, block.minTimeMs, block.maxTimeMs);
    shard.blocks++;
    shard.datasets += datasetsCount;
    shard.bytes += sizeBytes;
    this.#counters.blocks++;
    this.#counters.datasets += datasetsCount;
    this.#counters.bytes += sizeBytes;
    this.#catalog.touch(shard);
  }

  #flushTail(shard: ShardState): void {
    this.#rows.count = 0;
    this.#tails.take(shard, this.#rows);
    this.#postings.add(shard.ordinal, this.#rows);
    this.#metrics.tailFlushes++;
  }

  #removeFrom(shard: ShardState, ids: readonly Uint8Array[]): number {
    this.#pending.write();
    const removed = new RemovedBlocks(ids.length);
    for (const id of ids) {
      const key = blockKey.u32(0, shard.ordinal).copy(4, id, 0, ULID_BYTES).bytes;
      const length = this.#db.get("blocks", key);
      if (length < 0) continue;
      this.#entryReader.reset(0, length);
      removed.add(this.#entryReader);
      this.#db.remove("blocks", key);
    }
    if (removed.count === 0) return 0;
    removed.sort();
    const tailRows = this.#tails.remove(shard, (words, i) => removed.takeTailRow(words, i));
    const postingRows = removed.postingRows();
    assert(
      tailRows + postingRows.count === removed.datasets,
      `Shard ${shard.ordinal} has ${tailRows} tail rows and ${postingRows.count} posting rows of removed blocks ` +
        `with ${removed.datasets} datasets`,
    );
    this.#postings.remove(shard.ordinal, postingRows);
    this.#noteRemoved(shard, removed);
    return removed.count;
  }

  #noteRemoved(shard: ShardState, removed: RemovedBlocks): void {
    shard.blocks -= removed.count;
    shard.datasets -= removed.datasets;
    shard.bytes -= removed.bytes;
    this.#counters.blocks -= removed.count;
    this.#counters.datasets -= removed.datasets;
    this.#counters.bytes -= removed.bytes;
    if (shard.blocks === 0) {
      shard.liveMinMs = Number.POSITIVE_INFINITY;
      shard.liveMaxMs = Number.NEGATIVE_INFINITY;
      this.#tails.clear(shard);
    }
    this.#metrics.blocksRemoved += removed.count;
    this.#catalog.touch(shard);
  }
}

/** Borrowed until the next call. */
function keyOf(block: BlockReader, { ordinal }: ShardState): Uint8Array {
  const idAt = block.headOffset + HEAD.id;
  return blockKey.u32(0, ordinal).copy(4, block.u8, idAt, idAt + ULID_BYTES).bytes;
}

function partitionStartMs(block: BlockReader): number {
  return partitionStartOf(ulidTimeMs(block.u8, block.headOffset + HEAD.id));
}

/** Start of the partition of a creation time (spec 3.1). */
export function partitionStartOf(createdAtMs: number): number {
  return createdAtMs - (createdAtMs % PARTITION_MS);
}
