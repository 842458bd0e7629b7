/**
 * How many shards one dataset should have, from what it writes. Grows at once and overshoots when it has to grow again
 * soon; shrinks late, because each change moves keys to other shards.
 */

import type { PlacementLimits } from "./limits.ts";

type AllocatorLimits = Pick<
  PlacementLimits,
  "unitSizeBytes" | "minDatasetShards" | "maxDatasetShards" | "burstWindowNs" | "decayWindowNs"
>;

/** Overshoot is at most to twice the need, so a larger factor would mean nothing. */
const FACTOR_MAX = 16;

export class ShardAllocator {
  #target = 0;
  /** Instants of 0 mean "not yet". */
  #burstStartNs = 0;
  #factor = 0;
  #decayStartNs = 0;
  /** What was needed in the decay window before this one, and in this one. */
  #previousFloor = 0;
  #currentFloor = 0;

  /** Of a dataset that had `shards` at `sinceNs`: it does not shrink before a decay window has passed since then. */
  static holding(shards: number, sinceNs: number): ShardAllocator {
    const allocator = new ShardAllocator();
    allocator.#decayStartNs = sinceNs;
    allocator.#currentFloor = shards;
    return allocator;
  }

  copy(): ShardAllocator {
    const copy = new ShardAllocator();
    copy.#target = this.#target;
    copy.#burstStartNs = this.#burstStartNs;
    copy.#factor = this.#factor;
    copy.#decayStartNs = this.#decayStartNs;
    copy.#previousFloor = this.#previousFloor;
    copy.#currentFloor = this.#currentFloor;
    return copy;
  }

  /** Number of shards for `usage` bytes per second. */
  observe(usage: number, nowNs: number, limits: AllocatorLimits): number {
    const need = this.#withBurst(Math.floor(usage / limits.unitSizeBytes) + 1, nowNs, limits);
    const isNewWindow =
      this.#decayStartNs === 0 || nowNs - this.#decayStartNs >= limits.decayWindowNs;
    if (isNewWindow) {
      this.#previousFloor = this.#currentFloor;
      this.#currentFloor = need;
      this.#decayStartNs = nowNs;
    }
    this.#currentFloor = Math.max(this.#currentFloor, need);
    const wanted = Math.max(limits.minDatasetShards, this.#previousFloor, this.#currentFloor);
    this.#target = Math.min(limits.maxDatasetShards, wanted);
    return this.#target;
  }

  /** The first increase is exact, later ones in the burst window overshoot. */
  #withBurst(need: number, nowNs: number, { burstWindowNs }: AllocatorLimits): number {
    const growth = need - this.#target;
    if (growth <= 0) return need;
    const isFirst = this.#burstStartNs === 0 || nowNs - this.#burstStartNs >= burstWindowNs;
    this.#burstStartNs = nowNs;
    if (isFirst) {
      this.#factor = 1;
      return need;
    }
    if (this.#factor < FACTOR_MAX) this.#factor *= 2;
    return Math.min(2 * need, need + Math.ceil(growth * this.#factor));
  }
}
