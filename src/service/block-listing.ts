/**
 * What the index of this member holds, page by page, for a comparison with the bucket: which owners have blocks in which
 * shards, the blocks of one of them by id, and what is known of single ids. Each page is one read of a few milliseconds on
 * the main thread; between two pages the index goes on.
 */

import { encodeUlid, HearthError, tryDecodeUlid, ULID_BYTES, ulidTimeMs } from "../base/index.ts";
import {
  type IndexDatabase,
  KeyBuffer,
  keyU32,
  PARTITION_MS,
  PARTITION_RECORD,
  PARTITION_RECORD_BYTES,
  SHARD_RECORD,
  SHARD_RECORD_BYTES,
} from "../db/index.ts";
import { EntryReader, HEAD } from "../protocol/index.ts";
import { tombstoneExists } from "../state/index.ts";

export interface OwnerShard {
  /** "" is the anonymous owner. */
  readonly tenant: string;
  readonly shard: number;
  readonly blocks: number;
}

export interface OwnerShardPage {
  /** Of whole owners, by owner, then shard. */
  readonly shards: readonly OwnerShard[];
  /** Where the next page begins; null: this was the last one. */
  readonly next: number | null;
}

export interface ListedBlock {
  readonly id: string;
  readonly level: number;
  readonly sizeBytes: number;
}

/** removed: a tombstone remembers it, and its object waits to be deleted. */
export type BlockState = "present" | "removed" | "absent";

/** Partitions read for one page: 1.2 us each. */
const PARTITIONS_PER_PAGE = 2_000;
/** Blocks of one page. */
export const LISTED_BLOCKS_MAX = 1_000;
export const ASKED_IDS_MAX = 1_000;

interface ShardPlace {
  readonly ordinal: number;
  readonly blocks: number;
}

export class BlockListing {
  readonly #db: IndexDatabase;
  readonly #ownerKey = new KeyBuffer(4);
  readonly #partitionKey = new KeyBuffer(16);
  readonly #blockKey = new KeyBuffer(4 + ULID_BYTES);
  readonly #entry = new EntryReader();
  readonly #idBytes = new Uint8Array(ULID_BYTES);

  constructor(db: IndexDatabase) {
    this.#db = db;
  }

