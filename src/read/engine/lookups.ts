/** Reads by name: blocks by id (index-and-query 5.2) and owners (9.1, 9.2). */

import { invalidArgument, tryDecodeUlid, ULID_BYTES, ulidTimeMs } from "../../base/index.ts";
import { type IndexDatabase, KeyBuffer, keyU32 } from "../../db/index.ts";
import { ByteSink, EntryReader, LIMITS } from "../../protocol/index.ts";
import { type Catalog, partitionOf, type ShardRecord } from "./candidates.ts";
import { dataLoss } from "./data-loss.ts";
import type { DictionaryCache } from "./dictionary.ts";
import type { ReadCounters } from "./explain.ts";
import type { PlanEmitter } from "./plan-emitter.ts";

/** What GetBlockMetadata asks for. */
export interface BlockListParams {
  /** Owner; empty: anonymous. */
  readonly tenant: string;
  readonly shard: number;
  /** Ids, ULIDs in text form, in the order of the answer. */
  readonly blocks: readonly string[];
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
  readonly dictionaries: DictionaryCache;
  readonly emitter: PlanEmitter;
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

  /**
   * Writes the blocks that exist into the emitter, which has begun: whole, in request order, repeats included.
   *
   * Errors: invalid_argument when an id is no ULID, before anything is written.
   */
  writeBlocks(list: BlockListParams): void {
    const ids = decodeIds(list.blocks);
    const tenant = this.#modules.catalog.findTenant(list.tenant);
    if (tenant < 0) return;
    // Ids of one list usually share a partition.
    const shards = new Map<number, ShardRecord | null>();
    for (let offset = 0; offset < ids.length; offset += ULID_BYTES) {
      const partition = partitionOf(ulidTimeMs(ids, offset));
      let shard = shards.get(partition.startMs);
      if (shard === undefined) {
        shard = this.#modules.catalog.findShard(tenant, partition, list.shard);
        shards.set(partition.startMs, shard);
      }
      if (shard !== null) this.#writeBlock(shard, ids, offset);
    }
  }

  #writeBlock(shard: ShardRecord, ids: Uint8Array, offset: number): void {
    const { db, dictionaries, emitter, counters } = this.#modules;
    const key = this.#blockKey.u32(0, shard.ordinal).copy(4, ids, offset, offset + ULID_BYTES);
    const size = db.get("blocks", key.bytes);
    if (size < 0) return;
    counters.entriesRead++;
    this.#copy.reset();
    this.#copy.append(db.u8, 0, size);
    this.#entry.bind(this.#copy);
    this.#entry.reset(0, size);
    const source = { dictionary: dictionaries.open(shard.dictionary), projection: ALL_LABELS };
    emitter.addBlock(
      this.#entry,
      source,
      this.#firstPositions(this.#entry.rowsCount),
      0,
      this.#entry.rowsCount,
    );
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
    const { db } = this.#modules;
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
    return names.sort(Buffer.compare).map((name) => name.toString("utf8"));
  }

  /** From the summaries of all shards of the owner, which never narrow. */
  tenantStats(tenant: string): TenantStats {
    const id = this.#modules.catalog.findTenant(tenant);
    const shards = id < 0 ? [] : this.#modules.catalog.allShards(id);
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

/** All ids as bytes, 16 each. */
function decodeIds(texts: readonly string[]): Uint8Array {
  if (texts.length > LIMITS.idsPerListMax) {
    throw invalidArgument(
      "too_many_blocks",
      `Cannot look up ${texts.length} blocks at once, limit is ${LIMITS.idsPerListMax}`,
    );
  }
  const ids = new Uint8Array(texts.length * ULID_BYTES);
  for (let i = 0; i < texts.length; i++) {
    const text = texts[i] as string;
    if (tryDecodeUlid(text, ids, i * ULID_BYTES)) continue;
    const shown = JSON.stringify(text.slice(0, 40));
    throw invalidArgument(
      "bad_block_id",
      `Cannot look up block ${shown}: not a canonical, upper-case ULID`,
    );
  }
  return ids;
}
