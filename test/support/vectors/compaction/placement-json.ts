/** Placement messages and limits as the vector files write them, and ours for them. */

import type { PlacementLimits } from "../../../../src/leader/index.ts";
import type {
  DistributionStats,
  LoadBalancing,
  PlacementRules,
} from "../../../../src/protocol/index.ts";
import type { NsText } from "./types.ts";

export interface LimitsJson {
  readonly tenant_shards: number;
  readonly default_dataset_shards: number;
  readonly load_balancing: PlacementLimits["loadBalancing"];
  readonly min_dataset_shards?: number;
  readonly max_dataset_shards?: number;
  readonly unit_size_bytes?: number;
  readonly burst_window_ns?: NsText;
  readonly decay_window_ns?: NsText;
}

const STRATEGIES = ["UNSPECIFIED", "FINGERPRINT", "ROUND_ROBIN"] as const;

export interface RulesJson {
  readonly tenants: readonly { readonly tenant_id: string }[];
  readonly datasets: readonly {
    readonly tenant: number;
    readonly name: string;
    readonly tenant_shard_limit: number;
    readonly dataset_shard_limit: number;
    readonly load_balancing: (typeof STRATEGIES)[number];
  }[];
  readonly created_at_ns: NsText;
}

export interface StatsJson {
  readonly tenants: readonly { readonly tenant_id: string }[];
  readonly datasets: readonly {
    readonly tenant: number;
    readonly name: string;
    readonly shards: readonly number[];
    readonly usage: readonly number[];
    readonly std_dev: number;
  }[];
  readonly shards: readonly { readonly id: number; readonly owner: string }[];
  readonly created_at_ns: NsText;
}

/** Of limits that leave something out, what a case does not ask for is what no rule could get by. */
export function limitsOf(json: LimitsJson): PlacementLimits {
  return {
    tenantShards: json.tenant_shards,
    defaultDatasetShards: json.default_dataset_shards,
    loadBalancing: json.load_balancing,
    minDatasetShards: json.min_dataset_shards ?? 0,
    maxDatasetShards: json.max_dataset_shards ?? 0,
    unitSizeBytes: json.unit_size_bytes ?? 1,
    burstWindowNs: Number(json.burst_window_ns ?? 0),
    decayWindowNs: Number(json.decay_window_ns ?? 0),
  };
}

/** By tenant; `*` is any other. */
export function limitsByTenant(
  json: Readonly<Record<string, LimitsJson>>,
): (tenant: string) => PlacementLimits {
  return (tenant) => {
    const found = json[tenant] ?? json["*"];
    if (found === undefined) throw new Error(`The case has no limits for ${tenant}`);
    return limitsOf(found);
  };
}

export function rulesOf(json: RulesJson): PlacementRules {
  return {
    tenants: json.tenants.map(({ tenant_id }) => ({ tenantId: tenant_id })),
    datasets: json.datasets.map((dataset) => ({
      tenant: dataset.tenant,
      name: dataset.name,
      tenantShardLimit: dataset.tenant_shard_limit,
      datasetShardLimit: dataset.dataset_shard_limit,
      loadBalancing: STRATEGIES.indexOf(dataset.load_balancing) as LoadBalancing,
    })),
    createdAtNs: BigInt(json.created_at_ns),
  };
}

export function statsOf(json: StatsJson): DistributionStats {
  return {
    tenants: json.tenants.map(({ tenant_id }) => ({ tenantId: tenant_id })),
    datasets: json.datasets.map(({ std_dev, ...rest }) => ({ ...rest, stdDev: std_dev })),
    shards: json.shards,
    createdAtNs: BigInt(json.created_at_ns),
  };
}

/** Null when they are the same; else both, to be looked at. */
export function difference(expected: unknown, actual: unknown): string | null {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_key, item: unknown) =>
      typeof item === "bigint" ? item.toString() : item,
    );
  const [wanted, got] = [text(sortedMembers(expected)), text(sortedMembers(actual))];
  return wanted === got ? null : `expected ${wanted}\ngot      ${got}`;
}

function sortedMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedMembers);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sortedMembers(member)]));
}
