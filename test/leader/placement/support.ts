/** Small statistics and limits for the tests of the placement. */

import { PLACEMENT_LIMIT_DEFAULTS, type PlacementLimits } from "../../../src/leader/index.ts";
import type { DistributionStats } from "../../../src/protocol/index.ts";

export const SECOND_NS = 1e9;
export const MINUTE_NS = 60 * SECOND_NS;

export function limits(changes: Partial<PlacementLimits> = {}): PlacementLimits {
  return { ...PLACEMENT_LIMIT_DEFAULTS, ...changes };
}

/** Statistics of one tenant `acme`: for each dataset its usage by shard, shards 1 and up of one owner. */
export function statsOfAcme(
  usage: Readonly<Record<string, readonly number[]>>,
  createdAtNs: number,
): DistributionStats {
  const shardCount = Math.max(0, ...Object.values(usage).map((values) => values.length));
  return {
    tenants: [{ tenantId: "acme" }],
    datasets: Object.entries(usage).map(([name, values]) => ({
      tenant: 0,
      name,
      shards: values.map((_value, i) => i),
      usage: values,
      stdDev: 0,
    })),
    shards: Array.from({ length: shardCount }, (_, i) => ({ id: i + 1, owner: "writer-0" })),
    createdAtNs: BigInt(createdAtNs),
  };
}
