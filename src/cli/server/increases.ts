/** Totals that engines keep, as counters of the registry. */
import type { MetricRegistry, Tally } from "../../metrics/index.ts";

/** Adds what a total has grown by since the last scrape, so that it stays a counter of the registry. */
export class Increases {
  readonly #metrics: MetricRegistry;
  readonly #totals = new Map<string, number>();

  constructor(metrics: MetricRegistry) {
    this.#metrics = metrics;
  }

  /** Adds what an engine has counted in a histogram since the last scrape. */
  takeTally(name: string, tally: Tally, labels?: Readonly<Record<string, string>>): void {
    this.#metrics.merge({ name, ...(labels === undefined ? {} : { labels }), ...tally.take() });
  }

  take(name: string, total: number, labels?: Readonly<Record<string, string>>): void {
    const key = `${name}${JSON.stringify(labels ?? {})}`;
    const before = this.#totals.get(key) ?? 0;
    this.#totals.set(key, total);
    if (total > before) this.#metrics.add(name, labels, total - before);
  }
}
