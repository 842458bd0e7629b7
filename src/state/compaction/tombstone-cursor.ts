/**
 * The tombstones that a plan hands out with its new jobs: old enough, oldest first, none twice (compaction spec, 10.3;
 * at the end of the queue it stops for good: 16, no. 7).
 */

import type { IndexDatabase } from "../../db/index.ts";
import type { Tombstone } from "../../protocol/index.ts";
import { keyU32, keyU64 } from "../../db/index.ts";
import { decodeStoredTombstone, tombstoneKey, type TombstonePlace } from "../tombstones/rows.ts";
import type { CompactionPolicy } from "./policy.ts";

/** Tombstones of one job after the first, bytes as stored: a job is one value of the database. */
const JOB_BYTES_MAX = 1_048_576;
/** Tombstones of one plan, bytes as stored: a plan is one log entry. */
const PLAN_BYTES_MAX = 8_388_608;
const PAGE = 64;

export class TombstoneCursor {
  readonly #db: IndexDatabase;
  readonly #policy: CompactionPolicy;
  readonly #beforeMs: number;
  readonly #page: TombstonePlace[] = [];
  #after: TombstonePlace | null = null;
  #isOver = false;
  #planBytes = 0;

  constructor(db: IndexDatabase, policy: CompactionPolicy, nowMs: number) {
    this.#db = db;
    this.#policy = policy;
    this.#beforeMs = nowMs - policy.cleanupDelayMs;
  }

  /** What the next job of that level carries. */
  take(level: number): Tombstone[] {
    const { cleanupMinLevel, cleanupMaxLevel, cleanupBatchSize } = this.#policy;
    if (level < cleanupMinLevel || level > cleanupMaxLevel) return [];
    const taken: Tombstone[] = [];
    let bytes = 0;
    while (taken.length < cleanupBatchSize && this.#planBytes < PLAN_BYTES_MAX) {
      const place = this.#peek();
      if (place === null) break;
      const length = this.#db.get("tombstones", tombstoneKey(place));
      if (taken.length > 0 && bytes + length > JOB_BYTES_MAX) break;
      taken.push(decodeStoredTombstone(this.#db, place, length).tombstone);
      bytes += length;
      this.#planBytes += length;
      this.#page.shift();
    }
    return taken;
  }

  #peek(): TombstonePlace | null {
    if (this.#page.length === 0 && !this.#isOver) this.#readPage();
    return this.#page[0] ?? null;
  }

  #readPage(): void {
    const start = new Uint8Array(this.#after === null ? 12 : 13);
    if (this.#after !== null) start.set(tombstoneKey(this.#after));
    this.#db.scan("tombstones", start, new Uint8Array(13).fill(0xff), (key) => {
      if (!((this.#db.f64[0] as number) < this.#beforeMs)) return false;
      this.#page.push({ index: keyU64(key, 0), position: keyU32(key, 8) });
      return this.#page.length < PAGE;
    });
    this.#isOver = this.#page.length < PAGE;
    this.#after = this.#page.at(-1) ?? this.#after;
  }
}
