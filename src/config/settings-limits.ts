/**
 * Limits per tenant (spec retention-dlq-placement, A1 and C1): the flag and the key below `limits:` are the default of
 * all tenants, the same key below `overrides.<tenant>` of the runtime file is one tenant's.
 *
 * `LIMITS_KEY` plus the name of a limit is its YAML path; the name alone is what a runtime file calls it.
 */
import type { Setting } from "./types.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export const LIMITS_KEY = "limits.";

export const LIMIT_SETTINGS = [
  {
    name: "retention-period",
    kind: "duration",
    yaml: "limits.retention_period",
    default: 31 * 24 * HOUR_MS,
    min: 0,
    help: "How long data is kept after it was written; 0 keeps it for ever. Per tenant by the runtime file",
  },
  {
    name: "adaptive-placement.tenant-shards",
    kind: "integer",
    yaml: "limits.adaptive_placement_tenant_shards",
    default: 0,
    min: 0,
    isAdvanced: true,
    help: "Most shards of one tenant; 0 is no limit",
  },
  {
    name: "adaptive-placement.default-dataset-shards",
    kind: "integer",
    yaml: "limits.adaptive_placement_default_dataset_shards",
    default: 1,
    min: 0,
    isAdvanced: true,
    help: "Shards of a dataset that has no placement rule",
  },
  {
    name: "adaptive-placement.load-balancing",
    kind: "choice",
    choices: ["dynamic", "fingerprint", "round-robin"],
    yaml: "limits.adaptive_placement_load_balancing",
    default: "dynamic",
    isAdvanced: true,
    help: "How the series of a dataset are spread over its shards",
  },
  {
    name: "adaptive-placement.min-dataset-shards",
    kind: "integer",
    yaml: "limits.adaptive_placement_min_dataset_shards",
    default: 1,
    min: 1,
    isAdvanced: true,
    help: "Fewest shards that a placement rule gives a dataset",
  },
  {
    name: "adaptive-placement.max-dataset-shards",
    kind: "integer",
    yaml: "limits.adaptive_placement_max_dataset_shards",
    default: 1_024,
    min: 1,
    isAdvanced: true,
    help: "Most shards that a placement rule gives a dataset; it wins over the fewest",
  },
  {
    name: "adaptive-placement.unit-size-bytes",
    kind: "integer",
    yaml: "limits.adaptive_placement_unit_size_bytes",
    default: 131_072,
    min: 1,
    isAdvanced: true,
    help: "Bytes per second that one shard of a dataset should take",
  },
  {
    name: "adaptive-placement.burst-window",
    kind: "duration",
    yaml: "limits.adaptive_placement_burst_window",
    default: 17 * MINUTE_MS,
    min: 0,
    isAdvanced: true,
    help: "Growth of a dataset within this after the last growth is answered with more shards than asked for",
  },
  {
    name: "adaptive-placement.decay-window",
    kind: "duration",
    yaml: "limits.adaptive_placement_decay_window",
    default: 19 * MINUTE_MS,
    min: 0,
    isAdvanced: true,
    help: "Shards that a dataset needed stay for at least this after the window in which it last needed them",
  },
  {
    name: "distributor.ingestion-tenant-shard-size",
    kind: "integer",
    yaml: "limits.ingestion_tenant_shard_size",
    default: 0,
    min: 0,
    isAdvanced: true,
    help: "Setting of the distributor; where it is larger than the tenant's shards, it counts instead of them",
  },
] as const satisfies readonly Setting[];

export type LimitName = (typeof LIMIT_SETTINGS)[number]["name"];

const BY_KEY = new Map<string, Setting>(
  LIMIT_SETTINGS.map((setting) => [setting.yaml.slice(LIMITS_KEY.length), setting]),
);

/** The limit that a runtime file calls `key`. */
export function limitByKey(key: string): Setting | undefined {
  return BY_KEY.get(key);
}

/** What runtime files call the limits, for suggestions. */
export function limitKeys(): IterableIterator<string> {
  return BY_KEY.keys();
}

/** What a runtime file calls a limit: `retention_period`. */
export function limitKey(setting: Setting): string {
  return (setting.yaml ?? "").slice(LIMITS_KEY.length);
}
