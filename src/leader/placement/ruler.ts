/**
 * The rules: for each dataset over how many shards it is spread, and how. A rule outlives the statistics that it came
 * from for a while, so that a quiet writer does not move a dataset.
 */

import {
  type DatasetPlacement,
  type DatasetStats,
  LOAD_BALANCING,
  type LoadBalancing,
  type PlacementRules,
} from "../../protocol/index.ts";
import { ShardAllocator } from "./allocator.ts";
import { chooseBalancing, sumOf } from "./balancing.ts";
import { PLACEMENT_BOUNDS, type PlacementLimits } from "./limits.ts";
import { compareTexts } from "./order.ts";
import { type PinSet, pinnedBalancing } from "./pins.ts";
import type { BuiltStatistics } from "./statistics.ts";

/** `published`: judge by the standard deviation of the statistics object, as the reference does. */
export const DEVIATION_CHOICES = ["smoothed", "published"] as const;

export type DeviationChoice = (typeof DEVIATION_CHOICES)[number];

export interface RulerOptions {
  readonly deviation: DeviationChoice;
}

export interface RuleInputs {
  readonly built: Pick<BuiltStatistics, "stats" | "deviations">;
  readonly nowNs: number;
  /** Of the rules that are made; never before that of earlier ones. */
  readonly createdAtNs: bigint;
  readonly limitsOf: (tenant: string) => PlacementLimits;
  readonly pins: PinSet;
}

interface Observation {
  readonly usage: readonly number[];
  readonly stdDev: number;
  readonly nowNs: number;
  readonly limits: PlacementLimits;
}

interface DatasetState {
  tenant: string;
  name: string;
  readonly allocator: ShardAllocator;
  /** Of the statistics that named it last. */
  statisticsAtNs: number;
  tenantShardLimit: number;
  datasetShardLimit: number;
  loadBalancing: LoadBalancing;
  /** Number of the build that observed it last; 0: none. */
  build: number;
  /** As the newest rules say it, and as the next ones will unless something changes. */
  published: DatasetPlacement | null;
}

export class PlacementRuler {
  readonly #options: RulerOptions;
  readonly #tenants = new Map<string, Map<string, DatasetState>>();
  #count = 0;
  /** No rule's statistics are older; 0: not known. */
  #oldestNs = 0;
  #builds = 0;
  /** By position in the newest statistics, whose order hardly ever changes: finding 10,000 names takes longer than judging them. */
  #recent: DatasetState[] = [];
  /** Datasets that got no rule because there are too many, since the start. */
  refusedDatasets = 0;

  constructor(options: RulerOptions) {
    this.#options = options;
  }

