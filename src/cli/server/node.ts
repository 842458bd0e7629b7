/**
 * The composition root of a node: builds every module with its options, in numbered steps, and takes them down in
 * reverse. Nothing else knows all modules.
 *
 *   start: http -> directories -> index -> log -> replay and lead -> reader threads -> ready
 *   stop:  not ready -> reader threads (their sockets first) -> replica and log -> index -> directories -> http
 *
 * HTTP is first and last, so that probes and scrapes see every phase in words.
 */
import { randomBytes } from "node:crypto";
import {
  HearthError,
  type Logger,
  Prng,
  SYSTEM_CLOCK,
  SYSTEM_SCHEDULER,
} from "../../base/index.ts";
import type { HearthClient } from "../../client/index.ts";
import { type Config, type LoadResult, volatileFileSystem } from "../../config/index.ts";
import { IndexDatabase } from "../../db/index.ts";
import {
  acquireDirectoryLock,
  type DirectoryLock,
  DurableLog,
  LOG_DEFAULTS,
  NODE_FILES,
} from "../../log/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import { QUERY_ENGINE_DEFAULTS } from "../../read/index.ts";
import { NO_PEERS, REPLICA_DEFAULTS, Replica } from "../../replica/index.ts";
import {
  type ListeningAddress,
  ReaderPool,
  SERVER_DEFAULTS,
  type ServerOptions,
} from "../../server/index.ts";
import type { ClusterControl, SnapshotControl } from "../../service/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../state/index.ts";
import { AdminServer } from "./admin-server.ts";
import { collectDatabase, collectLog, collectReplica, collectState } from "./collectors.ts";
import { logFilesDirectory } from "./directories.ts";
import { claimIdentity, type StoredIdentity } from "./identity.ts";
import { observeLogWrite, timedState } from "./instruments.ts";
import { followDemand } from "./demand.ts";
import { connectLocally } from "./local-client.ts";
import { LoopMonitor } from "./loop-monitor.ts";
import { listenHost } from "./listen-host.ts";
import { NodeState } from "./node-state.ts";
import { ReplicaProposer } from "./proposer.ts";
import { ReaderMetricsPoller } from "./reader-metrics.ts";
import { StepLog } from "./steps.ts";

export interface NodeModules {
  readonly logger: Logger;
  readonly metrics: MetricRegistry;
  readonly loaded: LoadResult;
  readonly version: string;
  /** The node cannot go on; it has stopped promising anything. The process must end. */
  readonly onFatal: (error: HearthError) => void;
}

/** What a step of the start has built and a step of the stop takes down. */
interface Parts {
  admin?: AdminServer;
  locks: DirectoryLock[];
  identity?: StoredIdentity;
  db?: IndexDatabase;
  stateMachine?: StateMachine;
  log?: DurableLog;
  replica?: Replica;
  /** Stops following the demand of readers. */
  demand?: () => void;
  pool?: ReaderPool;
  poller?: ReaderMetricsPoller;
  client?: HearthClient;
  cluster?: ClusterControl;
  snapshots?: SnapshotControl;
}

const START_STEPS = 7;
const STOP_STEPS = 6;
/** Requests that still run when the HTTP server closes get this long. */
const HTTP_GRACE_MS = 1_000;

export class HearthNode {
  readonly state: NodeState;
  readonly #config: Config;
  readonly #modules: NodeModules;
  readonly #logger: Logger;
  readonly #parts: Parts = { locks: [] };
  readonly #loopMonitor: LoopMonitor;
  #starting: Promise<void> = Promise.resolve();
  #isStopping = false;
  #replicaStopped: Promise<void> | null = null;

  constructor(config: Config, modules: NodeModules) {
    this.#config = config;
    this.#modules = modules;
    this.#logger = modules.logger;
    this.state = new NodeState(config, modules.version);
    this.#loopMonitor = new LoopMonitor(modules.metrics);
  }

