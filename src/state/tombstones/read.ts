/**
 * Questions about tombstones, for any thread. The caller holds a read transaction (`db.beginRead`), or asks inside
 * of a write.
 */

import { type IndexDatabase, keyU32, keyU64 } from "../../db/index.ts";
import { STATE_LIMITS } from "../limits.ts";
import {
  decodeStoredTombstone,
  type StoredTombstone,
  tombstoneBlockKey,
  tombstoneKey,
  tombstoneName,
  type TombstonePlace,
} from "./rows.ts";

export interface ListedTombstone extends StoredTombstone {
  readonly name: string;
}

/**
 * Whether a block tombstone of exactly that owner and shard lists the id (spec 10.2). `tenant` "" is the anonymous
 * owner; `block` need not be a ULID.
 */
export function tombstoneExists(
  db: IndexDatabase,
  tenant: string,
  shard: number,
  block: string,
): boolean {
  if (Buffer.byteLength(block, "utf8") > STATE_LIMITS.tombstoneIdMaxBytes) return false;
  const id = tenantIdOf(db, tenant);
  return id >= 0 && db.has("tombstoneBlocks", tombstoneBlockKey(id, shard, block));
}

/**
 * Tombstones in the order they were recorded, up to the first that was not appended before `beforeMs` (spec 10.3).
 * At most `countMax`.
 */
export function listTombstones(
  db: IndexDatabase,
  beforeMs: number,
  countMax: number = Number.POSITIVE_INFINITY,
): ListedTombstone[] {
  const places: TombstonePlace[] = [];
  db.scan("tombstones", new Uint8Array(12), new Uint8Array(13).fill(0xff), (key) => {
    if (places.length >= countMax || !((db.f64[0] as number) < beforeMs)) return false;
    places.push({ index: keyU64(key, 0), position: keyU32(key, 8) });
    return true;
  });
  return places.map((place) => {
    const length = db.get("tombstones", tombstoneKey(place));
    const stored = decodeStoredTombstone(db, place, length);
    return { ...stored, name: tombstoneName(stored.tombstone) };
  });
}

/** Id of a tenant name, 0 for the anonymous owner, -1 when it was never seen. */
export function tenantIdOf(db: IndexDatabase, tenant: string): number {
  if (tenant === "") return 0;
  const name = Buffer.from(tenant, "utf8");
  if (name.length > STATE_LIMITS.tenantMaxBytes) return -1;
  return db.get("tenantIds", name) < 0 ? -1 : (db.u32[0] as number);
}
