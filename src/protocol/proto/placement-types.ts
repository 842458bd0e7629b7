/** The objects by which distributors learn over how many shards a dataset is spread (schemas/adaptive_placement.proto). */

/** How keys are spread over the shards of a dataset; the numbers are those of the wire. */
export const LOAD_BALANCING = { unspecified: 0, fingerprint: 1, roundRobin: 2 } as const;

export type LoadBalancing = (typeof LOAD_BALANCING)[keyof typeof LOAD_BALANCING];

/** What each dataset writes to each shard. */
export interface DistributionStats {
  readonly tenants: readonly TenantStats[];
  readonly datasets: readonly DatasetStats[];
  readonly shards: readonly ShardStats[];
  /** Unix ns. */
  readonly createdAtNs: bigint;
}

export interface TenantStats {
  readonly tenantId: string;
}

export interface DatasetStats {
  /** Position in `tenants`. */
  readonly tenant: number;
  readonly name: string;
  /** Positions in `shards`. */
  readonly shards: readonly number[];
  /** Bytes per second, parallel to `shards`; whole numbers below 2^53. */
  readonly usage: readonly number[];
  /** Bytes per second. */
  readonly stdDev: number;
}

export interface ShardStats {
  readonly id: number;
  /** Process that writes the blocks of the shard. */
  readonly owner: string;
}

/** Over how many shards each dataset is spread. */
export interface PlacementRules {
  readonly tenants: readonly TenantPlacement[];
  readonly datasets: readonly DatasetPlacement[];
  /** Unix ns. Readers ignore rules that are older than those they have. */
  readonly createdAtNs: bigint;
}

export interface TenantPlacement {
  readonly tenantId: string;
}

export interface DatasetPlacement {
  /** Position in `tenants`. */
  readonly tenant: number;
  readonly name: string;
  /** 0: no limit. */
  readonly tenantShardLimit: number;
  readonly datasetShardLimit: number;
  readonly loadBalancing: LoadBalancing;
}