  /**
   * Brings the node up. Errors: the first step that failed, or `cancelled` when `stop` came first; what was built
   * is taken down by `stop`.
   */
  start(): Promise<void> {
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const steps = new StepLog(this.#logger, "start", START_STEPS);
    const run = <T>(name: string, body: () => T | Promise<T>): Promise<T> => {
      if (this.#isStopping)
        throw new HearthError("cancelled", "The start was given up: the node is to stop");
      this.state.starting(name);
      return steps.run(name, body);
    };
    await run("listening for http", () => this.#openAdmin());
    await run("claiming the directories", () => this.#claimDirectories());
    await run("opening the index", () => this.#openIndex());
    await run("opening the log", () => this.#openLog());
    await run("replaying the log", () => this.#startReplica());
    await run("starting reader threads", () => this.#startReaders());
    await run("opening the http api", () => this.#openApi());
    this.state.running();
    this.#logger.info("node is serving", { ms: steps.elapsedMs, ...this.addresses });
  }

  /** Where people and programs find the node. */
  get addresses(): { readonly http: string; readonly websocket: string } {
    return { http: this.state.httpAddress, websocket: this.state.websocketAddress ?? "" };
  }

  /** Takes the node down in order. Repeating it is harmless; never rejects, every failure is in the log. */
  async stop(): Promise<void> {
    const deadlineMs = this.#config.shutdown.timeoutMs;
    this.#isStopping = true;
    this.state.stopping("finishing requests", deadlineMs);
    const steps = new StepLog(this.#logger, "stop", STOP_STEPS);
    const parts = this.#parts;
    await this.#giveUpStart();
    const run = (name: string, body: () => unknown): Promise<void> =>
      steps.run(name, async () => void (await body())).catch(() => {});
    await run("closing the http api", () => parts.client?.close());
    await run("stopping reader threads", () => this.#stopReaders());
    await run("closing the log", () => this.#stopReplica());
    await run("closing the index", () => parts.db?.close());
    await run("releasing the directories", () =>
      Promise.all(parts.locks.map((lock) => lock.release())),
    );
    await run("closing http", () => parts.admin?.close(HTTP_GRACE_MS));
    this.#loopMonitor.stop();
    this.#logger.info("node has stopped", { ms: steps.elapsedMs });
  }

  /** Only what must not be left open when the process ends at once: a thread with open sockets would crash it. */
  async closeSockets(): Promise<void> {
    await this.#stopReaders().catch(() => {});
  }

  async #openAdmin(): Promise<void> {
    const { metrics, loaded, version } = this.#modules;
    const admin = new AdminServer(this.#config, {
      metrics,
      loaded,
      version,
      logger: this.#logger.child("http"),
      state: this.state,
      client: () => this.#parts.client ?? null,
      cluster: () => this.#parts.cluster ?? null,
      snapshots: () => this.#parts.snapshots ?? null,
    });
    this.#parts.admin = admin;
    this.state.httpListening(await admin.listen());
    const { logDirectory } = this.#config.node;
    metrics.set("hearth_volatile_directory", volatileFileSystem(logDirectory) === null ? 0 : 1);
  }

  async #claimDirectories(): Promise<void> {
    const { logDirectory, dataDirectory, serverId } = this.#config.node;
    this.#parts.locks.push(await acquireDirectoryLock(logDirectory));
    this.#parts.locks.push(await acquireDirectoryLock(dataDirectory));
    this.#parts.identity = claimIdentity(logDirectory, serverId);
    this.state.clusterId = this.#parts.identity.clusterId;
  }

  #openIndex(): void {
    const { metrics } = this.#modules;
    const db = IndexDatabase.open({
      directory: this.#config.node.dataDirectory,
      mapSizeBytes: this.#config.storage.indexMapBytes,
      role: "writer",
    });
    this.#parts.db = db;
    const logger = this.#logger.child("state");
    const stateMachine = new StateMachine(STATE_DEFAULTS, { db, logger });
    this.#parts.stateMachine = stateMachine;
    this.state.attachIndex(stateMachine, db);
    collectState(metrics, stateMachine);
    collectDatabase(metrics, db);
    this.#logger.info("index opened", {
      outcome: db.outcome,
      appliedIndex: stateMachine.appliedIndex,
    });
  }

  async #openLog(): Promise<void> {
    const { metrics } = this.#modules;
    const { logSegmentBytes, logGroupBytes } = this.#config.storage;
    const { identity } = this.#parts;
    if (identity === undefined) throw new Error("The directories are claimed before the log");
    const { clusterId, nodeId } = identity;
    const options = {
      ...LOG_DEFAULTS,
      directory: logFilesDirectory(this.#config.node.logDirectory),
      segmentBytes: logSegmentBytes,
      groupMaxBytes: logGroupBytes,
      owner: { clusterId, nodeId },
    };
    const log = await DurableLog.open(options, {
      files: NODE_FILES,
      logger: this.#logger.child("log"),
      onWrite: observeLogWrite(metrics),
    });
    this.#parts.log = log;
    this.state.attachLog(log);
    collectLog(metrics, log);
  }

  async #startReplica(): Promise<void> {
    const { metrics, onFatal } = this.#modules;
    const { log, stateMachine, identity } = this.#parts;
    if (log === undefined || stateMachine === undefined || identity === undefined)
      throw new Error("The log is opened before the replica");
    const { nodeId, serverId } = identity;
    const self = { id: nodeId, serverId, address: "" };
    // One voter has no slow peers to keep entries for.
    const options = { ...REPLICA_DEFAULTS, nodeId, bootstrap: [self], tailMaxBytes: 0 };
    const random = new Prng(randomBytes(4).readUInt32LE());
    const shared = this.state.sharedState;
    const replica = new Replica(options, {
      log,
      stateMachine: timedState(stateMachine, metrics),
      transport: NO_PEERS,
      snapshots: null,
      clock: SYSTEM_CLOCK,
      scheduler: SYSTEM_SCHEDULER,
      random: () => random.nextU32(),
      logger: this.#logger.child("replica"),
      publish: (progress) => shared.publish(progress),
      onFatal,
    });
    this.#parts.demand = followDemand(shared, replica, SYSTEM_SCHEDULER);
    this.#parts.replica = replica;
    this.state.attachReplica(replica);
    collectReplica(metrics, replica);
    await replica.start();
  }

  async #startReaders(): Promise<void> {
    const { metrics, version, onFatal } = this.#modules;
    const { replica, identity } = this.#parts;
    if (replica === undefined || identity === undefined)
      throw new Error("The replica leads before readers start");
    const { node, readers, storage } = this.#config;
    const pool = new ReaderPool(await this.#serverOptions(), {
      proposer: new ReplicaProposer(replica, metrics),
      sharedState: this.state.sharedState,
      identity: { nodeId: node.serverId, clusterId: identity.clusterId, version },
      database: { directory: node.dataDirectory, mapSizeBytes: storage.indexMapBytes },
      engine: {
        ...QUERY_ENGINE_DEFAULTS,
        cacheBytes: readers.cacheBytes,
        answerMaxBytes: readers.answerMaxBytes,
      },
      logger: this.#logger.child("server"),
      onGaveUp: onFatal,
    });
    this.#parts.pool = pool;
    const address: ListeningAddress = await pool.start();
    this.state.attachPool(pool, address);
    this.#parts.poller = this.state.poller = new ReaderMetricsPoller({
      metrics,
      logger: this.#logger.child("metrics"),
      poll: () => pool.metrics(),
      readerCount: readers.threadCount,
    });
  }

  async #serverOptions(): Promise<ServerOptions> {
    const { listener, readers } = this.#config;
    return {
      ...SERVER_DEFAULTS,
      host: await listenHost(listener.address),
      port: listener.port,
      readersCount: readers.threadCount,
      transport: listener.kind,
      session: {
        ...SERVER_DEFAULTS.session,
        frameMaxBytes: listener.frameMaxBytes,
        inFlightMax: listener.inFlightMaxCount,
        defaultTimeoutMs: listener.defaultTimeoutMs,
      },
      allowRawCommands: listener.allowRawCommands,
    };
  }

  async #openApi(): Promise<void> {
    const { pool } = this.#parts;
    if (pool === undefined) throw new Error("Readers run before the API opens");
    this.#parts.client = await connectLocally(pool);
  }

  /** A replay of minutes is left at its next batch; every other step is short. */
  async #giveUpStart(): Promise<void> {
    if (this.#parts.replica?.status().phase === "replaying")
      await this.#stopReplica().catch(() => {});
    await this.#starting.catch(() => {});
  }

  /** Once: a log cannot be closed twice. */
  #stopReplica(): Promise<void> {
    const { replica, log, demand } = this.#parts;
    demand?.();
    this.#replicaStopped ??= replica?.stop() ?? log?.close() ?? Promise.resolve();
    return this.#replicaStopped;
  }

  async #stopReaders(): Promise<void> {
    this.#parts.poller?.stop();
    await this.#parts.pool?.stop();
  }
}
