/**
 * Settings of the adaptive placement (spec retention-dlq-placement, C1): names and defaults of the reference, then ours. The
 * limits of tenants are in settings-limits.ts.
 */
import { PLACEMENT_DEFAULTS } from "../leader/placement/options.ts";
import type { Setting } from "./types.ts";

export const PLACEMENT_SETTINGS = [
  {
    name: "adaptive-placement.placement-rules-update-interval",
    kind: "duration",
    default: PLACEMENT_DEFAULTS.updateIntervalMs,
    min: 0,
    help: "How often the leader makes placement rules; 0: never, and distributors keep their defaults",
  },
  {
    name: "adaptive-placement.placement-rules-retention-period",
    kind: "duration",
    default: PLACEMENT_DEFAULTS.rulesRetentionMs,
    min: 1_000,
    isAdvanced: true,
    help: "Placement rules of datasets that nobody writes to any more are dropped after this",
  },
  {
    name: "adaptive-placement.stats-confidence-period",
    kind: "duration",
    default: PLACEMENT_DEFAULTS.confidenceMs,
    min: 0,
    isAdvanced: true,
    help: "A new leader publishes no placement for this long",
  },
  {
    name: "adaptive-placement.stats-aggregation-window",
    kind: "duration",
    default: PLACEMENT_DEFAULTS.aggregationWindowMs,
    min: 1_000,
    isAdvanced: true,
    help: "Half-life of the rates that the placement goes by",
  },
  {
    name: "adaptive-placement.stats-retention-period",
    kind: "duration",
    default: PLACEMENT_DEFAULTS.statisticsRetentionMs,
    min: 1_000,
    isAdvanced: true,
    help: "Rates of the placement that were not updated are dropped after this",
  },
  {
    name: "adaptive-placement.export-shard-limit-metrics",
    kind: "boolean",
    default: true,
    isAdvanced: true,
    help: "A gauge with the shards of each of the 500 busiest datasets",
  },
  {
    name: "adaptive-placement.export-shard-usage-metrics",
    kind: "boolean",
    default: false,
    isAdvanced: true,
    help: "A gauge with the load of each of the 500 busiest datasets",
  },
  {
    name: "adaptive-placement.export-shard-usage-breakdown-metrics",
    kind: "boolean",
    default: false,
    isAdvanced: true,
    help: "A gauge with the load of each shard of the busiest datasets, 2,000 series at most",
  },
  {
    name: "hearth.placement-deviation",
    kind: "choice",
    choices: ["smoothed", "published"],
    default: PLACEMENT_DEFAULTS.deviation,
    isAdvanced: true,
    help: "Standard deviation by which datasets go over to round robin: smoothed as a value, or as the reference has it and publishes it, which practically never does",
  },
] as const satisfies readonly Setting[];
