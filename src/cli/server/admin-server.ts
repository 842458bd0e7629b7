/** The HTTP face of a node: routes from every module that has some, on one bounded listener. */
import {
  activityRoutes,
  AdminHttpServer,
  type BuildInfo,
  changeRoutes,
  type CheckOutcome,
  clusterRoutes,
  compactionRoutes,
  dlqRoutes,
  Health,
  healthRoutes,
  healthRpcRoute,
  type HttpRequestRecord,
  indexRoutes,
  landingRoute,
  type MetadataClient,
  metadataRoutes,
  metricsRoute,
  nodeChecks,
  type NodeStatus,
  nodeStatusBody,
  placementRoutes,
  retentionRoutes,
  type Route,
  Router,
  statusRoutes,
  tenantRoutes,
} from "../../admin/index.ts";
import type { HearthError, Logger } from "../../base/index.ts";
import {
  type Config,
  configHash,
  configYaml,
  type LoadResult,
  type RuntimeLimits,
  runtimeYaml,
} from "../../config/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { BlockListing, ClusterControl, SnapshotControl } from "../../service/index.ts";
import type { NodeDuties } from "./duties.ts";
import type { NodeState } from "./node-state.ts";

export interface AdminServerModules {
  readonly metrics: MetricRegistry;
  readonly loaded: LoadResult;
  readonly limits: RuntimeLimits;
  readonly version: string;
  readonly logger: Logger;
  readonly state: NodeState;
  /** An error with the addresses that HTTP clients use. */
  readonly translate: (error: HearthError) => HearthError;
  /** Null until the index is open. */
  readonly listing: () => BlockListing | null;
  /** Null until reader threads serve. */
  readonly client: () => MetadataClient | null;
  /** Null until the node knows which cluster it belongs to. */
  readonly cluster: () => ClusterControl | null;
  /** Null until the state can be written down. */
  readonly snapshots: () => SnapshotControl | null;
  /** Null until the replica runs. */
  readonly duties: () => NodeDuties | null;
}

export class AdminServer {
  readonly #modules: AdminServerModules;
  readonly #health: Health;
  readonly #server: AdminHttpServer;

