/** What the manager and the thread of the placement say to each other. Plain data only. */

import type { LoadBalancing } from "../../protocol/index.ts";
import type { PlacementLimits } from "./limits.ts";
import type { Pin } from "./pins.ts";
import type { EffectivePlacement } from "./policy.ts";
import type { DeviationChoice } from "./ruler.ts";

/** What does not change while the process runs. */
export interface EngineOptions {
  readonly halfLifeNs: number;
  readonly statisticsRetentionNs: number;
  readonly rulesRetentionNs: number;
  readonly deviation: DeviationChoice;
}

/** Limits of all tenants: those without an entry of their own have the global ones. */
export interface LimitTable {
  readonly global: PlacementLimits;
  readonly own: readonly (readonly [tenant: string, limits: PlacementLimits])[];
}

/** The objects of the placement as they lie in the bucket; null: there is none. */
export interface PlacementObjects {
  readonly rules: Uint8Array | null;
  readonly stats: Uint8Array | null;
  readonly pins: Uint8Array | null;
}

export type PlacementRequest =
  /** Begins an office: the rules come from the bucket, rates that were measured here stay. */
  | {
      readonly kind: "load";
      readonly term: number;
      readonly nowMs: number;
      readonly options: EngineOptions;
      readonly objects: PlacementObjects;
    }
  /** Entries of the log, back to back; each counts `weight` times. */
  | {
      readonly kind: "samples";
      readonly nowMs: number;
      readonly weight: number;
      readonly body: Uint8Array;
    }
  | {
      readonly kind: "cycle";
      readonly term: number;
      readonly nowMs: number;
      readonly limits: LimitTable;
      readonly pins: readonly Pin[];
      /** Rules in the bucket now: those to be written may not be older. */
      readonly stored: Uint8Array | null;
      /** How many datasets the summary names. */
      readonly topMaxCount: number;
    }
  /** What the rules would be with these pins; changes nothing. */
  | {
      readonly kind: "preview";
      readonly term: number;
      readonly nowMs: number;
      readonly limits: LimitTable;
      readonly pins: readonly Pin[];
      readonly filter: PlacementFilter;
    }
  /** Objects as rows; needs no office. */
  | {
      readonly kind: "view";
      readonly objects: PlacementObjects;
      readonly filter: PlacementFilter;
    };

export type PlacementReply =
  | { readonly kind: "loaded"; readonly problems: readonly string[] }
  | { readonly kind: "taken" }
  /** The thread has not loaded this term: it is new. */
  | { readonly kind: "unloaded" }
  | { readonly kind: "cycled"; readonly cycle: PlacementCycle }
  /** Null: no cycle of this office has ended yet. */
  | { readonly kind: "previewed"; readonly preview: PlacementPreview | null }
  | { readonly kind: "viewed"; readonly view: PlacementTable };

/** An encoded object. Its first `contentBytes` are what it says, what follows is when it was made. */
export interface EncodedObject {
  readonly bytes: Uint8Array;
  readonly contentBytes: number;
}

export interface PlacementCycle {
  readonly rules: EncodedObject;
  readonly stats: EncodedObject;
  readonly summary: CycleSummary;
}

export interface CycleSummary {
  readonly rules: number;
  /** Datasets with a load. */
  readonly datasets: number;
  readonly rates: number;
  readonly bytesPerSec: number;
  /** Since the thread started. */
  readonly blocks: number;
  readonly oldBlocks: number;
  readonly badEntries: number;
  readonly refusedSamples: number;
  readonly refusedDatasets: number;
  /** The datasets with the most load. */
  readonly top: readonly DatasetSummary[];
}

export interface DatasetSummary {
  readonly tenant: string;
  readonly dataset: string;
  readonly datasetShardLimit: number;
  readonly loadBalancing: LoadBalancing;
  readonly bytesPerSec: number;
  readonly shards: readonly ShardLoad[];
}

export interface ShardLoad {
  readonly id: number;
  readonly owner: string;
  readonly bytesPerSec: number;
}

export interface PlacementFilter {
  /** Null: all. */
  readonly tenant: string | null;
  readonly dataset: string | null;
  readonly maxCount: number;
}

export interface PlacementRow {
  readonly tenant: string;
  readonly dataset: string;
  readonly placement: EffectivePlacement;
  /** Shards that it is really spread over. */
  readonly shards: number;
  readonly bytesPerSec: number;
  readonly stdDevBytesPerSec: number;
  readonly pin: Pin | null;
  /** Those that took data, the busiest first, at most SHARDS_SHOWN_MAX of them. */
  readonly load: readonly ShardLoad[];
  readonly loadedShards: number;
}

export interface PlacementTable {
  /** Unix ms; null: there is no such object. */
  readonly rulesAtMs: number | null;
  readonly statsAtMs: number | null;
  readonly problems: readonly string[];
  /** That the filter lets through; `rows` may be fewer. */
  readonly matched: number;
  readonly rules: number;
  readonly bytesPerSec: number;
  /** The busiest first. */
  readonly rows: readonly PlacementRow[];
  readonly pins: readonly Pin[];
}

export interface PlacementChange {
  readonly tenant: string;
  readonly dataset: string;
  /** Null: without a rule. */
  readonly before: EffectivePlacement | null;
  readonly after: EffectivePlacement | null;
  readonly shardsBefore: number;
  readonly shardsAfter: number;
  readonly bytesPerSec: number;
  /** Of its keys, 0 to 1. */
  readonly movedShare: number;
}

export interface PlacementPreview {
  readonly matched: number;
  readonly bytesPerSec: number;
  readonly movedBytesPerSec: number;
  /** The most moved bytes first. */
  readonly changes: readonly PlacementChange[];
}

export const SHARDS_SHOWN_MAX = 64;
