/** What the statistics keep of one dataset: its shards, where their rates lie, and what was published of them last. */

import type { DatasetStats, ShardStats } from "../../protocol/index.ts";
import { compareTexts } from "./order.ts";
import type { RateTable } from "./rate.ts";

/** One for each (id, owner), so that its position in an object is found without a look-up. */
export interface ShardRef extends ShardStats {
  /** Valid in the build that wrote it. */
  position: number;
  build: number;
}

/** What the newest build says of a dataset. */
interface Published extends DatasetStats {
  tenant: number;
  readonly shards: number[];
  readonly usage: number[];
  stdDev: number;
}

/** One dataset of a tenant. */
export class Dataset {
  readonly tenant: string;
  readonly name: string;
  /** By shard id, then owner. */
  shards: ShardRef[] = [];
  /** Offsets of their rates. */
  rates: number[] = [];
  /** Of the published deviation, a rate like any other, which expires by itself; -1: none. */
  deviationRate = -1;
  /** Of the deviation smoothed as a value. */
  readonly deviation: number;
  /** None of its rates was updated before this; 0: not known. */
  oldestNs = 0;
  /** Lists parallel to `rates`. Written over by the next build: 30,000 new objects each time are garbage. */
  published: Published;

  constructor(tenant: string, name: string, deviation: number) {
    this.tenant = tenant;
    this.name = name;
    this.deviation = deviation;
    this.published = { tenant: 0, name, shards: [], usage: [], stdDev: 0 };
  }

  /** Makes its lists anew: datasets that are visited one after another should lie so in memory. */
  layOut(): void {
    this.rates = this.rates.slice();
    this.shards = this.shards.slice();
    const { tenant, name, shards, usage, stdDev } = this.published;
    this.published = { tenant, name, shards: shards.slice(), usage: usage.slice(), stdDev };
  }

  get isEmpty(): boolean {
    return this.rates.length === 0 && this.deviationRate < 0;
  }
}

/** When the rate that was updated longest ago was; endless for none. */
export function oldestOf(dataset: Dataset, rates: RateTable): number {
  const { deviationRate } = dataset;
  let oldestNs = deviationRate < 0 ? Number.POSITIVE_INFINITY : rates.lastNs(deviationRate);
  for (const rate of dataset.rates) oldestNs = Math.min(oldestNs, rates.lastNs(rate));
  return oldestNs;
}

/** Position of a shard, or the complement of where it belongs. */
export function findShard(shards: readonly ShardRef[], id: number, owner: string): number {
  let low = 0;
  let high = shards.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const shard = shards[middle] as ShardRef;
    const order = shard.id - id || compareTexts(shard.owner, owner);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return ~low;
}
