/**
 * Metrics as data: what a metric is, and how a thread hands its numbers over.
 *
 * Any module may declare a `MetricSpec`; only this folder knows how they are exposed. Threads keep plain numbers and
 * send them by message, so that a hot path is an addition into a typed array and a scrape never waits for a thread.
 */

export interface MetricSpec {
  readonly kind: "counter" | "gauge" | "histogram";
  /** `prefix_area_what_unit`; `_total` on counters. */
  readonly name: string;
  /** One sentence on what it counts and when it moves. */
  readonly help: string;
  /** Names of a small closed set of labels. */
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram, ascending, without infinity. */
  readonly buckets?: readonly number[];
}

export type Labels = Readonly<Record<string, string>>;

/** What a thread counted in one series since it last said so. */
export type ThreadSeries =
  | { readonly name: string; readonly labels?: Labels; readonly value: number }
  | {
      readonly name: string;
      readonly labels?: Labels;
      /** Observations per bucket, not cumulative; one more than the bounds, the last one is infinity. */
      readonly buckets: ArrayLike<number>;
      readonly sum: number;
    };

/** Prometheus' own default: from 5 ms to 10 s. */
export const DEFAULT_SECONDS_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

/** Buckets of `pyroscope_request_duration_seconds` in the reference. */
export const REQUEST_SECONDS_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100,
] as const;

/** Buckets of the reference's body sizes: from 1 MiB to 250 MiB. */
export const REQUEST_SIZE_BUCKETS = [1, 2.5, 5, 10, 25, 50, 100, 250].map(
  (mebibytes) => mebibytes * 1024 * 1024,
);

/** From 50 us to 3 s in steps of about 2: local disk writes and in-process work, which the default would put in one bucket. */
export const FINE_SECONDS_BUCKETS = [
  0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 3,
] as const;

/** Counts from one to a million, a factor of four apart. */
export const COUNT_BUCKETS = [
  1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576,
] as const;
