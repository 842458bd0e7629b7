/**
 * Tombstones: recording, deleting, and the check that keeps a late retry from resurrecting a block (spec 10).
 * Everything here happens inside the write transaction of `apply`.
 */

import { encodeUlid, tryDecodeUlid, ULID_BYTES } from "../../base/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import type { BlockReader, BlockTombstones, Tombstone } from "../../protocol/index.ts";
import type { Counters } from "../counters.ts";
import { idWord } from "../index/check-block.ts";
import { STATE_LIMITS } from "../limits.ts";
import type { Rejection, StateMetrics } from "../metrics.ts";
import { IdFilter } from "./id-filter.ts";
import {
  encodeStoredTombstone,
  findTombstone,
  tombstoneBlockKey,
  tombstoneKey,
  tombstoneName,
  tombstoneNameKey,
  type TombstonePlace,
} from "./rows.ts";

import { type TombstoneCount, TombstoneTally } from "./tally.ts";

/** Bits of deleted tombstones that the filter may carry before it is built anew. */
const FILTER_STALE_MAX = 65_536;

const EMPTY = new Uint8Array(0);
const count = new Uint32Array(1);
const countBytes = new Uint8Array(count.buffer);
const idBytes = new Uint8Array(ULID_BYTES);
const idWords = new Int32Array(idBytes.buffer);

export interface TombstoneStoreModules {
  readonly db: IndexDatabase;
  readonly counters: Counters;
  readonly metrics: StateMetrics;
  /** Tenant id of an owner name, given out when it is new. */
  readonly internTenant: (name: string) => number;
}

export class TombstoneStore {
  readonly #db: IndexDatabase;
  readonly #counters: Counters;
  readonly #metrics: StateMetrics;
  readonly #internTenant: (name: string) => number;
  readonly #filter = new IdFilter();
  readonly #tally = new TombstoneTally();
  #isFilterBuilt = false;
  /** Looked for last and not found: whoever asks for a name is about to record it, and a look takes 20 us. */
  #absentName: string | null = null;

  constructor(modules: TombstoneStoreModules) {
    this.#db = modules.db;
    this.#counters = modules.counters;
    this.#metrics = modules.metrics;
    this.#internTenant = modules.internTenant;
  }

  has(name: string): boolean {
    if (name === this.#absentName) return false;
    const isKnown = findTombstone(this.#db, name) !== null;
    this.#absentName = isKnown ? null : name;
    return isKnown;
  }

  /** Records the tombstone; false when it has no name or its name is known (spec 10.1). */
  record(tombstone: Tombstone, place: TombstonePlace, appendedAtMs: number): boolean {
    const name = tombstoneName(tombstone);
    if (name === "" || this.has(name)) return false;
    this.#absentName = null;
    this.#db.put("tombstones", tombstoneKey(place), encodeStoredTombstone(tombstone, appendedAtMs));
    this.#db.put("tombstoneNames", tombstoneNameKey(name, place), EMPTY);
    if (tombstone.blocks !== null) this.#addReferences(tombstone.blocks, 1);
    this.#counters.tombstones++;
    this.#tally.recorded(tombstone);
    this.#metrics.tombstonesRecorded++;
    return true;
  }

  /** Deletes by name; false when there is none of that name (spec 10.4). */
  delete(name: string): boolean {
    const stored = name === "" ? null : findTombstone(this.#db, name);
    if (stored === null) return false;
    this.#db.remove("tombstones", tombstoneKey(stored));
    this.#db.remove("tombstoneNames", tombstoneNameKey(name, stored));
    if (stored.tombstone.blocks !== null) this.#addReferences(stored.tombstone.blocks, -1);
    this.#counters.tombstones--;
    this.#tally.deleted(stored.tombstone, stored);
    this.#metrics.tombstonesDeleted++;
    return true;
  }

  /** Whether a tombstone of this owner and shard lists the block's id. `owner` -1: a name never seen. */
  protects(owner: number, block: BlockReader): boolean {
    if (this.#counters.tombstoneIds === 0 || owner < 0) return false;
    if (!this.#isFilterBuilt) this.#buildFilter();
    const word = idWord(block);
    if (!this.#filter.mayHave(block.i32, word)) return false;
    const id = encodeUlid(block.u8, word * 4);
    return this.#db.has("tombstoneBlocks", tombstoneBlockKey(owner, block.shard, id));
  }

  /** Between transactions. */
  trim(): void {
    const live = this.#counters.tombstoneIds;
    if (live === 0 || this.#filter.added > 2 * live + FILTER_STALE_MAX) this.#forgetFilter();
  }

  /** After a transaction that did not happen. The next look-up builds the filter anew. */
  forget(): void {
    this.#absentName = null;
    this.#forgetFilter();
    this.#tally.forget();
  }

  /** By owner and kind; null while they are being counted, which goes on with every call. */
  countByOwner(): TombstoneCount[] | null {
    this.#tally.step(this.#db);
    return this.#tally.isComplete ? this.#tally.list() : null;
  }

  #forgetFilter(): void {
    this.#filter.clear();
    this.#isFilterBuilt = false;
  }

  #addReferences(blocks: BlockTombstones, change: 1 | -1): void {
    const tenant = this.#internTenant(blocks.tenant);
    for (const id of blocks.blocks) {
      const key = tombstoneBlockKey(tenant, blocks.shard, id);
      const before = this.#db.get("tombstoneBlocks", key) < 0 ? 0 : (this.#db.u32[0] as number);
      count[0] = before + change;
      if (count[0] === 0) this.#db.remove("tombstoneBlocks", key);
      else this.#db.put("tombstoneBlocks", key, countBytes);
      if (before === 0) this.#counters.tombstoneIds++;
      else if (count[0] === 0) this.#counters.tombstoneIds--;
      if (change > 0 && this.#isFilterBuilt && tryDecodeUlid(id, idBytes, 0)) {
        this.#filter.add(idWords, 0);
      }
    }
  }

  /** Cost: one scan over all protected ids, once after a start. */
  #buildFilter(): void {
    this.#filter.clear();
    const end = new Uint8Array(9).fill(0xff);
    this.#db.scan("tombstoneBlocks", new Uint8Array(8), end, (key) => {
      // Ids that are no ULIDs protect nothing that could ever be added.
      const text = Buffer.from(key.buffer, key.byteOffset + 8, key.length - 8).toString("latin1");
      if (tryDecodeUlid(text, idBytes, 0)) this.#filter.add(idWords, 0);
      return true;
    });
    this.#isFilterBuilt = true;
  }
}

/** Why a tombstone cannot be stored, or null. */
export function checkTombstone(tombstone: Tombstone): Rejection | null {
  const { blocks, shard } = tombstone;
  if (utf8Bytes(tombstoneName(tombstone)) > STATE_LIMITS.tombstoneNameMaxBytes) {
    return "tombstone_too_long";
  }
  if (shard !== null && utf8Bytes(shard.tenant) > STATE_LIMITS.tenantMaxBytes) {
    return "tenant_too_long";
  }
  if (blocks === null) return null;
  if (utf8Bytes(blocks.tenant) > STATE_LIMITS.tenantMaxBytes) return "tenant_too_long";
  let bytes = 0;
  for (const id of blocks.blocks) {
    const idBytesCount = utf8Bytes(id);
    if (idBytesCount > STATE_LIMITS.tombstoneIdMaxBytes) return "tombstone_too_long";
    bytes += idBytesCount + STATE_LIMITS.tombstoneIdOverheadBytes;
  }
  return bytes > STATE_LIMITS.tombstoneMaxBytes ? "tombstone_too_long" : null;
}

function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, "utf8");
}
