/**
 * From the counters that reader threads send to the metrics of the node. Polled in the background, so that a scrape
 * waits for no thread and a thread that died only stops counting.
 *
 * What the threads report are totals since each thread started. Their sum is compared with the last one, and the
 * increase is counted; so a thread that starts anew, and reports less, costs a few counts and never invents any. A poll
 * in which a thread did not answer changes no counter: without it the sum says nothing.
 */
import { errorCodeFromNumber, type Logger } from "../../base/index.ts";
import {
  type Labels,
  type MetricRegistry,
  REQUEST_SECONDS_BUCKETS,
  type ThreadSeries,
} from "../../metrics/index.ts";
import {
  type ReaderMetrics,
  REQUEST_DURATION_BUCKETS_SECONDS,
  type RequestDuration,
} from "../../server/index.ts";

/** A scrape is a few seconds old at most; shorter polls would only cost the threads time. */
const POLL_INTERVAL_MS = 2_000;

/** Routes of the reference, by the names of our operations; others keep theirs. */
const ROUTES: Readonly<Record<string, string>> = {
  add_block: "/metastore.v1.IndexService/AddBlock",
  add_blocks: "/metastore.v1.IndexService/AddBlocks",
  get_block_metadata: "/metastore.v1.IndexService/GetBlockMetadata",
  query_metadata: "/metastore.v1.MetadataQueryService/QueryMetadata",
  query_metadata_labels: "/metastore.v1.MetadataQueryService/QueryMetadataLabels",
  get_tenants: "/metastore.v1.TenantService/GetTenants",
  get_tenant: "/metastore.v1.TenantService/GetTenant",
  delete_tenant: "/metastore.v1.TenantService/DeleteTenant",
  read_index: "/raft_node.RaftNodeService/ReadIndex",
  node_info: "/raft_node.RaftNodeService/NodeInfo",
};

export interface ReaderMetricsModules {
  readonly metrics: MetricRegistry;
  readonly logger: Logger;
  readonly poll: () => Promise<readonly ReaderMetrics[]>;
  /** Threads that should answer. */
  readonly readerCount: number;
}

export class ReaderMetricsPoller {
  readonly #modules: ReaderMetricsModules;
  readonly #timer: NodeJS.Timeout;
  readonly #totals = new Map<string, number>();
  #isPolling = false;
  #connectionCount = 0;

  constructor(modules: ReaderMetricsModules) {
    this.#modules = modules;
    this.#timer = setInterval(() => void this.poll(), POLL_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Open connections over all readers, as of the last poll. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Takes over the newest numbers. Never rejects. */
  async poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    try {
      this.#take(await this.#modules.poll());
    } catch (error) {
      this.#modules.logger.warn("reader metrics failed", { reason: String(error) });
    } finally {
      this.#isPolling = false;
    }
  }

  #take(readers: readonly ReaderMetrics[]): void {
    const { metrics } = this.#modules;
    const protocol = "websocket";
    this.#connectionCount = sum(readers, (reader) => reader.connections);
    metrics.set("hearth_connections", this.#connectionCount, { protocol });
    metrics.set(
      "hearth_waiting_reads",
      sum(readers, (reader) => reader.waitingReads),
    );
    metrics.set(
      "hearth_pending_write_bytes",
      sum(readers, (reader) => reader.pendingWriteBytes),
    );
    metrics.set(
      "hearth_queued_answer_bytes",
      sum(readers, (reader) => reader.queuedAnswerBytes),
    );
    if (readers.length === this.#modules.readerCount) this.#takeCounters(readers, protocol);
  }

  #takeCounters(readers: readonly ReaderMetrics[], protocol: string): void {
    const counted: readonly (readonly [name: string, labels: Labels, total: number])[] = [
      [
        "hearth_connections_opened_total",
        { protocol },
        sum(readers, (reader) => reader.connectionsOpened),
      ],
      [
        "hearth_request_bytes_total",
        { protocol, direction: "in" },
        sum(readers, (reader) => reader.receivedBytes),
      ],
      [
        "hearth_request_bytes_total",
        { protocol, direction: "out" },
        sum(readers, (reader) => reader.sentBytes),
      ],
      ["hearth_write_batches_total", {}, sum(readers, (reader) => reader.writeBatches)],
      ...rejections(readers, protocol),
      ...requests(readers, protocol),
      ...engineCounters(readers),
    ];
    for (const [name, labels, total] of counted) this.#addDifference(name, labels, total);
    this.#addDurations(readers);
  }

