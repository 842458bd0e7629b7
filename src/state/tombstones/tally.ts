/**
 * Tombstones by owner and kind, for the metrics. Counted from the rows once after a start, some at a time so that no
 * scrape waits for all of them, and kept from then on: new tombstones stand behind all others, so what is recorded while
 * the count is under way is still to come, and what is deleted matters only where the count has been.
 */

import { type IndexDatabase, keyU32, keyU64 } from "../../db/index.ts";
import type { Tombstone } from "../../protocol/index.ts";
import { decodeStoredTombstone, tombstoneKey, type TombstonePlace } from "./rows.ts";

export interface TombstoneCount {
  /** "" = the anonymous owner. */
  readonly tenant: string;
  readonly blocks: number;
  readonly shards: number;
}

interface Counts {
  blocks: number;
  shards: number;
}

/** Rows read per step: some tens of milliseconds at most. */
const STEP_ROWS = 1_000;
const END = new Uint8Array(13).fill(0xff);

export class TombstoneTally {
  readonly #counts = new Map<string, Counts>();
  /** Behind the last row that was counted; null: all of them are. */
  #cursor: TombstonePlace | null = { index: 0, position: 0 };

  /** True once every row is counted. */
  get isComplete(): boolean {
    return this.#cursor === null;
  }

  /** Counts further rows, if some are left. Inside a transaction. */
  step(db: IndexDatabase): void {
    if (this.#cursor === null) return;
    const places: TombstonePlace[] = [];
    db.scan("tombstones", tombstoneKey(this.#cursor).slice(), END, (key) => {
      places.push({ index: keyU64(key, 0), position: keyU32(key, 8) });
      return places.length < STEP_ROWS;
    });
    for (const place of places) {
      const length = db.get("tombstones", tombstoneKey(place));
      if (length >= 0) this.#change(decodeStoredTombstone(db, place, length).tombstone, 1);
    }
    const last = places.at(-1);
    const isOver = last === undefined || places.length < STEP_ROWS;
    this.#cursor = isOver ? null : { index: last.index, position: last.position + 1 };
  }

  recorded(tombstone: Tombstone): void {
    if (this.#cursor === null) this.#change(tombstone, 1);
  }

  deleted(tombstone: Tombstone, place: TombstonePlace): void {
    if (this.#cursor === null || isBefore(place, this.#cursor)) this.#change(tombstone, -1);
  }

  /** After a transaction that did not happen: counts from the beginning. */
  forget(): void {
    this.#counts.clear();
    this.#cursor = { index: 0, position: 0 };
  }

  list(): TombstoneCount[] {
    return [...this.#counts].map(([tenant, counts]) => ({ tenant, ...counts }));
  }

  #change({ blocks, shard }: Tombstone, change: 1 | -1): void {
    const tenant = blocks?.tenant ?? shard?.tenant ?? "";
    const counts = this.#counts.get(tenant) ?? { blocks: 0, shards: 0 };
    if (blocks !== null) counts.blocks += change;
    else counts.shards += change;
    if (counts.blocks === 0 && counts.shards === 0) this.#counts.delete(tenant);
    else this.#counts.set(tenant, counts);
  }
}

function isBefore(a: TombstonePlace, b: TombstonePlace): boolean {
  return a.index < b.index || (a.index === b.index && a.position < b.position);
}
