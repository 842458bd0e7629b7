/** Reads by name: blocks by id (index-and-query 5.2) and owners (9.1, 9.2). */

import { ULID_BYTES, ulidTimeMs } from "../../base/index.ts";
import { type IndexDatabase, KeyBuffer, keyU32 } from "../../db/index.ts";
import { ByteSink, EntryReader } from "../../protocol/index.ts";
import { type Catalog, partitionStartOf, type ShardRecord } from "./candidates.ts";
import { dataLoss } from "./data-loss.ts";
import type { DictionaryCache } from "./dictionary.ts";
import type { ReadCounters } from "./explain.ts";
import type { EntryAsker, EntryEmitter } from "./entry-emitter.ts";
import type { HiddenTenants } from "./hidden-tenants.ts";
import type { BlockTarget, PlanEmitter } from "./plan-emitter.ts";

/** What GetBlockMetadata asks for. */
export interface BlockListParams {
  /** Owner; empty: anonymous. */
  readonly tenant: string;
  readonly shard: number;
  /** Ids in the order of the answer, ULID_BYTES each. */
  readonly ids: Uint8Array;
}

/** Where the blocks of a list go: entry chunks as long as it can take them, else plan chunks. */
export interface BlockAsker extends EntryAsker {
  /** Takes a plan chunk, borrowed until it returns. */
  chunk(chunk: Uint8Array, isLast: boolean): void;
}

/** The part of an answer that is made of plan chunks. */
interface PlanAnswer {
  readonly asker: BlockAsker;
  readonly appliedIndex: number;
  /** Of the ids: where this part begins. */
  readonly offset: number;
}

/** What GetTenant says (index-and-query 9.2). */
export interface TenantStats {
  readonly dataIngested: boolean;
  /** Unix ms; 0 without data. */
  readonly oldestProfileTimeMs: number;
  readonly newestProfileTimeMs: number;
}

export interface LookupModules {
  readonly db: IndexDatabase;
  readonly catalog: Catalog;
  readonly hidden: HiddenTenants;
  readonly dictionaries: DictionaryCache;
  readonly emitter: PlanEmitter;
  readonly entries: EntryEmitter;
  readonly counters: ReadCounters;
}

export class Lookups {
  readonly #modules: LookupModules;
  readonly #blockKey = new KeyBuffer(4 + ULID_BYTES);
  readonly #tenantKey = new KeyBuffer(4);
  readonly #copy = new ByteSink();
  readonly #entry = new EntryReader();
  #positions = new Uint32Array(0);

  constructor(modules: LookupModules) {
    this.#modules = modules;
  }

  /** Sends the blocks that exist: whole, in request order, repeats included. */
  sendBlocks(list: BlockListParams, asker: BlockAsker, appliedIndex: number): void {
    const { entries } = this.#modules;
    // Segments may hold datasets that nobody may see: they are written row by row.
    if (this.#isFiltered(list) || !entries.tryBegin(asker, appliedIndex)) {
      this.#sendPlan(list, { asker, appliedIndex, offset: 0 });
      return;
    }
    try {
      const offset = this.#sendEntries(list);
      if (offset < list.ids.length) this.#sendPlan(list, { asker, appliedIndex, offset });
    } catch (error) {
      entries.abort();
      throw error;
    }
  }