  /** `from`: 0, or `next` of the page before. */
  shards(from: number): OwnerShardPage {
    return this.#db.reading(() => {
      const shards: OwnerShard[] = [];
      let partitions = 0;
      for (let owner = this.#nextOwner(from); owner !== null; owner = this.#nextOwner(owner + 1)) {
        if (partitions >= PARTITIONS_PER_PAGE) return { shards, next: owner };
        const blocks = new Map<number, number>();
        for (const startMs of this.#partitionsOf(owner)) {
          partitions++;
          for (const [shard, place] of this.#shardsOf(owner, startMs))
            blocks.set(shard, (blocks.get(shard) ?? 0) + place.blocks);
        }
        const tenant = this.#nameOf(owner);
        for (const shard of [...blocks.keys()].sort((a, b) => a - b))
          shards.push({ tenant, shard, blocks: blocks.get(shard) as number });
      }
      return { shards, next: null };
    });
  }

  /** Blocks of an owner in a shard, ascending by id, behind `after` ("" for the first page); fewer than `limit`: the last page. */
  blocks(tenant: string, shard: number, after: string, limit: number): ListedBlock[] {
    const afterBytes = after === "" ? null : this.#decode(after);
    const firstMs = afterBytes === null ? 0 : partitionStart(ulidTimeMs(afterBytes, 0));
    return this.#db.reading(() => {
      const owner = this.#ownerOf(tenant);
      const found: ListedBlock[] = [];
      if (owner < 0) return found;
      for (const startMs of this.#partitionsOf(owner)) {
        if (startMs < firstMs) continue;
        const place = this.#shardsOf(owner, startMs).get(shard);
        if (place === undefined) continue;
        const begin = afterBytes !== null && startMs === firstMs ? afterBytes : null;
        for (const id of this.#idsOf(place.ordinal, begin, limit - found.length))
          found.push(this.#block(place.ordinal, id));
        if (found.length >= limit) break;
      }
      return found;
    });
  }

  /** In the order of the ids. Errors: `bad_id`. */
  states(tenant: string, shard: number, ids: readonly string[]): BlockState[] {
    const decoded = ids.map((id) => this.#decode(id).slice());
    return this.#db.reading(() => {
      const owner = this.#ownerOf(tenant);
      return ids.map((id, i) => {
        const bytes = decoded[i] as Uint8Array;
        const startMs = partitionStart(ulidTimeMs(bytes, 0));
        const place = owner < 0 ? undefined : this.#shardsOf(owner, startMs).get(shard);
        if (place !== undefined && this.#db.has("blocks", this.#keyOf(place.ordinal, bytes)))
          return "present";
        return tombstoneExists(this.#db, tenant, shard, id) ? "removed" : "absent";
      });
    });
  }

  #decode(id: string): Uint8Array {
    if (tryDecodeUlid(id, this.#idBytes, 0)) return this.#idBytes;
    const shown = JSON.stringify(id.slice(0, 64));
    throw new HearthError("invalid_argument", `${shown} is no block id`, { reason: "bad_id" });
  }

  #nextOwner(from: number): number | null {
    let found: number | null = null;
    this.#db.scan("owners", this.#ownerKey.u32(0, from).bytes.slice(), OWNERS_END, (key) => {
      found = keyU32(key, 0);
      return false;
    });
    return found;
  }

  #ownerOf(tenant: string): number {
    if (tenant === "") return 0;
    const length = this.#db.get("tenantIds", Buffer.from(tenant));
    return length < 0 ? -1 : (this.#db.u32[0] as number);
  }

  #nameOf(owner: number): string {
    if (owner === 0) return "";
    const length = this.#db.get("tenants", this.#ownerKey.u32(0, owner).bytes);
    return length < 0 ? "" : Buffer.from(this.#db.value(length)).toString("utf8");
  }

  /** Starts of the owner's partitions, ascending. */
  #partitionsOf(owner: number): number[] {
    const starts: number[] = [];
    const length = this.#db.get("owners", this.#ownerKey.u32(0, owner).bytes);
    for (let at = 0; at < length; at += PARTITION_RECORD_BYTES)
      starts.push(this.#db.f64[at / 8 + PARTITION_RECORD.startMs64] as number);
    return starts;
  }

  #shardsOf(owner: number, startMs: number): Map<number, ShardPlace> {
    const shards = new Map<number, ShardPlace>();
    const key = this.#partitionKey
      .u32(0, owner)
      .u64(4, startMs)
      .u32(12, PARTITION_MS / 1_000).bytes;
    const length = this.#db.get("partitions", key);
    const { u32 } = this.#db;
    for (let at = 0; at < length; at += SHARD_RECORD_BYTES) {
      const ordinal = u32[at / 4 + SHARD_RECORD.ordinal32] as number;
      const blocks = u32[at / 4 + SHARD_RECORD.blocks32] as number;
      shards.set(u32[at / 4 + SHARD_RECORD.shard32] as number, { ordinal, blocks });
    }
    return shards;
  }

  /** Ids behind `after`, ULID_BYTES each. */
  #idsOf(ordinal: number, after: Uint8Array | null, countMax: number): Uint8Array[] {
    const ids: Uint8Array[] = [];
    const first = this.#keyOf(ordinal, after ?? FIRST_ID).slice();
    this.#db.scan("blocks", first, this.#keyOf(ordinal + 1, FIRST_ID).slice(), (key) => {
      const id = Uint8Array.prototype.slice.call(key, 4, 4 + ULID_BYTES);
      if (after === null || Buffer.compare(id, after) !== 0) ids.push(id);
      return ids.length < countMax;
    });
    return ids;
  }

  #block(ordinal: number, id: Uint8Array): ListedBlock {
    const db = this.#db;
    const length = db.get("blocks", this.#keyOf(ordinal, id));
    const entry = this.#entry;
    entry.bind(db);
    entry.reset(0, length);
    const words = entry.i32;
    const at = entry.headOffset;
    const low = (words[(at + HEAD.sizeBytes) >>> 2] as number) >>> 0;
    const high = (words[(at + HEAD.sizeBytes + 4) >>> 2] as number) >>> 0;
    const level = (words[(at + HEAD.compactionLevel) >>> 2] as number) >>> 0;
    return { id: encodeUlid(id, 0), level, sizeBytes: high * 0x1_0000_0000 + low };
  }

  #keyOf(ordinal: number, id: Uint8Array): Uint8Array {
    return this.#blockKey.u32(0, ordinal).copy(4, id, 0, ULID_BYTES).bytes;
  }
}

const FIRST_ID = new Uint8Array(ULID_BYTES);
const OWNERS_END = new Uint8Array(5).fill(0xff);

function partitionStart(createdAtMs: number): number {
  return createdAtMs - (createdAtMs % PARTITION_MS);
}
