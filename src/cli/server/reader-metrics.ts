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
  DEFAULT_SECONDS_BUCKETS,
  type Labels,
  type MetricRegistry,
  REQUEST_SECONDS_BUCKETS,
  type ThreadSeries,
} from "../../metrics/index.ts";
import type { ReaderMetrics } from "../../server/index.ts";
import {
  type EdgeMetrics,
  REQUEST_DURATION_BUCKETS_SECONDS,
  type RequestDuration,
  type RequestMetrics,
} from "../../service/index.ts";

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
    const edges = edgesOf(readers);
    for (const name of protocolsOf(edges)) {
      const own = edges.filter((edge) => edge.protocol === name);
      metrics.set("hearth_connections", total(own, "connections"), { protocol: name });
      metrics.set("pyroscope_tcp_connections", total(own, "connections"), { protocol: name });
      metrics.set("hearth_in_flight_requests", total(own, "inFlight"), { protocol: name });
    }
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
    const counted: Counted[] = [
      ...traffic(readers, protocol),
      ["hearth_write_batches_total", {}, sum(readers, (reader) => reader.writeBatches)],
      ...readRounds(readers),
      ...engineCounters(readers),
    ];
    this.#addRequests(readers, (duration) => durationLabels("WebSocket", duration));
    this.#addReadWaits(readers);
    const edges = edgesOf(readers);
    for (const name of protocolsOf(edges)) {
      const own = edges.filter((edge) => edge.protocol === name);
      counted.push(...traffic(own, name));
      this.#addRequests(own, (duration) => durationLabels(METHODS[name] ?? name, duration));
    }
    for (const [name, labels, count] of counted) this.#addDifference(name, labels, count);
  }

  #addRequests(
    threads: readonly RequestMetrics[],
    labelsOf: (duration: RequestDuration) => Labels,
  ): void {
    const bounds = REQUEST_SECONDS_BUCKETS;
    const all = new Map<string, Series>();
    for (const duration of threads.flatMap((thread) => thread.durations)) {
      const labels = labelsOf(duration);
      const key = JSON.stringify(labels);
      const series = all.get(key) ?? emptySeries(labels, bounds);
      addDuration(series, duration, bounds);
      all.set(key, series);
    }
    for (const series of all.values()) {
      this.#addSeries("pyroscope_request_duration_seconds", series);
    }
  }

  /** Beside those that main observes itself. */
  #addReadWaits(readers: readonly ReaderMetrics[]): void {
    const bounds = DEFAULT_SECONDS_BUCKETS;
    const series = emptySeries({}, bounds);
    for (const { readRounds } of readers) {
      if (readRounds.waits !== null) addDuration(series, readRounds.waits, bounds);
    }
    this.#addSeries("pyroscope_metastore_raft_read_index_wait_duration_seconds", series);
  }

  #addSeries(name: string, { labels, buckets, sum: seconds }: Series): void {
    const key = `${name}${JSON.stringify(labels)}`;
    const increase: ThreadSeries = {
      name,
      labels,
      buckets: buckets.map((count, i) => this.#difference(`${key}#${i}`, count)),
      sum: this.#difference(`${key}#sum`, seconds),
    };
    this.#modules.metrics.merge(increase);
  }

  #addDifference(name: string, labels: Labels, count: number): void {
    const difference = this.#difference(`${name}${JSON.stringify(labels)}`, count);
    if (difference > 0) this.#modules.metrics.add(name, labels, difference);
  }

  /** What came since the last complete poll. */
  #difference(key: string, count: number): number {
    const before = this.#totals.get(key) ?? 0;
    this.#totals.set(key, count);
    return Math.max(0, count - before);
  }
}

/** Values of the `method` label by protocol, as the reference has them. */
const METHODS: Readonly<Record<string, string>> = { grpc: "gRPC" };

function durationLabels(method: string, duration: RequestDuration): Labels {
  const route = ROUTES[duration.route] ?? duration.route;
  const ws = String(method === "WebSocket");
  return { method, route, status_code: duration.outcome, ws };
}

