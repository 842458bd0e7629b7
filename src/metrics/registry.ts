/**
 * The registry of one process: what this thread counts, what other threads have told it, and the exposition.
 *
 *   main thread    add / set / observe ---+
 *   other threads  merge(increase) -------+--> expose(): text, without asking any thread
 *
 * Other threads keep plain numbers and tell by message what they counted since they last said so; what was merged
 * stays when a thread dies, since a counter that shrinks reads as a restart of the process. The only importer of
 * prom-client, which renders the text and brings the usual process_* and nodejs_* metrics.
 */
import { collectDefaultMetrics, Registry } from "prom-client";
import { assert, type Logger, SILENT_LOGGER } from "../base/index.ts";
import { type ExposedValue, MetricFamily } from "./family.ts";
import type { Labels, MetricSpec, ThreadSeries } from "./types.ts";

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

  /**
   * Adds what another thread counted since it last said so. A shape that does not fit the declaration, or a name that
   * is not declared, is dropped and counted: a thread of another mind must not spoil the scrape.
   */
  merge(increase: ThreadSeries): void {
    const family = this.#own.get(increase.name);
    if (family === undefined) this.#drop("unknown_metric");
    else if (!family.merge(increase)) this.#drop("bad_shape");
  }

  /** Forgets every series of a gauge, before its label values are set anew. */
  clear(name: string): void {
    this.#family(name).clear();
  }

  /** Runs before each scrape. A callback that throws is logged and skipped: the rest is still exposed. */
  onCollect(callback: CollectCallback): void {
    this.#callbacks.push(callback);
  }

  /** All metrics as Prometheus text. Never rejects. Cost: proportional to the series; no thread is asked. */
  async expose(): Promise<Exposition> {
    for (const callback of this.#callbacks) {
      try {
        callback();
      } catch (error) {
        this.#logger.warn("metric collection failed", { error: String(error) });
      }
    }
    const registry = new Registry();
    for (const family of this.#own.values()) registry.registerMetric(asMetric(family));
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
