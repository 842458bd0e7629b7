/** What a tenant may use, and how its datasets grow and shrink. */

/** Configured choice of how keys are spread; `dynamic` decides by the load. */
export const BALANCING_CHOICES = ["fingerprint", "round-robin", "dynamic"] as const;

export type BalancingChoice = (typeof BALANCING_CHOICES)[number];

export interface PlacementLimits {
  /** Most shards of the tenant; 0: no limit. */
  readonly tenantShards: number;
  /** Shards of a dataset that has no rule. */
  readonly defaultDatasetShards: number;
  readonly loadBalancing: BalancingChoice;
  readonly minDatasetShards: number;
  /** At least 1; wins over the minimum. */
  readonly maxDatasetShards: number;
  /** Bytes per second that one shard should take; at least 1. */
  readonly unitSizeBytes: number;
  /** Within this time after an increase, the next one overshoots. */
  readonly burstWindowNs: number;
  /** A level that was reached is kept for one to two of these. */
  readonly decayWindowNs: number;
}

const MINUTE_NS = 60e9;

export const PLACEMENT_LIMIT_DEFAULTS: PlacementLimits = {
  tenantShards: 0,
  defaultDatasetShards: 1,
  loadBalancing: "dynamic",
  minDatasetShards: 1,
  maxDatasetShards: 1_024,
  unitSizeBytes: 128 * 1024,
  burstWindowNs: 17 * MINUTE_NS,
  decayWindowNs: 19 * MINUTE_NS,
};

/** Bounds of the placement itself. */
export const PLACEMENT_BOUNDS = {
  /** Rates kept: a dataset that is spread over 8 shards has 8. 400,000 take about 60 MB of the placement's own thread. */
  ratesMaxCount: 400_000,
  /** Rules that stand without statistics, pins included. */
  rulesMaxCount: 200_000,
  /** Pins are made by hand. */
  pinsMaxCount: 1_000,
  /** Shards that one dataset can be pinned to. */
  pinShardsMax: 65_536,
} as const;