function edgesOf(readers: readonly ReaderMetrics[]): EdgeMetrics[] {
  return readers.flatMap(({ edge }) => (edge === null ? [] : [edge]));
}

function protocolsOf(edges: readonly EdgeMetrics[]): Set<string> {
  return new Set(edges.map(({ protocol }) => protocol));
}

/** What threads count of one protocol. */
type Traffic = RequestMetrics &
  Pick<EdgeMetrics, "connectionsOpened" | "receivedBytes" | "sentBytes">;

function traffic(threads: readonly Traffic[], protocol: string): Counted[] {
  const bytes = "hearth_request_bytes_total";
  return [
    ["hearth_connections_opened_total", { protocol }, total(threads, "connectionsOpened")],
    [bytes, { protocol, direction: "in" }, total(threads, "receivedBytes")],
    [bytes, { protocol, direction: "out" }, total(threads, "sentBytes")],
    ...rejections(threads, protocol),
    ...requests(threads, protocol),
  ];
}

interface Series {
  readonly labels: Labels;
  /** The last is everything above the highest bound. */
  readonly buckets: number[];
  sum: number;
}

function emptySeries(labels: Labels, bounds: readonly number[]): Series {
  return { labels, buckets: new Array<number>(bounds.length + 1).fill(0), sum: 0 };
}

/** Fine buckets into the reference's: each goes where all of it fits. */
function addDuration(series: Series, duration: RequestDuration, bounds: readonly number[]): void {
  const { buckets } = series;
  for (const [i, count] of duration.buckets.entries()) {
    const bound = REQUEST_DURATION_BUCKETS_SECONDS[i];
    const slot = bound === undefined ? -1 : bounds.findIndex((wanted) => wanted >= bound);
    const at = slot < 0 ? buckets.length - 1 : slot;
    buckets[at] = (buckets[at] ?? 0) + count;
  }
  series.sum += duration.sumSeconds;
}

function readRounds(readers: readonly ReaderMetrics[]): Counted[] {
  const name = "hearth_read_rounds_total";
  return [
    [name, { way: "leader" }, sum(readers, (reader) => reader.readRounds.leader)],
    [name, { way: "main" }, sum(readers, (reader) => reader.readRounds.main)],
  ];
}

type Counted = readonly [name: string, labels: Labels, total: number];

function rejections(threads: readonly RequestMetrics[], protocol: string): Counted[] {
  const totals = sumRecords(threads.map((thread) => thread.rejected));
  return Object.entries(totals).map(([reason, count]) => [
    "hearth_requests_rejected_total",
    { protocol, reason },
    count,
  ]);
}

function requests(threads: readonly RequestMetrics[], protocol: string): Counted[] {
  const totals: Record<string, number> = {};
  for (const { route, code, count } of threads.flatMap((thread) => thread.requests)) {
    const key = `${route} ${code}`;
    totals[key] = (totals[key] ?? 0) + count;
  }
  return Object.entries(totals).map(([key, count]) => {
    const [route = "", code = "0"] = key.split(" ");
    const name = code === "0" ? "ok" : errorCodeFromNumber(Number(code));
    return ["hearth_requests_total", { protocol, route, code: name }, count];
  });
}

/** The engine's own counters: a closed set of names, each a label value. */
function engineCounters(readers: readonly ReaderMetrics[]): Counted[] {
  const totals = sumRecords(readers.map((reader) => reader.engine));
  return Object.entries(totals).map(([what, count]) => [
    "hearth_query_engine_total",
    { what },
    count,
  ]);
}

function sumRecords(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const record of records) {
    for (const [name, value] of Object.entries(record)) totals[name] = (totals[name] ?? 0) + value;
  }
  return totals;
}

/** Sum of a numeric field. */
function total<Field extends string>(
  items: readonly Readonly<Record<Field, number>>[],
  field: Field,
): number {
  return items.reduce((all, item) => all + item[field], 0);
}

function sum(readers: readonly ReaderMetrics[], of: (reader: ReaderMetrics) => number): number {
  return readers.reduce((all, reader) => all + of(reader), 0);
}
