/**
 * The registry of one process: what this thread counts, what the other threads have sent, and the exposition.
 *
 *   main thread   add / set / observe ------------------+
 *   thread A      snapshot (by message, latest wins) ---+--> expose(): own + live threads + retired threads
 *   thread B      snapshot ---------------------------- +
 *
 * A thread that dies must not take its counts with it: a counter that shrinks reads as a restart of the process. So
 * its last counters and histograms are kept as "retired"; its gauges go. The only importer of prom-client, which
 * renders the text and brings the usual process_* and nodejs_* metrics.
 */
import { collectDefaultMetrics, Registry } from "prom-client";
import { assert, type Logger, SILENT_LOGGER } from "../base/index.ts";
import { type ExposedValue, MetricFamily } from "./family.ts";
import type { Labels, MetricSpec, ThreadSeries, ThreadSnapshot } from "./types.ts";

export interface MetricRegistryOptions {
  /** process_* and nodejs_*; off in tests, since they install observers for the life of the process. */
  readonly hasDefaultMetrics: boolean;
}

export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

/** Sets gauges that are cheaper to read at a scrape than to keep. Must be quick and must not wait. */
export type CollectCallback = () => void;

/** What the registry counts about itself. */
const SELF_METRICS: readonly MetricSpec[] = [
  {
    kind: "counter",
    name: "hearth_metrics_dropped_total",
    help: "Numbers that could not be exposed, by reason; moves when a thread sends an unknown metric or a label set is one too many.",
    labels: ["reason"],
  },
];

export class MetricRegistry {
  readonly #own = new Map<string, MetricFamily>();
  readonly #retired = new Map<string, MetricFamily>();
  readonly #threads = new Map<string, ThreadSnapshot>();
  readonly #callbacks: CollectCallback[] = [];
  readonly #defaults: Registry;
  readonly #logger: Logger;

  constructor(
    options: MetricRegistryOptions,
    modules: { readonly specs: readonly MetricSpec[]; readonly logger?: Logger },
  ) {
    this.#logger = modules.logger ?? SILENT_LOGGER;
    for (const spec of [...modules.specs, ...SELF_METRICS]) this.#declare(spec);
    this.#defaults = new Registry();
    if (options.hasDefaultMetrics) collectDefaultMetrics({ register: this.#defaults });
  }

  #declare(spec: MetricSpec): void {
    assert(!this.#own.has(spec.name), `Metric ${spec.name} is declared twice`);
    this.#own.set(spec.name, new MetricFamily(spec));
  }

  /** Adds to a counter (or moves a gauge) of this thread. An undeclared name is a bug. */
  add(name: string, labels?: Labels, amount = 1): void {
    this.#count(this.#family(name).add(labels, amount));
  }

  set(name: string, value: number, labels?: Labels): void {
    this.#count(this.#family(name).set(labels, value));
  }

  observe(name: string, value: number, labels?: Labels): void {
    this.#count(this.#family(name).observe(labels, value));
  }

  /** Adds what another thread counted since it last said so. */
  merge(increase: ThreadSeries): void {
    if (!this.#family(increase.name).merge(increase)) this.#drop("bad_shape");
  }

  /** Forgets every series of a gauge, before its label values are set anew. */
  clear(name: string): void {
    this.#family(name).clear();
  }

  /** Runs before each scrape. A callback that throws is logged and skipped: the rest is still exposed. */
  onCollect(callback: CollectCallback): void {
    this.#callbacks.push(callback);
  }

  /** Takes over the newest numbers of a thread; they replace the ones before. */
  acceptThread(thread: string, snapshot: ThreadSnapshot): void {
    this.#threads.set(thread, snapshot);
  }

  /** The thread has ended: keeps what it counted, forgets what it measured. Repeating it is harmless. */
  retireThread(thread: string): void {
    const snapshot = this.#threads.get(thread);
    if (snapshot === undefined) return;
    this.#threads.delete(thread);
    this.#mergeInto(this.#retired, snapshot, false);
  }

  /** All metrics as Prometheus text. Never rejects. Cost: proportional to the series, no thread is asked. */
  async expose(): Promise<Exposition> {
    for (const callback of this.#callbacks) {
      try {
        callback();
      } catch (error) {
        this.#logger.warn("metric collection failed", { error: String(error) });
      }
    }
    const registry = new Registry();
    for (const family of this.#merged().values()) registry.registerMetric(asMetric(family));
    const parts = [await registry.metrics(), await this.#exposeDefaults()];
    return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, body: parts.join("\n") };
  }

  async #exposeDefaults(): Promise<string> {
    try {
      return await this.#defaults.metrics();
    } catch (error) {
      this.#logger.warn("process metrics failed", { error: String(error) });
      return "";
    }
  }

  #merged(): Map<string, MetricFamily> {
    const merged = new Map<string, MetricFamily>();
    for (const [name, family] of this.#own) {
      const total = new MetricFamily(family.spec);
      total.mergeFamily(family);
      const retired = this.#retired.get(name);
      if (retired !== undefined) total.mergeFamily(retired);
      merged.set(name, total);
    }
    for (const snapshot of this.#threads.values()) this.#mergeInto(merged, snapshot, true);
    return merged;
  }

  /** Malformed series are dropped one by one: a thread of another mind must not spoil the scrape. */
  #mergeInto(
    target: Map<string, MetricFamily>,
    snapshot: ThreadSnapshot,
    withGauges: boolean,
  ): void {
    for (const series of snapshot.series) {
      const spec = this.#own.get(series.name)?.spec;
      if (spec === undefined) {
        this.#drop("unknown_metric");
        continue;
      }
      if (spec.kind === "gauge" && !withGauges) continue;
      let family = target.get(series.name);
      if (family === undefined) {
        family = new MetricFamily(spec);
        target.set(series.name, family);
      }
      if (!family.merge(series)) this.#drop("bad_shape");
    }
  }

  #family(name: string): MetricFamily {
    const family = this.#own.get(name);
    assert(family !== undefined, `Metric ${name} is not declared`);
    return family;
  }

  #count(isCounted: boolean): void {
    if (!isCounted) this.#drop("too_many_series");
  }

  #drop(reason: string): void {
    this.#family("hearth_metrics_dropped_total").add({ reason }, 1);
  }
}

/** What prom-client asks of a metric; its own classes cannot take merged buckets. */
function asMetric(family: MetricFamily): Parameters<Registry["registerMetric"]>[0] {
  const { name, help, kind } = family.spec;
  const values: ExposedValue[] = family.expose();
  const metric = { name, get: async () => ({ name, help, type: kind, values }) };
  return metric as unknown as Parameters<Registry["registerMetric"]>[0];
}
