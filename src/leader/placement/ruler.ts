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
  readonly built: BuiltStatistics;
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
  readonly tenant: string;
  readonly name: string;
  readonly allocator: ShardAllocator;
  /** Of the statistics that named it last. */
  statisticsAtNs: number;
  tenantShardLimit: number;
  datasetShardLimit: number;
  loadBalancing: LoadBalancing;
}

export class PlacementRuler {
  readonly #options: RulerOptions;
  readonly #tenants = new Map<string, Map<string, DatasetState>>();
  #count = 0;
  /** Datasets that got no rule because there are too many, since the start. */
  refusedDatasets = 0;

  constructor(options: RulerOptions) {
    this.#options = options;
  }

  /** Goes on from rules that another leader has made. A clock that ran ahead counts as now. */
  load(rules: PlacementRules, nowNs: number): void {
    const createdAtNs = Math.min(Number(rules.createdAtNs), nowNs);
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
    for (const [tenant, datasets] of this.#tenants) {
      for (const [name, { statisticsAtNs }] of datasets) {
        if (statisticsAtNs >= beforeNs || pins.get(tenant, name) !== null) continue;
        datasets.delete(name);
        this.#count--;
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
    for (let i = 0; i < stats.datasets.length; i++) {
      const dataset = stats.datasets[i] as DatasetStats;
      const { tenantId } = stats.tenants[dataset.tenant] as { readonly tenantId: string };
      const state = this.#state(tenantId, dataset.name, () => new ShardAllocator());
      if (state === null) continue;
      const { deviation } = this.#options;
      const stdDev = deviation === "published" ? dataset.stdDev : (deviations[i] ?? 0);
      const own = limits[dataset.tenant] as PlacementLimits;
      this.#observe(state, { usage: dataset.usage, stdDev, nowNs: inputs.nowNs, limits: own });
      output.dataset(state);
    }
    this.#addPinned(inputs);
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
    };
    datasets.set(name, state);
    this.#count++;
    return state;
  }
}

/** Numbers tenants in the order in which they come. */
class RulesOutput {
  readonly #pins: PinSet;
  readonly #tenants: { tenantId: string }[] = [];
  readonly #positions = new Map<string, number>();
  readonly #datasets: DatasetPlacement[] = [];

  constructor(pins: PinSet) {
    this.#pins = pins;
  }

  tenant(tenantId: string): number {
    let position = this.#positions.get(tenantId);
    if (position === undefined) {
      position = this.#tenants.length;
      this.#positions.set(tenantId, position);
      this.#tenants.push({ tenantId });
    }
    return position;
  }

  dataset(state: DatasetState): void {
    const { name, tenantShardLimit } = state;
    const pin = this.#pins.get(state.tenant, name);
    const datasetShardLimit = pin?.shards ?? state.datasetShardLimit;
    const loadBalancing = (pin && pinnedBalancing(pin)) ?? state.loadBalancing;
    const tenant = this.tenant(state.tenant);
    this.#datasets.push({ tenant, name, tenantShardLimit, datasetShardLimit, loadBalancing });
  }

  finish(createdAtNs: bigint): PlacementRules {
    return { tenants: this.#tenants, datasets: this.#datasets, createdAtNs };
  }
}
