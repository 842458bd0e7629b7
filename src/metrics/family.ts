/** One metric with its series, in plain numbers; series of other threads are added to them. */
import { assert } from "../base/index.ts";
import type { Labels, MetricSpec, ThreadSeries } from "./types.ts";

/** More series than this in one metric mean that a label is not a closed set; new ones are dropped and counted. */
export const SERIES_MAX_COUNT = 2_000;

interface Series {
  readonly labels: Labels;
  value: number;
  /** Observations per bucket, the last one infinity; null for counters and gauges. */
  readonly buckets: Float64Array | null;
}

/** A line of the exposition: a suffix of the name, all labels, the value. */
export interface ExposedValue {
  readonly metricName: string;
  readonly labels: Record<string, string | number>;
  readonly value: number;
}

const NO_LABELS: Labels = {};

export class MetricFamily {
  readonly spec: MetricSpec;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor(spec: MetricSpec) {
    this.spec = spec;
    this.#bounds = spec.buckets ?? [];
    assert(
      (spec.kind === "histogram") === this.#bounds.length > 0,
      `Metric ${spec.name}: buckets belong to histograms, and every histogram has some`,
    );
  }

  /** Adds to a counter or sets a gauge; false when the label set is one too many. */
  add(labels: Labels | undefined, amount: number): boolean {
    const series = this.#seriesOf(labels);
    if (series === null) return false;
    series.value += amount;
    return true;
  }

  set(labels: Labels | undefined, value: number): boolean {
    const series = this.#seriesOf(labels);
    if (series === null) return false;
    series.value = value;
    return true;
  }

  observe(labels: Labels | undefined, value: number): boolean {
    const series = this.#seriesOf(labels);
    if (series === null || series.buckets === null) return false;
    const slot = this.#slotOf(value);
    series.buckets[slot] = (series.buckets[slot] ?? 0) + 1;
    series.value += value;
    return true;
  }

  /** Adds a thread's series to this one; false for a shape that does not fit the declaration. */
  merge(incoming: ThreadSeries): boolean {
    if ("value" in incoming) {
      if (this.spec.kind === "histogram" || !Number.isFinite(incoming.value)) return false;
      return this.add(incoming.labels, incoming.value);
    }
    if (incoming.buckets.length !== this.#bounds.length + 1) return false;
    const series = this.#seriesOf(incoming.labels);
    if (series === null || series.buckets === null) return false;
    for (let i = 0; i < incoming.buckets.length; i++) {
      series.buckets[i] = (series.buckets[i] ?? 0) + (incoming.buckets[i] ?? 0);
    }
    series.value += incoming.sum;
    return true;
  }

  /** Removes every series: a gauge whose label values come and go is set anew at each scrape. */
  clear(): void {
    this.#series.clear();
  }

  expose(): ExposedValue[] {
    const lines: ExposedValue[] = [];
    for (const series of this.#series.values()) {
      if (series.buckets === null) {
        lines.push({
          metricName: this.spec.name,
          labels: { ...series.labels },
          value: series.value,
        });
      } else {
        this.#exposeHistogram(series.labels, series.buckets, series.value, lines);
      }
    }
    return lines;
  }

  #exposeHistogram(
    labels: Labels,
    buckets: Float64Array,
    sum: number,
    lines: ExposedValue[],
  ): void {
    const { name } = this.spec;
    let cumulative = 0;
    for (let i = 0; i < buckets.length; i++) {
      cumulative += buckets[i] ?? 0;
      const bound = this.#bounds[i] ?? "+Inf";
      lines.push({
        metricName: `${name}_bucket`,
        labels: { ...labels, le: bound },
        value: cumulative,
      });
    }
    lines.push({ metricName: `${name}_sum`, labels: { ...labels }, value: sum });
    lines.push({ metricName: `${name}_count`, labels: { ...labels }, value: cumulative });
  }

  /** First bound that is not below the value: Prometheus buckets include their upper bound. */
  #slotOf(value: number): number {
    let slot = 0;
    while (slot < this.#bounds.length && value > (this.#bounds[slot] as number)) slot++;
    return slot;
  }

  #seriesOf(labels: Labels | undefined): Series | null {
    const key = this.#keyOf(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= SERIES_MAX_COUNT) return null;
    const ordered = this.spec.labels === undefined ? NO_LABELS : this.#ordered(labels);
    const buckets =
      this.spec.kind === "histogram" ? new Float64Array(this.#bounds.length + 1) : null;
    const series: Series = { labels: ordered, value: 0, buckets };
    this.#series.set(key, series);
    return series;
  }

  #keyOf(labels: Labels | undefined): string {
    const names = this.spec.labels;
    if (names === undefined) return "";
    let key = "";
    for (const name of names) key += `${labels?.[name] ?? ""}\u0000`;
    return key;
  }

  /** Only declared labels are kept, in the declared order: two threads cannot make two series of one. */
  #ordered(labels: Labels | undefined): Labels {
    const ordered: Record<string, string> = {};
    for (const name of this.spec.labels ?? []) ordered[name] = String(labels?.[name] ?? "");
    return ordered;
  }
}
