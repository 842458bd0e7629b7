/** The limits of tenants, as values that other modules compute with. */
import { assert } from "../base/index.ts";
import { LIMIT_SETTINGS, type LimitName } from "./settings-limits.ts";
import type { SettingValue } from "./types.ts";

export interface TenantLimits {
  /** 0: keep for ever. */
  readonly retentionPeriodMs: number;
  readonly placement: PlacementLimits;
}

/** Limits of the allocator of shards (spec retention-dlq-placement, C1 and C5). */
export interface PlacementLimits {
  /** 0: no limit. The larger one of the tenant's own and the distributor's shard size. */
  readonly tenantShards: number;
  readonly defaultDatasetShards: number;
  readonly loadBalancing: "dynamic" | "fingerprint" | "round-robin";
  readonly minDatasetShards: number;
  /** Wins over the minimum. */
  readonly maxDatasetShards: number;
  /** Bytes per second that one shard should take; at least 1. */
  readonly unitBytesPerSec: number;
  readonly burstWindowMs: number;
  readonly decayWindowMs: number;
}

/** Limits by the name of their setting; those of one tenant hold only what its entry names. */
export type LimitValues = ReadonlyMap<LimitName, SettingValue>;

/** The global limits among all effective values. */
export function globalLimitValues(values: ReadonlyMap<string, SettingValue>): LimitValues {
  return new Map(
    LIMIT_SETTINGS.map(({ name, default: value }) => [name, values.get(name) ?? value]),
  );
}

/** Limits with a tenant's own ones on top of the global ones. Every limit must be in one of both. */
export function buildLimits(own: LimitValues, global: LimitValues): TenantLimits {
  const read = (name: LimitName): SettingValue => {
    const value = own.get(name) ?? global.get(name);
    assert(value !== undefined, `Limit ${name} has no value`);
    return value;
  };
  const number = (name: LimitName): number => Number(read(name));
  return {
    retentionPeriodMs: number("retention-period"),
    placement: {
      tenantShards: Math.max(
        number("adaptive-placement.tenant-shards"),
        number("distributor.ingestion-tenant-shard-size"),
      ),
      defaultDatasetShards: number("adaptive-placement.default-dataset-shards"),
      loadBalancing: read("adaptive-placement.load-balancing") as PlacementLimits["loadBalancing"],
      minDatasetShards: number("adaptive-placement.min-dataset-shards"),
      maxDatasetShards: number("adaptive-placement.max-dataset-shards"),
      unitBytesPerSec: number("adaptive-placement.unit-size-bytes"),
      burstWindowMs: number("adaptive-placement.burst-window"),
      decayWindowMs: number("adaptive-placement.decay-window"),
    },
  };
}
