/** What a distributor makes of the rules: the effective placement of a dataset, with a rule or without one. */

import {
  type DatasetPlacement,
  LOAD_BALANCING,
  type PlacementRules,
} from "../../protocol/index.ts";
import type { PlacementLimits } from "./limits.ts";

export interface EffectivePlacement {
  /** 0: no limit. */
  readonly tenantShards: number;
  readonly datasetShards: number;
  readonly strategy: "fingerprint" | "round-robin";
}

type PolicyLimits = Pick<
  PlacementLimits,
  "tenantShards" | "defaultDatasetShards" | "loadBalancing"
>;

export class PlacementPolicies {
  readonly #rules = new Map<string, Map<string, DatasetPlacement>>();
  readonly #limitsOf: (tenant: string) => PolicyLimits;

  /** Of several rules for one dataset the last one counts. */
  constructor(rules: PlacementRules | null, limitsOf: (tenant: string) => PolicyLimits) {
    this.#limitsOf = limitsOf;
    for (const dataset of rules?.datasets ?? []) {
      const tenantId = rules?.tenants[dataset.tenant]?.tenantId;
      if (tenantId === undefined) continue;
      const datasets = this.#rules.get(tenantId) ?? new Map<string, DatasetPlacement>();
      datasets.set(dataset.name, dataset);
      this.#rules.set(tenantId, datasets);
    }
  }

  of(tenant: string, dataset: string): EffectivePlacement {
    const rule = this.#rules.get(tenant)?.get(dataset);
    if (rule !== undefined) {
      const isRoundRobin = rule.loadBalancing === LOAD_BALANCING.roundRobin;
      return {
        tenantShards: rule.tenantShardLimit,
        datasetShards: rule.datasetShardLimit,
        strategy: isRoundRobin ? "round-robin" : "fingerprint",
      };
    }
    const { tenantShards, defaultDatasetShards, loadBalancing } = this.#limitsOf(tenant);
    return {
      tenantShards,
      datasetShards: defaultDatasetShards,
      strategy: loadBalancing === "round-robin" ? "round-robin" : "fingerprint",
    };
  }
}

/** Shards that a dataset is really spread over: its own limit below that of its tenant, at least one; 0 is no limit. */
export function shardsOf({ tenantShards, datasetShards }: EffectivePlacement): number {
  const own = Math.max(1, datasetShards);
  return tenantShards === 0 ? own : Math.min(tenantShards, own);
}

/**
 * Share of the keys that go to another shard when a placement takes the place of another, 0 to 1. By fingerprint a key
 * stays when its remainder is the same, which of every lcm(a, b) fingerprints min(a, b) do. In turn, any shard may be next.
 */
export function movedShare(from: EffectivePlacement, to: EffectivePlacement): number {
  const [before, after] = [shardsOf(from), shardsOf(to)];
  if (from.strategy === to.strategy && before === after) return 0;
  if (from.strategy === "fingerprint" && to.strategy === "fingerprint")
    return 1 - (Math.min(before, after) * gcd(before, after)) / (before * after);
  return 1 - Math.min(before, after) / (before * after);
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
