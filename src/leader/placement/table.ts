/** The objects of the placement as rows for people: what each dataset has, and what it writes. */

import {
  type DatasetStats,
  decodeDistributionStats,
  decodePlacementRules,
  type DistributionStats,
  LOAD_BALANCING,
  type PlacementRules,
} from "../../protocol/index.ts";
import { sumOf } from "./balancing.ts";
import {
  type PlacementFilter,
  type PlacementObjects,
  type PlacementRow,
  type PlacementTable,
  SHARDS_SHOWN_MAX,
  type ShardLoad,
} from "./messages.ts";
import { readable } from "./objects.ts";
import { decodePins, PinSet } from "./pins.ts";
import { type EffectivePlacement, shardsOf } from "./policy.ts";

/** Positions of the largest values, largest first, at most `maxCount` of them. */
export function busiestFirst(loads: readonly number[], maxCount: number): number[] {
  const least = leastOfLargest(loads, maxCount);
  const found: number[] = [];
  for (let i = 0; i < loads.length; i++) if ((loads[i] as number) >= least) found.push(i);
  return found
    .sort((a, b) => (loads[b] as number) - (loads[a] as number) || a - b)
    .slice(0, maxCount);
}

/** What the last of the largest comes to: sorting plain numbers first leaves few positions to sort by a function. */
function leastOfLargest(loads: readonly number[], maxCount: number): number {
  if (loads.length <= maxCount) return Number.NEGATIVE_INFINITY;
  return Float64Array.from(loads).sort()[loads.length - maxCount] ?? Number.POSITIVE_INFINITY;
}

/** The busiest first. */
export function shardLoads(stats: DistributionStats, dataset: DatasetStats): ShardLoad[] {
  return busiestFirst(dataset.usage, SHARDS_SHOWN_MAX).map((i) => {
    const { id = 0, owner = "" } = stats.shards[dataset.shards[i] as number] ?? {};
    return { id, owner, bytesPerSec: dataset.usage[i] as number };
  });
}

export function viewObjects(objects: PlacementObjects, filter: PlacementFilter): PlacementTable {
  const problems: string[] = [];
  const rules = readable(objects.rules, decodePlacementRules, problems);
  const stats = readable(objects.stats, decodeDistributionStats, problems);
  const pins = readable(objects.pins, decodePins, problems) ?? new PinSet();
  const loads = loadsByName(stats);
  const found = matchingRules(rules, filter).map((rule) => {
    return { ...rule, stats: loads.get(nameOf(rule.tenant, rule.dataset)) ?? null };
  });
  const sums = found.map((rule) => (rule.stats === null ? 0 : sumOf(rule.stats.usage)));
  const rows = busiestFirst(sums, filter.maxCount).map((i): PlacementRow => {
    const { tenant, dataset, placement, stats: load } = found[i] as (typeof found)[number];
    return {
      tenant,
      dataset,
      placement,
      shards: shardsOf(placement),
      bytesPerSec: sums[i] as number,
      stdDevBytesPerSec: load?.stdDev ?? 0,
      pin: pins.get(tenant, dataset),
      load: load === null || stats === null ? [] : shardLoads(stats, load),
      loadedShards: load?.shards.length ?? 0,
    };
  });
  return {
    rulesAtMs: atMs(rules),
    statsAtMs: atMs(stats),
    problems,
    matched: found.length,
    rules: rules?.datasets.length ?? 0,
    bytesPerSec: sumOf(sums),
    rows,
    pins: pins.list().filter(({ tenant, dataset }) => isWanted(filter, tenant, dataset)),
  };
}

export interface NamedPlacement {
  readonly tenant: string;
  readonly dataset: string;
  readonly placement: EffectivePlacement;
}

/** Of several rules for one dataset the last one counts, as it does for readers. */
export function matchingRules(
  rules: PlacementRules | null,
  filter: PlacementFilter,
): NamedPlacement[] {
  const found = new Map<string, NamedPlacement>();
  for (const { tenant: position, name, ...limits } of rules?.datasets ?? []) {
    const tenant = rules?.tenants[position]?.tenantId;
    if (tenant === undefined || !isWanted(filter, tenant, name)) continue;
    const isRoundRobin = limits.loadBalancing === LOAD_BALANCING.roundRobin;
    const placement = {
      tenantShards: limits.tenantShardLimit,
      datasetShards: limits.datasetShardLimit,
      strategy: isRoundRobin ? ("round-robin" as const) : ("fingerprint" as const),
    };
    found.set(nameOf(tenant, name), { tenant, dataset: name, placement });
  }
  return [...found.values()];
}

/** By tenant and dataset. */
export function loadsByName(stats: DistributionStats | null): Map<string, DatasetStats> {
  const loads = new Map<string, DatasetStats>();
  for (const dataset of stats?.datasets ?? []) {
    const tenant = stats?.tenants[dataset.tenant]?.tenantId;
    if (tenant !== undefined) loads.set(nameOf(tenant, dataset.name), dataset);
  }
  return loads;
}

/** Lengths keep (`a`, `bc`) and (`ab`, `c`) apart, whatever characters there are. */
export function nameOf(tenant: string, dataset: string): string {
  return `${tenant.length}:${tenant}${dataset}`;
}

function isWanted(filter: PlacementFilter, tenant: string, dataset: string): boolean {
  if (filter.tenant !== null && filter.tenant !== tenant) return false;
  return filter.dataset === null || filter.dataset === dataset;
}

function atMs(object: { readonly createdAtNs: bigint } | null): number | null {
  return object === null ? null : Number(object.createdAtNs / 1_000_000n);
}
