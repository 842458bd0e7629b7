/**
 * The numbers of the whole index: next ids and totals, one value of `meta`, written once per transaction.
 *
 * ```
 * meta "counters": f64 per field, in the order of COUNTER_FIELDS; the first is the layout version
 * ```
 */

import { assert, HearthError } from "../base/index.ts";
import { type IndexDatabase, META_KEYS } from "../db/index.ts";

/** Order on disk. Append only. */
const COUNTER_FIELDS = [
  "layoutVersion",
  "nextTenant",
  "nextOrdinal",
  "nextDictionary",
  "blocks",
  "datasets",
  "bytes",
  "shards",
  "partitions",
  "owners",
  "tombstones",
  "tombstoneIds",
  "garbage",
] as const;

/** What waits to be swept differs from member to member: no part of what the state says. */
export const GARBAGE_COUNTER_POSITION = COUNTER_FIELDS.indexOf("garbage");

export type CounterField = (typeof COUNTER_FIELDS)[number];

/** Bump when an older or newer layout of any table cannot be read: the index is then rebuilt from the log. */
export const INDEX_LAYOUT_VERSION = 2;

/** Ids are u32 in keys. */
const ID_MAX = 0xffff_fffe;

export class Counters implements Record<CounterField, number> {
  layoutVersion = INDEX_LAYOUT_VERSION;
  /** Next tenant id; 0 is the anonymous owner. */
  nextTenant = 1;
  nextOrdinal = 1;
  nextDictionary = 1;
  /** Blocks in the index. */
  blocks = 0;
  /** Datasets of those blocks. */
  datasets = 0;
  /** Sum of their object sizes; exact up to 2^53. */
  bytes = 0;
  shards = 0;
  partitions = 0;
  /** Owners with at least one shard, the anonymous one included. */
  owners = 0;
  /** Recorded tombstones of both kinds. */
  tombstones = 0;
  /** Rows of `tombstoneBlocks`: distinct (owner, shard, id) under protection. */
  tombstoneIds = 0;
  /** Ordinals and dictionaries waiting to be swept. */
  garbage = 0;
  readonly #record = new Float64Array(COUNTER_FIELDS.length);
  readonly #recordBytes = new Uint8Array(this.#record.buffer);

  /** Takes the stored values; a database without any keeps the initial ones. */
  load(db: IndexDatabase): void {
    const bytes = db.get("meta", META_KEYS.counters);
    const stored = bytes < 0 ? [] : Array.from(db.f64.subarray(0, bytes / 8));
    if (stored.length > 0 && stored[0] !== INDEX_LAYOUT_VERSION) {
      throw new HearthError(
        "failed_precondition",
        `Cannot use the index database: its layout is ${stored[0]}, this version reads ${INDEX_LAYOUT_VERSION}`,
        { reason: "index_layout", next: "Delete the index directory; it is rebuilt from the log" },
      );
    }
    const initial = new Counters();
    for (const [i, field] of COUNTER_FIELDS.entries()) this[field] = stored[i] ?? initial[field];
  }

  /** Inside a write transaction. */
  store(db: IndexDatabase): void {
    for (const [i, field] of COUNTER_FIELDS.entries()) this.#record[i] = this[field];
    db.put("meta", META_KEYS.counters, this.#recordBytes);
  }

  /** Hands out an id that was never used before. */
  take(field: "nextTenant" | "nextOrdinal" | "nextDictionary"): number {
    const id = this[field]++;
    assert(id <= ID_MAX, `Cannot give out another id: ${field} is exhausted`);
    return id;
  }
}
