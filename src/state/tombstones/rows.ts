/**
 * How tombstones stand in the database, for the writer and for readers.
 *
 * ```
 * tombstones       u64 index | u32 position    ->  f64 appended at ms | f64 0 | AddTombstones table with one tombstone
 * tombstoneNames   u64 hash of the name | u64 index | u32 position    ->  empty
 * tombstoneBlocks  T | u32 shard | id, UTF-8   ->  u32 tombstones that list the id (W11)
 * ```
 */

import { HASH_SEED_HIGH, HASH_SEED_LOW, hashBytes } from "../../base/index.ts";
import { type IndexDatabase, KeyBuffer, keyU32, keyU64 } from "../../db/index.ts";
import { decodeTombstones, encodeTombstones, type Tombstone } from "../../protocol/index.ts";

/** Where a tombstone stands: the log entry that brought it, and its place among those the entry recorded. */
export interface TombstonePlace {
  readonly index: number;
  readonly position: number;
}

export interface StoredTombstone extends TombstonePlace {
  /** When the entry was appended, Unix ms. */
  readonly appendedAtMs: number;
  readonly tombstone: Tombstone;
}

const HEADER_BYTES = 16;
const KEY_BYTES = 12;
const NAME_KEY_BYTES = 20;

const encoder = new TextEncoder();
const rowKey = new KeyBuffer(KEY_BYTES);
const nameKey = new KeyBuffer(NAME_KEY_BYTES);
const nameStart = new KeyBuffer(8);

/** Spec 10.1: the name of `blocks` if that part is there, even when empty, else that of `shard`; "" is no name. */
export function tombstoneName(tombstone: Tombstone): string {
  return tombstone.blocks?.name ?? tombstone.shard?.name ?? "";
}

/** Borrowed key of `tombstones`. */
export function tombstoneKey(place: TombstonePlace): Uint8Array {
  return rowKey.u64(0, place.index).u32(8, place.position).bytes;
}

/** Borrowed key of `tombstoneNames`. */
export function tombstoneNameKey(name: string, place: TombstonePlace): Uint8Array {
  const bytes = encoder.encode(name);
  return nameKey
    .u32(0, hashBytes(bytes, 0, bytes.length, HASH_SEED_HIGH))
    .u32(4, hashBytes(bytes, 0, bytes.length, HASH_SEED_LOW))
    .u64(8, place.index)
    .u32(16, place.position).bytes;
}

/** Owned key of `tombstoneBlocks`. */
export function tombstoneBlockKey(tenant: number, shard: number, id: string): Uint8Array {
  const bytes = encoder.encode(id);
  const key = new KeyBuffer(8 + bytes.length);
  return key.u32(0, tenant).u32(4, shard).copy(8, bytes, 0, bytes.length).bytes;
}

/** Owned value of `tombstones`. */
export function encodeStoredTombstone(tombstone: Tombstone, appendedAtMs: number): Uint8Array {
  const table = encodeTombstones([tombstone]);
  const value = new Uint8Array(HEADER_BYTES + table.length);
  new DataView(value.buffer).setFloat64(0, appendedAtMs, true);
  value.set(table, HEADER_BYTES);
  return value;
}

/** The value of `tombstones` that stands in the scratch buffer. Owned. */
export function decodeStoredTombstone(
  db: IndexDatabase,
  place: TombstonePlace,
  length: number,
): StoredTombstone {
  const appendedAtMs = db.f64[0] as number;
  const [tombstone] = decodeTombstones(db.u8, HEADER_BYTES, length - HEADER_BYTES);
  return { ...place, appendedAtMs, tombstone: tombstone ?? { blocks: null, shard: null } };
}

/** The tombstone of that name, or null. At most one is recorded. */
export function findTombstone(db: IndexDatabase, name: string): StoredTombstone | null {
  const start = tombstoneNameKey(name, { index: 0, position: 0 }).slice(0, 8);
  const places: TombstonePlace[] = [];
  db.scan("tombstoneNames", start, prefixEnd(start), (key) => {
    places.push({ index: keyU64(key, 8), position: keyU32(key, 16) });
    return true;
  });
  for (const place of places) {
    const length = db.get("tombstones", tombstoneKey(place));
    if (length < 0) continue;
    const stored = decodeStoredTombstone(db, place, length);
    if (tombstoneName(stored.tombstone) === name) return stored;
  }
  return null;
}

/** First key after all that begin with these 8 bytes. */
function prefixEnd(start: Uint8Array): Uint8Array {
  const end = nameStart.copy(0, start, 0, 8).bytes.slice();
  for (let i = 7; i >= 0; i--) {
    end[i] = ((end[i] as number) + 1) & 0xff;
    if (end[i] !== 0) return end;
  }
  return new Uint8Array(NAME_KEY_BYTES + 1).fill(0xff);
}