  #addDurations(readers: readonly ReaderMetrics[]): void {
    const series = new Map<string, { buckets: number[]; sum: number; labels: Labels }>();
    for (const duration of readers.flatMap((reader) => reader.durations)) {
      const labels = durationLabels(duration);
      const key = JSON.stringify(labels);
      const known = series.get(key) ?? {
        buckets: new Array<number>(REQUEST_SECONDS_BUCKETS.length + 1).fill(0),
        sum: 0,
        labels,
      };
      addBuckets(known.buckets, duration.buckets);
      known.sum += duration.sumSeconds;
      series.set(key, known);
    }
    for (const { labels, buckets, sum: total } of series.values()) {
      const name = "pyroscope_request_duration_seconds";
      const key = `${name}${JSON.stringify(labels)}`;
      const increase: ThreadSeries = {
        name,
        labels,
        buckets: buckets.map((count, i) => this.#difference(`${key}#${i}`, count)),
        sum: this.#difference(`${key}#sum`, total),
      };
      this.#modules.metrics.merge(increase);
    }
  }

  #addDifference(name: string, labels: Labels, total: number): void {
    const difference = this.#difference(`${name}${JSON.stringify(labels)}`, total);
    if (difference > 0) this.#modules.metrics.add(name, labels, difference);
  }

  /** What came since the last complete poll. */
  #difference(key: string, total: number): number {
    const before = this.#totals.get(key) ?? 0;
    this.#totals.set(key, total);
    return Math.max(0, total - before);
  }
}

function durationLabels(duration: RequestDuration): Labels {
  const route = ROUTES[duration.route] ?? duration.route;
  return { method: "WebSocket", route, status_code: duration.outcome, ws: "true" };
}

/** Fine buckets into the reference's: each goes where all of it fits. */
function addBuckets(target: number[], source: readonly number[]): void {
  for (const [i, count] of source.entries()) {
    const bound = REQUEST_DURATION_BUCKETS_SECONDS[i];
    const slot =
      bound === undefined ? -1 : REQUEST_SECONDS_BUCKETS.findIndex((wanted) => wanted >= bound);
    const at = slot < 0 ? target.length - 1 : slot;
    target[at] = (target[at] ?? 0) + count;
  }
}

type Counted = readonly [name: string, labels: Labels, total: number];

function rejections(readers: readonly ReaderMetrics[], protocol: string): Counted[] {
  const totals = sumRecords(readers.map((reader) => reader.rejected));
  return Object.entries(totals).map(([reason, total]) => [
    "hearth_requests_rejected_total",
    { protocol, reason },
    total,
  ]);
}

function requests(readers: readonly ReaderMetrics[], protocol: string): Counted[] {
  const totals: Record<string, number> = {};
  for (const { route, code, count } of readers.flatMap((reader) => reader.requests)) {
    const key = `${route} ${code}`;
    totals[key] = (totals[key] ?? 0) + count;
  }
  return Object.entries(totals).map(([key, total]) => {
    const [route = "", code = "0"] = key.split(" ");
    const name = code === "0" ? "ok" : errorCodeFromNumber(Number(code));
    return ["hearth_requests_total", { protocol, route, code: name }, total];
  });
}

/** The engine's own counters: a closed set of names, each a label value. */
function engineCounters(readers: readonly ReaderMetrics[]): Counted[] {
  const totals = sumRecords(readers.map((reader) => reader.engine));
  return Object.entries(totals).map(([what, total]) => [
    "hearth_query_engine_total",
    { what },
    total,
  ]);
}

function sumRecords(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const record of records) {
    for (const [name, value] of Object.entries(record)) totals[name] = (totals[name] ?? 0) + value;
  }
  return totals;
}

function sum(readers: readonly ReaderMetrics[], of: (reader: ReaderMetrics) => number): number {
  return readers.reduce((total, reader) => total + of(reader), 0);
}