  /** Sends blocks as entry chunks; returns how far it came: the length of the ids when the answer is complete. */
  #sendEntries(list: BlockListParams): number {
    const { dictionaries, entries } = this.#modules;
    const { ids } = list;
    const tenant = this.#ownerOf(list);
    for (let offset = 0; offset < ids.length; offset += ULID_BYTES) {
      const shard = this.#findShard(tenant, list, offset);
      if (shard === null) continue;
      // Opened first: it may read, and the entry is to stand in the scratch buffer.
      const dictionary = dictionaries.open(shard.dictionary);
      const bytes = this.#readEntry(shard, ids, offset);
      if (bytes >= 0 && !entries.tryAddBlock(dictionary, bytes)) return offset;
    }
    entries.end();
    return ids.length;
  }

  /** Sends the blocks from `offset` of the ids on as plan chunks. */
  #sendPlan(list: BlockListParams, { asker, appliedIndex, offset }: PlanAnswer): void {
    const { emitter } = this.#modules;
    const { ids } = list;
    const tenant = this.#ownerOf(list);
    emitter.begin((chunk, isLast) => asker.chunk(chunk, isLast), appliedIndex);
    for (let at = offset; at < ids.length; at += ULID_BYTES) {
      const shard = this.#findShard(tenant, list, at);
      if (shard !== null) this.#writeBlock(shard, list, at, emitter);
    }
    emitter.end();
  }

  /** Gives the blocks that exist to the target: whole, in request order, repeats included. */
  visitBlocks(list: BlockListParams, target: BlockTarget): void {
    const { ids } = list;
    const tenant = this.#ownerOf(list);
    for (let at = 0; at < ids.length; at += ULID_BYTES) {
      const shard = this.#findShard(tenant, list, at);
      if (shard !== null) this.#writeBlock(shard, list, at, target);
    }
  }

  #findShard(tenant: number, list: BlockListParams, offset: number): ShardRecord | null {
    if (tenant < 0) return null;
    const startMs = partitionStartOf(ulidTimeMs(list.ids, offset));
    return this.#modules.catalog.findShard(tenant, startMs, list.shard);
  }

  /** Reads the entry of a block to the start of the scratch buffer; its bytes, or -1. */
  #readEntry(shard: ShardRecord, ids: Uint8Array, offset: number): number {
    const { db, counters } = this.#modules;
    const key = this.#blockKey.u32(0, shard.ordinal).copy(4, ids, offset, offset + ULID_BYTES);
    const bytes = db.get("blocks", key.bytes);
    if (bytes >= 0) counters.entriesRead++;
    return bytes;
  }

  /** Owner to look at; -1: there is none, or it is not to be seen. */
  #ownerOf({ tenant }: BlockListParams): number {
    const { catalog, hidden } = this.#modules;
    return hidden.has(tenant) ? -1 : catalog.findTenant(tenant);
  }

  /** Whether blocks of the list may hold datasets that are not to be seen. */
  #isFiltered({ tenant }: BlockListParams): boolean {
    return tenant === "" && !this.#modules.hidden.isEmpty;
  }

  #writeBlock(
    shard: ShardRecord,
    list: BlockListParams,
    offset: number,
    target: BlockTarget,
  ): void {
    const { db, dictionaries, hidden } = this.#modules;
    const size = this.#readEntry(shard, list.ids, offset);
    if (size < 0) return;
    this.#copy.reset();
    this.#copy.append(db.u8, 0, size);
    this.#entry.bind(this.#copy);
    this.#entry.reset(0, size);
    const dictionary = dictionaries.open(shard.dictionary);
    const source = { dictionary, projection: ALL_LABELS, form: 0 };
    const { rowsCount } = this.#entry;
    if (!this.#isFiltered(list)) {
      target.addBlock(this.#entry, source, this.#firstPositions(rowsCount), 0, rowsCount);
      return;
    }
    const rows = hidden.visibleRows(this.#entry, dictionary);
    // Of a segment with data of deleted tenants alone nothing is left to show.
    if (rows.length > 0 || rowsCount === 0)
      target.addBlock(this.#entry, source, rows, 0, rows.length);
  }

  /** 0, 1, 2, ... */
  #firstPositions(count: number): Uint32Array {
    if (this.#positions.length < count) {
      this.#positions = Uint32Array.from({ length: 2 * count }, (_, i) => i);
    }
    return this.#positions;
  }

  /** Names of all owners but the anonymous one, in bytes order. */
  tenants(): string[] {
    const { db, hidden } = this.#modules;
    const ids: number[] = [];
    db.scan("owners", EVERYTHING.start, EVERYTHING.end, (key) => {
      const tenant = keyU32(key, 0);
      if (tenant !== 0) ids.push(tenant);
      return true;
    });
    const names = ids.map((tenant) => {
      const size = db.get("tenants", this.#tenantKey.u32(0, tenant).bytes);
      if (size < 0) throw dataLoss(`tenant ${tenant} has no name`);
      return Buffer.from(db.u8.subarray(0, size));
    });
    return [...hidden.visible(names.sort(Buffer.compare).map((name) => name.toString("utf8")))];
  }

  /** From the summaries of all shards of the owner, which never narrow. */
  tenantStats(tenant: string): TenantStats {
    const { catalog, hidden } = this.#modules;
    const id = hidden.has(tenant) ? -1 : catalog.findTenant(tenant);
    const shards = id < 0 ? [] : catalog.allShards(id);
    let oldestMs = Number.POSITIVE_INFINITY;
    let newestMs = Number.NEGATIVE_INFINITY;
    for (const { summaryMinMs, summaryMaxMs } of shards) {
      // NaN, a shard that never held a block, compares false.
      if (summaryMinMs < oldestMs) oldestMs = summaryMinMs;
      if (summaryMaxMs > newestMs) newestMs = summaryMaxMs;
    }
    return {
      dataIngested: shards.length > 0,
      oldestProfileTimeMs: Number.isFinite(oldestMs) ? oldestMs : 0,
      newestProfileTimeMs: Number.isFinite(newestMs) ? newestMs : 0,
    };
  }
}

const ALL_LABELS = { kind: "all" } as const;

/** Bounds of a scan over a whole table of u32 keys. */
const EVERYTHING = {
  start: Uint8Array.of(0, 0, 0, 0),
  end: Uint8Array.of(255, 255, 255, 255, 255),
} as const;