  /** Goes on from rules that another leader has made. A clock that ran ahead counts as now. */
  load(rules: PlacementRules, nowNs: number): void {
    const createdAtNs = Math.min(Number(rules.createdAtNs), nowNs);
    this.#oldestNs = 0;
    for (const { tenant, name, ...limits } of rules.datasets) {
      const tenantId = rules.tenants[tenant]?.tenantId;
      if (tenantId === undefined) continue;
      const state = this.#state(tenantId, name, () =>
        ShardAllocator.holding(limits.datasetShardLimit, createdAtNs),
      );
      if (state !== null) Object.assign(state, limits, { statisticsAtNs: createdAtNs });
    }
  }

  /** Drops rules whose statistics are older; one exactly as old stays, and so do pinned ones. */
  expire(beforeNs: number, pins: PinSet): void {
    if (this.#oldestNs >= beforeNs) return;
    this.#oldestNs = Number.POSITIVE_INFINITY;
    for (const [tenant, datasets] of this.#tenants) {
      for (const [name, { statisticsAtNs }] of datasets) {
        if (statisticsAtNs >= beforeNs || pins.get(tenant, name) !== null) {
          this.#oldestNs = Math.min(this.#oldestNs, statisticsAtNs);
          continue;
        }
        datasets.delete(name);
        this.#count--;
        this.#recent = [];
      }
      if (datasets.size === 0) this.#tenants.delete(tenant);
    }
  }

  /** Each call is an observation of the load: call it once per cycle, and on a copy for what only might be. */
  build(inputs: RuleInputs): PlacementRules {
    const { built, createdAtNs, limitsOf, pins } = inputs;
    const { stats, deviations } = built;
    const limits = stats.tenants.map(({ tenantId }) => limitsOf(tenantId));
    const output = new RulesOutput(pins);
    for (const { tenantId } of stats.tenants) output.tenant(tenantId);
    const build = ++this.#builds;
    let observed = 0;
    for (let i = 0; i < stats.datasets.length; i++) {
      const dataset = stats.datasets[i] as DatasetStats;
      const { tenantId } = stats.tenants[dataset.tenant] as { readonly tenantId: string };
      const state = this.#recentState(i, tenantId, dataset.name);
      if (state === null) continue;
      if (state.build !== build) observed++;
      state.build = build;
      const { deviation } = this.#options;
      const stdDev = deviation === "published" ? dataset.stdDev : (deviations[i] ?? 0);
      const own = limits[dataset.tenant] as PlacementLimits;
      this.#observe(state, { usage: dataset.usage, stdDev, nowNs: inputs.nowNs, limits: own });
      output.dataset(state);
    }
    this.#addPinned(inputs);
    this.#oldestNs = observed < this.#count ? Math.min(this.#oldestNs, inputs.nowNs) : inputs.nowNs;
    if (observed < this.#count)
      for (const state of this.#carriedOver(inputs.nowNs)) output.dataset(state);
    return output.finish(createdAtNs);
  }

  /** The same rules, on which `build` changes nothing here. */
  copy(): PlacementRuler {
    const copy = new PlacementRuler(this.#options);
    for (const [tenant, datasets] of this.#tenants) {
      const states = [...datasets].map(
        ([name, state]) => [name, { ...state, allocator: state.allocator.copy() }] as const,
      );
      copy.#tenants.set(tenant, new Map(states));
    }
    copy.#count = this.#count;
    copy.#oldestNs = this.#oldestNs;
    copy.#builds = this.#builds;
    return copy;
  }

  #observe(state: DatasetState, { usage, stdDev, nowNs, limits }: Observation): void {
    state.statisticsAtNs = nowNs;
    state.tenantShardLimit = limits.tenantShards;
    state.datasetShardLimit = state.allocator.observe(sumOf(usage), nowNs, limits);
    const { fingerprint, roundRobin } = LOAD_BALANCING;
    if (limits.loadBalancing === "fingerprint") state.loadBalancing = fingerprint;
    else if (limits.loadBalancing === "round-robin") state.loadBalancing = roundRobin;
    else if (state.loadBalancing !== roundRobin) {
      // It never goes back while the rule lives: each change would move every key.
      const { unitSizeBytes } = limits;
      const target = state.datasetShardLimit;
      state.loadBalancing = chooseBalancing({ usage, stdDev, unitSizeBytes, target });
    }
  }

  /** Pins of datasets that nobody writes to are rules as well. */
  #addPinned({ pins, limitsOf }: RuleInputs): void {
    for (const { tenant, dataset } of pins.list()) {
      if (this.#tenants.get(tenant)?.has(dataset) === true) continue;
      const state = this.#state(tenant, dataset, () => new ShardAllocator());
      if (state === null) continue;
      const { tenantShards, defaultDatasetShards } = limitsOf(tenant);
      state.tenantShardLimit = tenantShards;
      state.datasetShardLimit = defaultDatasetShards;
    }
  }

  #carriedOver(nowNs: number): DatasetState[] {
    const found: DatasetState[] = [];
    for (const datasets of this.#tenants.values())
      for (const state of datasets.values()) if (state.statisticsAtNs < nowNs) found.push(state);
    return found.sort((a, b) => compareTexts(a.tenant, b.tenant) || compareTexts(a.name, b.name));
  }

  /** State of the dataset at this position of the statistics, made when there is none; null: there is no room for one more. */
  #recentState(position: number, tenant: string, name: string): DatasetState | null {
    const recent = this.#recent[position];
    if (recent !== undefined && recent.name === name && recent.tenant === tenant) return recent;
    const state = this.#state(tenant, name, () => new ShardAllocator());
    if (state === null) return null;
    // The very texts of the statistics, which are equal at a glance from now on.
    state.tenant = tenant;
    state.name = name;
    if (position <= this.#recent.length) this.#recent[position] = state;
    return state;
  }

  #state(tenant: string, name: string, allocator: () => ShardAllocator): DatasetState | null {
    let datasets = this.#tenants.get(tenant);
    const known = datasets?.get(name);
    if (known !== undefined) return known;
    if (this.#count >= PLACEMENT_BOUNDS.rulesMaxCount) {
      this.refusedDatasets++;
      return null;
    }
    if (datasets === undefined) {
      datasets = new Map();
      this.#tenants.set(tenant, datasets);
    }
    const state: DatasetState = {
      tenant,
      name,
      allocator: allocator(),
      statisticsAtNs: 0,
      tenantShardLimit: 0,
      datasetShardLimit: 0,
      loadBalancing: LOAD_BALANCING.unspecified,
      build: 0,
      published: null,
    };
    datasets.set(name, state);
    this.#count++;
    this.#oldestNs = 0;
    return state;
  }
}

/** Numbers tenants in the order in which they come. */
class RulesOutput {
  readonly #pins: PinSet;
  readonly #tenants: { tenantId: string }[] = [];
  readonly #positions = new Map<string, number>();
  readonly #datasets: DatasetPlacement[] = [];
  #lastTenant: string | null = null;
  #lastPosition = 0;

  constructor(pins: PinSet) {
    this.#pins = pins;
  }

  tenant(tenantId: string): number {
    if (tenantId !== this.#lastTenant) {
      this.#lastPosition = this.#positionOf(tenantId);
      this.#lastTenant = tenantId;
    }
    return this.#lastPosition;
  }

  dataset(state: DatasetState): void {
    const { name, tenantShardLimit } = state;
    const pin = this.#pins.get(state.tenant, name);
    const datasetShardLimit = pin?.shards ?? state.datasetShardLimit;
    const loadBalancing = (pin && pinnedBalancing(pin)) ?? state.loadBalancing;
    const tenant = this.tenant(state.tenant);
    const last = state.published;
    const isSame =
      last !== null &&
      last.tenant === tenant &&
      last.tenantShardLimit === tenantShardLimit &&
      last.datasetShardLimit === datasetShardLimit &&
      last.loadBalancing === loadBalancing;
    const now = isSame
      ? last
      : { tenant, name, tenantShardLimit, datasetShardLimit, loadBalancing };
    state.published = now;
    this.#datasets.push(now);
  }

  finish(createdAtNs: bigint): PlacementRules {
    return { tenants: this.#tenants, datasets: this.#datasets, createdAtNs };
  }

  #positionOf(tenantId: string): number {
    let position = this.#positions.get(tenantId);
    if (position === undefined) {
      position = this.#tenants.length;
      this.#positions.set(tenantId, position);
      this.#tenants.push({ tenantId });
    }
    return position;
  }
}
