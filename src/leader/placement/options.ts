/** Settings of the placement. */

import type { DeviationChoice } from "./ruler.ts";

const MINUTE_MS = 60_000;

export interface PlacementOptions {
  /** Between two cycles, and how often distributors look; 0: no placement. */
  readonly updateIntervalMs: number;
  /** Rules of datasets without fresh statistics are dropped after this. */
  readonly rulesRetentionMs: number;
  /** Nothing is published for this long after becoming leader. */
  readonly confidenceMs: number;
  /** Half-life of the rates. */
  readonly aggregationWindowMs: number;
  /** Rates that were not updated are dropped after this. */
  readonly statisticsRetentionMs: number;
  /** By which standard deviation uneven datasets are found. */
  readonly deviation: DeviationChoice;
}

export const PLACEMENT_DEFAULTS: PlacementOptions = {
  updateIntervalMs: 15_000,
  rulesRetentionMs: 15 * MINUTE_MS,
  confidenceMs: 0,
  aggregationWindowMs: 3 * MINUTE_MS,
  statisticsRetentionMs: 15 * MINUTE_MS,
  deviation: "smoothed",
};
