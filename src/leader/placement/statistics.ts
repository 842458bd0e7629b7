/**
 * How much each dataset (tenant and name) writes to each shard, per second.
 *
 * Kept by tenant, dataset and shard in the order of the object that is published, so that building it is one walk: with
 * 80,000 rates, sorting them every time would take longer than everything else.
 */

import type { DatasetStats, DistributionStats, ShardStats } from "../../protocol/index.ts";
import { standardDeviation } from "./balancing.ts";
import { PLACEMENT_BOUNDS } from "./limits.ts";
import { compareTexts } from "./order.ts";
import { RateTable, tauOfHalfLife } from "./rate.ts";

/** What one dataset of one block added. */
export interface PlacementSample {
  readonly tenant: string;
  readonly dataset: string;
  /** Shard of the block; 0 means none, such samples are not taken. */
  readonly shard: number;
  /** Process that wrote the block. */
  readonly owner: string;
  readonly sizeBytes: number;
}

export interface BuiltStatistics {
  /** As published. */
  readonly stats: DistributionStats;
  /**
   * Parallel to its datasets: the standard deviation, smoothed as a value. The published one is smoothed as if it were a
   * rate of events, which makes it smaller by the seconds between two cycles.
   */
  readonly deviations: readonly number[];
}

/** One for each (id, owner), so that its position in an object is found without a look-up. */
interface ShardRef extends ShardStats {
  /** Valid in the build that wrote it. */
  position: number;
  build: number;
}

class Dataset {
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
  /** What the newest build says of it, parallel to `rates`. Written over by the next one: 20,000 new lists are garbage. */
  usage: number[] = [];
  positions: number[] = [];

  constructor(tenant: string, name: string, deviation: number) {
    this.tenant = tenant;
    this.name = name;
    this.deviation = deviation;
  }
}

export class PlacementStatistics {
  readonly #rates: RateTable;
  readonly #tenants = new Map<string, Map<string, Dataset>>();
  readonly #shards = new Map<string, Map<number, ShardRef>>();
  /** All datasets, by tenant and name; null: has to be made again. */
  #order: Dataset[] | null = null;
  #rateCount = 0;
  #builds = 0;
  /** Samples that were not taken because there are too many rates, since the start. */
  refusedSamples = 0;

  /** `halfLifeNs`: after this time a change of the load counts half. */
  constructor(halfLifeNs: number) {
    this.#rates = new RateTable(tauOfHalfLife(halfLifeNs));
  }

  /** Rates of datasets on shards. */
  get rateCount(): number {
    return this.#rateCount;
  }

  record(sample: PlacementSample, nowNs: number): void {
    if (sample.shard === 0) return;
    const rate = this.#rate(sample, () => this.#rates.add());
    if (rate < 0) this.refusedSamples++;
    else this.#rates.update(rate, sample.sizeBytes, nowNs);
  }

  /** Takes what another leader has published for what is not known here. */
  seed(stats: DistributionStats, nowNs: number): void {
    const lastNs = Math.min(Number(stats.createdAtNs), nowNs);
    for (const { tenant, name, shards, usage } of stats.datasets) {
      const tenantId = stats.tenants[tenant]?.tenantId;
      if (tenantId === undefined) continue;
      for (let i = 0; i < shards.length; i++) {
        const shard = stats.shards[shards[i] as number];
        if (shard === undefined || shard.id === 0) continue;
        const place = { tenant: tenantId, dataset: name, shard: shard.id, owner: shard.owner };
        this.#rate(place, () => this.#rates.add(usage[i] ?? 0, lastNs));
      }
    }
  }

