/**
 * How much each dataset (tenant and name) writes to each shard, per second.
 *
 * Kept by tenant, dataset and shard in the order of the object that is published, so that building it is one walk: with
 * 80,000 rates, sorting them every time would take longer than everything else.
 */

import type { DatasetStats, DistributionStats, ShardStats } from "../../protocol/index.ts";
import { standardDeviation, sumOf } from "./balancing.ts";
import { Dataset, findShard, oldestOf, type ShardRef } from "./dataset.ts";
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
  /** Parallel to its datasets: bytes per second of all shards. */
  readonly loads: readonly number[];
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
    let isAnyEmpty = false;
    const datasets = this.#sorted();
    for (const dataset of datasets) {
      if (dataset.oldestNs >= beforeNs) continue;
      this.#expireDataset(dataset, beforeNs);
      if (!dataset.isEmpty) continue;
      this.#forgetDataset(dataset);
      isAnyEmpty = true;
    }
    if (isAnyEmpty) this.#order = datasets.filter(({ isEmpty }) => !isEmpty);
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
    const loads: number[] = [];
    for (const dataset of this.#sorted()) {
      if (dataset.rates.length === 0) continue;
      this.#measure(dataset, nowNs);
      loads.push(sumOf(dataset.published.usage));
      const deviation = standardDeviation(dataset.published.usage);
      if (dataset.deviationRate < 0) {
        dataset.deviationRate = rates.add();
        dataset.oldestNs = 0;
      }
      rates.update(dataset.deviationRate, deviation, nowNs);
      deviations.push(rates.smooth(dataset.deviation, deviation, nowNs));
      dataset.published.stdDev = Math.round(rates.value(dataset.deviationRate, nowNs));
      builder.add(dataset);
    }
    return { stats: builder.finish(createdAtNs), deviations, loads };
  }

  #measure({ rates, published: { usage } }: Dataset, nowNs: number): void {
    if (usage.length > rates.length) usage.length = rates.length;
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
    dataset.oldestNs = 0;
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
    dataset.oldestNs = oldestOf(dataset, rates);
    if (dataset.oldestNs >= beforeNs) return;
    const isOld = (rate: number): boolean => rates.lastNs(rate) < beforeNs;
    const old = dataset.rates.filter(isOld);
    dataset.shards = dataset.shards.filter((_, i) => !isOld(dataset.rates[i] as number));
    dataset.rates = dataset.rates.filter((rate) => !isOld(rate));
    for (const rate of old) rates.remove(rate);
    this.#rateCount -= old.length;
  }

  #forgetDataset({ tenant, name, deviation }: Dataset): void {
    this.#rates.remove(deviation);
    const datasets = this.#tenants.get(tenant);
    datasets?.delete(name);
    if (datasets?.size === 0) this.#tenants.delete(tenant);
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
    if (this.#order !== null) return this.#order;
    this.#order = [...this.#tenants.keys()].sort(compareTexts).flatMap((tenant) => {
      const datasets = this.#tenants.get(tenant) as Map<string, Dataset>;
      return [...datasets.values()].sort((a, b) => compareTexts(a.name, b.name));
    });
    for (const dataset of this.#order) dataset.layOut();
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

  add({ tenant, shards, published }: Dataset): void {
    if (this.#tenants.at(-1)?.tenantId !== tenant) this.#tenants.push({ tenantId: tenant });
    published.tenant = this.#tenants.length - 1;
    const positions = published.shards;
    if (positions.length > shards.length) positions.length = shards.length;
    for (let i = 0; i < shards.length; i++) positions[i] = this.#position(shards[i] as ShardRef);
    this.#datasets.push(published);
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