  constructor(config: Config, modules: AdminServerModules) {
    const { state, metrics } = modules;
    this.#modules = modules;
    this.#health = new Health(nodeChecks(() => state.view()));
    const { logger, translate } = modules;
    const router = new Router({
      routes: this.#routes(config),
      logger,
      translate,
      onCrash: () => metrics.add("pyroscope_panic_total"),
    });
    metrics.add("pyroscope_panic_total", {}, 0);
    const options = { ...config.http };
    this.#server = new AdminHttpServer(options, {
      router,
      logger: modules.logger,
      onRequest: (record) => countRequest(metrics, record),
      onReject: (reason) =>
        metrics.add("hearth_requests_rejected_total", { protocol: "http", reason }),
    });
    this.#describeBuild();
    metrics.onCollect(() => this.#collectHealth());
  }

  /** Resolves with the port. */
  listen(): Promise<number> {
    return this.#server.listen();
  }

  /** What GET /api/v1/status answers, for other members. */
  statusBody(): object {
    return nodeStatusBody(this.#statusModules());
  }

  close(graceMs: number): Promise<void> {
    return this.#server.close(graceMs);
  }

  #routes(config: Config): Route[] {
    const { metrics, loaded, limits, version, client } = this.#modules;
    const { cluster, snapshots, duties, logger } = this.#modules;
    const { serverId: nodeId } = config.node;
    const nowMs = (): number => Date.now();
    const routes: Route[] = [];
    routes.push(
      landingRoute({
        routes: () => routes,
        title: () => `Hearth ${version} · ${config.node.serverId}`,
        readiness: () => this.#health.evaluate("ready"),
      }),
      metricsRoute(metrics),
      ...healthRoutes(this.#health),
      healthRpcRoute(this.#health),
      ...statusRoutes({
        ...this.#statusModules(),
        buildInfo: buildInfo(version),
        configYaml: (view) => configYaml(loaded.values, view),
        runtimeYaml: (view) => runtimeYaml(limits, view),
      }),
      ...clusterRoutes({ control: cluster, nowMs, clockMs: () => performance.now() }),
      ...retentionRoutes({ retention: () => duties()?.retention ?? null, nodeId, nowMs }),
      ...dlqRoutes({ dlq: () => duties()?.dlq ?? null, nodeId, nowMs }),
      ...activityRoutes({ activities: () => duties()?.status() ?? [], nodeId, nowMs }),
      ...changeRoutes({ control: cluster, snapshots, logger, nowMs }),
      ...placementRoutes({ placement: () => duties()?.placementControl ?? null, logger, nowMs }),
      ...compactionRoutes({ client, logger, nowMs }),
      ...indexRoutes({ listing: () => this.#modules.listing() }),
      ...tenantRoutes({
        client,
        deletions: () => duties()?.deletions ?? null,
        defaultTimeoutMs: config.listener.defaultTimeoutMs,
        nodeId,
        nowMs,
      }),
      ...metadataRoutes({ defaultTimeoutMs: config.listener.defaultTimeoutMs }, client),
    );
    return routes;
  }

  #statusModules(): Parameters<typeof nodeStatusBody>[0] {
    const { state } = this.#modules;
    const status = (): NodeStatus => state.status(this.#problem());
    return { status, health: this.#health, nowMs: () => Date.now() };
  }

  #problem(): string | null {
    const failed = this.#health.evaluate("ready").find(({ result }) => result.state === "failed");
    return failed?.result.state === "failed" ? failed.result.reason : null;
  }

  #describeBuild(): void {
    const { metrics, version, loaded } = this.#modules;
    const node = process.version;
    metrics.set("hearth_build_info", 1, { version, revision: "", node });
    metrics.set("pyroscope_build_info", 1, {
      version,
      revision: "",
      branch: "",
      goversion: `node ${node}`,
    });
    metrics.set("hearth_config_hash", Number.parseInt(configHash(loaded.values), 16));
  }

  #collectHealth(): void {
    const { metrics, state } = this.#modules;
    const { connectionCount } = this.#server;
    metrics.set("hearth_connections", connectionCount, { protocol: "http" });
    metrics.set("pyroscope_tcp_connections", connectionCount, { protocol: "http" });
    for (const kind of ["live", "ready"] as const) {
      for (const { name, result } of this.#health.evaluate(kind)) {
        metrics.set("hearth_health_check", isGood(result) ? 1 : 0, { type: kind, name });
      }
    }
    const { readerCount, readerRunningCount } = state.view();
    metrics.set("hearth_reader_threads", readerRunningCount, { state: "running" });
    metrics.set("hearth_reader_threads", readerCount - readerRunningCount, { state: "stopped" });
  }
}

/** The fields of the reference, in its words; those that say nothing here are empty. */
function buildInfo(version: string): BuildInfo {
  const goVersion = `node ${process.version}`;
  return { version, revision: "", branch: "", buildUser: "", buildDate: "", goVersion };
}

function isGood(result: CheckOutcome["result"]): boolean {
  return result.state !== "failed";
}

const KNOWN_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "DELETE"]);

function countRequest(metrics: MetricRegistry, record: HttpRequestRecord): void {
  const { method, route, status, durationMs, receivedBytes, sentBytes } = record;
  // A made-up method must not make a series.
  const known = KNOWN_METHODS.has(method) ? method : "other";
  const labels = { method: known, route, status_code: String(status), ws: "false" };
  metrics.observe("pyroscope_request_duration_seconds", durationMs / 1_000, labels);
  const sizeLabels = { method: known, route };
  metrics.observe("pyroscope_request_message_bytes", receivedBytes, sizeLabels);
  metrics.observe("pyroscope_response_message_bytes", sentBytes, sizeLabels);
}