  /** Drops what was not updated since. */
  expire(beforeNs: number): void {
    const before = this.#rateCount;
    for (const [tenant, datasets] of this.#tenants) {
      for (const [name, dataset] of datasets) {
        this.#expireDataset(dataset, beforeNs);
        if (dataset.rates.length === 0 && dataset.deviationRate < 0) {
          this.#rates.remove(dataset.deviation);
          datasets.delete(name);
          this.#order = null;
        }
      }
      if (datasets.size === 0) this.#tenants.delete(tenant);
    }
    if (this.#rateCount < before) this.#forgetShards();
  }

  /**
   * Statistics now, borrowed: good until the next build. The deviations take this as one more sample, so that there is one
   * build per cycle.
   */
  build(nowNs: number, createdAtNs: bigint): BuiltStatistics {
    const rates = this.#rates;
    const builder = new StatsBuilder(++this.#builds);
    const deviations: number[] = [];
    for (const dataset of this.#sorted()) {
      if (dataset.rates.length === 0) continue;
      this.#measure(dataset, nowNs);
      const deviation = standardDeviation(dataset.usage);
      if (dataset.deviationRate < 0) dataset.deviationRate = rates.add();
      rates.update(dataset.deviationRate, deviation, nowNs);
      deviations.push(rates.smooth(dataset.deviation, deviation, nowNs));
      const stdDev = Math.round(rates.value(dataset.deviationRate, nowNs));
      builder.add(dataset, stdDev);
    }
    return { stats: builder.finish(createdAtNs), deviations };
  }

  #measure({ rates, usage }: Dataset, nowNs: number): void {
    usage.length = rates.length;
    for (let i = 0; i < rates.length; i++) {
      // Halves go away from zero, and no rate is negative.
      usage[i] = Math.round(this.#rates.value(rates[i] as number, nowNs));
    }
  }

  /** Offset of the rate of a dataset on a shard, made when there is none; -1: there is no room for one more. */
  #rate(place: Omit<PlacementSample, "sizeBytes">, make: () => number): number {
    const dataset = this.#dataset(place.tenant, place.dataset);
    const position = findShard(dataset.shards, place.shard, place.owner);
    if (position >= 0) return dataset.rates[position] as number;
    if (this.#rateCount >= PLACEMENT_BOUNDS.ratesMaxCount) return -1;
    this.#rateCount++;
    const rate = make();
    dataset.rates.splice(~position, 0, rate);
    dataset.shards.splice(~position, 0, this.#shard(place.shard, place.owner));
    return rate;
  }

  #dataset(tenant: string, name: string): Dataset {
    let datasets = this.#tenants.get(tenant);
    if (datasets === undefined) {
      datasets = new Map();
      this.#tenants.set(tenant, datasets);
    }
    let dataset = datasets.get(name);
    if (dataset === undefined) {
      dataset = new Dataset(tenant, name, this.#rates.add());
      datasets.set(name, dataset);
      this.#order = null;
    }
    return dataset;
  }

  #shard(id: number, owner: string): ShardRef {
    let byId = this.#shards.get(owner);
    if (byId === undefined) {
      byId = new Map();
      this.#shards.set(owner, byId);
    }
    let shard = byId.get(id);
    if (shard === undefined) {
      shard = { id, owner, position: 0, build: 0 };
      byId.set(id, shard);
    }
    return shard;
  }

  #expireDataset(dataset: Dataset, beforeNs: number): void {
    const rates = this.#rates;
    if (dataset.deviationRate >= 0 && rates.lastNs(dataset.deviationRate) < beforeNs) {
      rates.remove(dataset.deviationRate);
      dataset.deviationRate = -1;
    }
    if (!hasOlder(dataset.rates, rates, beforeNs)) return;
    const isOld = (rate: number): boolean => rates.lastNs(rate) < beforeNs;
    const old = dataset.rates.filter(isOld);
    dataset.shards = dataset.shards.filter((_, i) => !isOld(dataset.rates[i] as number));
    dataset.rates = dataset.rates.filter((rate) => !isOld(rate));
    for (const rate of old) rates.remove(rate);
    this.#rateCount -= old.length;
  }

  /** Owners come and go with every roll-out of the writers. */
  #forgetShards(): void {
    const used = new Set<ShardRef>();
    for (const datasets of this.#tenants.values())
      for (const { shards } of datasets.values()) for (const shard of shards) used.add(shard);
    for (const [owner, byId] of this.#shards) {
      for (const [id, shard] of byId) if (!used.has(shard)) byId.delete(id);
      if (byId.size === 0) this.#shards.delete(owner);
    }
  }

  #sorted(): readonly Dataset[] {
    this.#order ??= [...this.#tenants.keys()].sort(compareTexts).flatMap((tenant) => {
      const datasets = this.#tenants.get(tenant) as Map<string, Dataset>;
      return [...datasets.values()].sort((a, b) => compareTexts(a.name, b.name));
    });
    return this.#order;
  }
}

/** Numbers tenants and shards in the order in which they come. */
class StatsBuilder {
  readonly #build: number;
  readonly #tenants: { tenantId: string }[] = [];
  readonly #datasets: DatasetStats[] = [];
  readonly #shards: ShardStats[] = [];

  constructor(build: number) {
    this.#build = build;
  }

  add({ tenant, name, shards, usage, positions }: Dataset, stdDev: number): void {
    if (this.#tenants.at(-1)?.tenantId !== tenant) this.#tenants.push({ tenantId: tenant });
    positions.length = shards.length;
    for (let i = 0; i < shards.length; i++) positions[i] = this.#position(shards[i] as ShardRef);
    const dataset = { tenant: this.#tenants.length - 1, name, shards: positions, usage, stdDev };
    this.#datasets.push(dataset);
  }

  finish(createdAtNs: bigint): DistributionStats {
    return { tenants: this.#tenants, datasets: this.#datasets, shards: this.#shards, createdAtNs };
  }

  #position(shard: ShardRef): number {
    if (shard.build !== this.#build) {
      shard.build = this.#build;
      shard.position = this.#shards.length;
      this.#shards.push({ id: shard.id, owner: shard.owner });
    }
    return shard.position;
  }
}

function hasOlder(offsets: readonly number[], rates: RateTable, beforeNs: number): boolean {
  for (const offset of offsets) if (rates.lastNs(offset) < beforeNs) return true;
  return false;
}

/** Position of a shard, or the complement of where it belongs. */
function findShard(shards: readonly ShardRef[], id: number, owner: string): number {
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
