/**
 * The composition root of a node: builds every module with its options, in numbered steps, and takes them down in
 * reverse. Nothing else knows all modules.
 *
 *   start: http -> directories -> peer port -> cluster -> index -> log -> snapshots -> restore, replay, lead or follow ->
 *          reader threads -> ready
 *   stop:  not ready -> leadership -> reader threads (their sockets first) -> compaction, duties -> replica and log ->
 *          peers -> snapshots -> index -> directories -> http
 *
 * HTTP is first and last, so that probes and scrapes see every phase in words. The log is opened when it is known which
 * cluster it belongs to; peers are asked, and answered, before.
 */
import { randomBytes } from "node:crypto";
import {
  HearthError,
  type Logger,
  Prng,
  SYSTEM_CLOCK,
  SYSTEM_SCHEDULER,
} from "../../base/index.ts";
import {
  type Config,
  type LoadResult,
  type RuntimeLimits,
  volatileFileSystem,
} from "../../config/index.ts";
import { IndexDatabase } from "../../db/index.ts";
import type { FileTree } from "../../files/index.ts";
import { acquireDirectoryLock, DurableLog, LOG_DEFAULTS, WriterFiles } from "../../log/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import { QUERY_ENGINE_DEFAULTS } from "../../read/index.ts";
import { REPLICA_DEFAULTS, Replica } from "../../replica/index.ts";
import { type ListeningAddress, ReaderPool } from "../../server/index.ts";
import { BlockListing } from "../../service/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../state/index.ts";
import { AdminServer } from "./admin-server.ts";
import {
  collectDatabase,
  collectLog,
  collectPeers,
  collectReplica,
  collectSnapshots,
  collectState,
} from "./collectors.ts";
import { logFilesDirectory } from "./directories.ts";
import { NodeCompaction } from "./compaction.ts";
import { ConsistencyWatch } from "./consistency.ts";
import { NodeGrpc } from "./grpc.ts";
import { handOver } from "./hand-over.ts";
import { claimIdentity } from "./identity.ts";
import { observeLogWrite, timedState } from "./instruments.ts";
import { followDemand } from "./demand.ts";
import { NodeDuties } from "./duties.ts";
import { connectLocally } from "./local-client.ts";
import { LogTime } from "./log-time.ts";
import { LoopMonitor } from "./loop-monitor.ts";
import { reachableAt } from "./listen-host.ts";
import { NodeState, wasMember } from "./node-state.ts";
import { createNetwork } from "./peer-network.ts";
import { built, type Parts } from "./parts.ts";
import { Peers } from "./peers.ts";
import { ReaderMetricsPoller } from "./reader-metrics.ts";
import { NodeSnapshots, snapshotSchedule } from "./snapshots.ts";
import { serverOptions } from "./server-options.ts";
import { followDisk, followIndexSpace, followSpace } from "./space-watch.ts";
import { assertNotDiverged, NodeStateChecks } from "./state-checks.ts";
import { StepLog } from "./steps.ts";

export interface NodeModules {
  readonly logger: Logger;
  readonly metrics: MetricRegistry;
  readonly loaded: LoadResult;
  /** Limits per tenant, as their files say now. */
  readonly limits: RuntimeLimits;
  readonly version: string;
  /** The disk under the log. Default: the real one; tests have disks that stall and fail. */
  readonly files?: FileTree;
  /** The node cannot go on; it has stopped promising anything. The process must end. */
  readonly onFatal: (error: HearthError) => void;
}

const START_STEPS = 10;
const STOP_STEPS = 11;
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
      if (this.#isStopping) throw givenUp();
      this.state.starting(name);
      return steps.run(name, body);
    };
    await run("listening for http", () => this.#openAdmin());
    await run("claiming the directories", () => this.#claimDirectories());
    await run("opening the peer port", () => this.#openPeers());
    await run("finding the cluster", () => this.#findCluster());
    await run("opening the index", () => this.#openIndex());
    await run("opening the log", () => this.#openLog());
    await run("opening the snapshots", () => this.#openSnapshots());
    await run("replaying the log", () => this.#startReplica());
    await run("starting reader threads", () => this.#startReaders());
    await run("opening the http api", () => this.#openApi());
    this.#introduce();
    this.state.running();
    this.#parts.grpc?.setHealth("serving");
    void this.#parts.peers?.promoteWhenJoined();
    this.#logger.info("node is serving", { ms: steps.elapsedMs, ...this.addresses });
  }

  /** Where people and programs find the node. */
  get addresses(): { readonly http: string; readonly websocket: string; readonly grpc: string } {
    return {
      http: this.state.httpAddress,
      websocket: this.state.websocketAddress ?? "",
      grpc: this.#parts.grpc?.address ?? "",
    };
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
    await run("handing over", () => this.#handOver());
    this.state.stoppingBy("finishing requests");
    await run("closing the http api", () => parts.client?.close());
    await run("stopping reader threads", () => this.#stopReaders());
    await run("stopping compaction", () => parts.compaction?.stop());
    await run("stopping the leader's activities", () => parts.duties?.stop());
    await run("closing the log", () => this.#stopReplica());
    await run("closing the peer port", () => parts.peers?.close());
    await run("closing the snapshots", () => parts.snapshots?.close());
    await run("closing the index", () => parts.db?.close());
    await run("releasing the directories", () =>
      Promise.all(parts.locks.map((lock) => lock.release())),
    );
    await run("closing http", () => parts.admin?.close(HTTP_GRACE_MS));
    this.#loopMonitor.stop();
    this.#logger.info("node has stopped", { ms: steps.elapsedMs });
  }

  /**
   * Only what must not be left when the process ends at once: a thread with open sockets, or inside LMDB, would crash it.
   */
  async endThreads(): Promise<void> {
    const { compaction, snapshots } = this.#parts;
    this.#parts.checks?.stop();
    const imagesEnded = snapshots?.endThreads();
    await Promise.allSettled([this.#stopReaders(), compaction?.stop(), imagesEnded]);
  }

  async #openAdmin(): Promise<void> {
    const { metrics, loaded, limits, version } = this.#modules;
    const admin = new AdminServer(this.#config, {
      metrics,
      loaded,
      limits,
      version,
      logger: this.#logger.child("http"),
      state: this.state,
      translate: (error) => this.#parts.peers?.book.translate(error, "http") ?? error,
      client: () => this.#parts.client ?? null,
      cluster: () => this.#parts.cluster ?? null,
      snapshots: () => this.#parts.snapshotControl ?? null,
      listing: () => this.#parts.listing ?? null,
      duties: () => this.#parts.duties ?? null,
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
    assertNotDiverged(logDirectory);
    this.#parts.identity = claimIdentity(logDirectory, serverId);
    this.state.clusterId = this.#parts.identity.clusterId;
  }

  async #openPeers(): Promise<void> {
    const { identity, admin } = this.#parts;
    if (identity === undefined || admin === undefined)
      throw new Error("The directories are claimed before the peer port opens");
    const { version, metrics } = this.#modules;
    const logger = this.#logger.child("cluster");
    const peers = new Peers(this.#config, {
      identity,
      version,
      logger,
      metrics,
      createNetwork: (introduction) =>
        createNetwork(this.#config, { introduction, logger, metrics }),
      status: () => admin.statusBody(),
      onProgress: (text) => this.state.waiting(text),
    });
    this.#parts.peers = peers;
    this.#parts.cluster = peers.control;
    this.state.attachControl(peers.control);
    await peers.open();
    this.state.peerPortProblem = peers.listenProblem?.message ?? null;
    collectPeers(metrics, peers.network);
  }

  async #findCluster(): Promise<void> {
    const { peers, identity } = this.#parts;
    await peers?.findCluster();
    if (this.#isStopping) throw givenUp();
    this.state.clusterId = identity?.clusterId ?? "";
  }

  #openIndex(): void {
    const { metrics } = this.#modules;
    const db = IndexDatabase.open({
      directory: this.#config.node.dataDirectory,
      mapSizeBytes: this.#config.storage.indexMapBytes,
      role: "writer",
    });
    this.#parts.db = db;
    this.#parts.listing = new BlockListing(db);
    const stateMachine = new StateMachine(STATE_DEFAULTS, {
      db,
      logger: this.#logger.child("state"),
      onCheck: (check, index) => this.#parts.checks?.checks.onCheck(check, index),
    });
    this.#parts.stateMachine = stateMachine;
    this.#parts.logTime = new LogTime(stateMachine);
    this.state.sharedState.setGeneration(db.generation);
    this.state.attachIndex(stateMachine, db);
    collectState(metrics, stateMachine);
    collectDatabase(metrics, db, this.state.indexSpace);
    const { appliedIndex } = stateMachine;
    this.#logger.info("index opened", { outcome: db.outcome, appliedIndex });
  }

  async #openLog(): Promise<void> {
    const { metrics } = this.#modules;
    const { identity } = built(this.#parts, "identity");
    const { clusterId, nodeId, formerClusterIds } = identity;
    identity.assertLogIsThere();
    const options = {
      ...LOG_DEFAULTS,
      ...this.#config.storage.log,
      directory: logFilesDirectory(this.#config.node.logDirectory),
      owner: { clusterId, nodeId },
      formerClusterIds,
    };
    const log = await DurableLog.open(options, {
      files: this.#modules.files ?? new WriterFiles(),
      logger: this.#logger.child("log"),
      onWrite: observeLogWrite(metrics),
      hasRoom: () => this.state.logSpace.problem === null,
    });
    this.#parts.log = log;
    identity.noteLog();
    this.state.attachLog(log);
    collectLog(metrics, log);
  }

  async #openSnapshots(): Promise<void> {
    const { db, stateMachine, identity } = built(this.#parts, "db", "stateMachine", "identity");
    this.#parts.snapshots = await NodeSnapshots.open(this.#config, {
      db,
      stateMachine,
      sharedState: this.state.sharedState,
      clusterId: identity.clusterId,
      formerClusterIds: identity.formerClusterIds,
      pool: () => this.#parts.pool ?? null,
      logger: this.#logger.child("snapshot"),
    });
  }

  async #startReplica(): Promise<void> {
    const { metrics, onFatal } = this.#modules;
    const { log, db, stateMachine, identity, peers, snapshots } = built(
      this.#parts,
      "log",
      "db",
      "stateMachine",
      "identity",
      "peers",
      "snapshots",
    );
    const { nodeId, founders } = identity;
    const options = {
      ...REPLICA_DEFAULTS,
      ...snapshotSchedule(this.#config),
      nodeId,
      // Directories from before founders were noted were founded by their node alone.
      bootstrap: founders ?? [peers.self],
    };
    const random = new Prng(randomBytes(4).readUInt32LE());
    const shared = this.state.sharedState;
    const logger = this.#logger.child("replica");
    const replica = new Replica(options, {
      log,
      stateMachine: timedState(stateMachine, snapshots.images, metrics),
      transport: peers,
      snapshots: snapshots.files,
      clock: SYSTEM_CLOCK,
      scheduler: SYSTEM_SCHEDULER,
      random: () => random.nextU32(),
      logger,
      publish: (progress) => {
        shared.publish(progress);
        this.#parts.logTime?.observe(progress);
        this.#parts.duties?.observe(progress);
      },
      onChanged: () => {
        peers.changed();
        this.#parts.grpc?.changed();
        this.state.memberChanged();
      },
      onFatal,
      roomProblem: () => this.state.indexSpace.fullProblem,
    });
    const watch = { replica, control: peers.control, scheduler: SYSTEM_SCHEDULER, logger };
    this.#parts.follows = [
      followDemand(shared, replica, SYSTEM_SCHEDULER),
      followSpace(watch),
      followIndexSpace(this.state.indexSpace, watch),
      followDisk(this.state.logSpace, SYSTEM_SCHEDULER),
    ];
    this.#parts.replica = replica;
    peers.attach(replica);
    this.state.attachReplica(replica, wasMember(log, nodeId));
    collectReplica(metrics, replica, peers.control);
    collectSnapshots(metrics, replica, snapshots.files);
    await replica.start();
    this.#parts.snapshotControl = snapshots.controlOf(replica);
    // From here on: what is replayed before holds checks of the past.
    this.#parts.checks = new NodeStateChecks(this.#config, {
      db,
      peers,
      nodeId,
      metrics,
      onFatal,
      threads: snapshots.threads,
      logger: this.#logger.child("check"),
    });
    this.state.attachChecks(this.#parts.checks.checks);
    peers.assertReachable();
    const consistency = new ConsistencyWatch(replica, SYSTEM_SCHEDULER);
    this.#parts.consistency = consistency;
    this.state.attachConsistency(consistency);
    consistency.start();
  }

  async #startReaders(): Promise<void> {
    const { metrics, version, onFatal } = this.#modules;
    const { peers, identity, replica } = built(this.#parts, "peers", "identity", "replica");
    const { node, readers, storage } = this.#config;
    const compaction = this.#startCompaction(peers);
    this.#parts.duties = await NodeDuties.open(this.#config, {
      ...built(this.#parts, "replica", "db", "stateMachine", "logTime"),
      limits: this.#modules.limits,
      metrics,
      logger: this.#logger.child("duty"),
    });
    peers.proposer.sampleInto(this.#parts.duties.placement.sampler);
    const grpc = await NodeGrpc.open(this.#config, { peers, replica, version });
    this.#parts.grpc = grpc;
    const pool = new ReaderPool(await serverOptions(this.#config), {
      proposer: peers.proposer,
      polls: compaction.polls,
      members: grpc.members,
      activities: () => this.#parts.duties?.describe(node.serverId) ?? {},
      edge: grpc.edge,
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
    peers.attachReaders(pool);
    const address: ListeningAddress = await pool.start();
    grpc.attach(pool);
    this.state.attachPool(pool, address);
    this.#parts.poller = this.state.poller = new ReaderMetricsPoller({
      metrics,
      logger: this.#logger.child("metrics"),
      poll: () => pool.metrics(),
      readerCount: readers.threadCount,
    });
  }

  #startCompaction(peers: Peers): NodeCompaction {
    const { replica, stateMachine, db } = built(this.#parts, "replica", "stateMachine", "db");
    const compaction = new NodeCompaction(this.#config, {
      replica,
      stateMachine,
      db,
      peers,
      metrics: this.#modules.metrics,
      logger: this.#logger.child("compaction"),
    });
    this.#parts.compaction = compaction;
    return compaction;
  }

  async #openApi(): Promise<void> {
    const { pool } = built(this.#parts, "pool");
    this.#parts.client = await connectLocally(pool);
  }

  /** Tells peers where clients find this node: on every interface means under the name that peers use. */
  #introduce(): void {
    const { advertiseAddress } = this.#config.cluster;
    const { http, websocket } = this.addresses;
    this.#parts.peers?.introduce({
      http: reachableAt(http, advertiseAddress),
      websocket: reachableAt(websocket, advertiseAddress),
    });
  }

  async #handOver(): Promise<void> {
    const { peers, pool } = this.#parts;
    if (peers === undefined || pool === undefined) return;
    const { node, shutdown } = this.#config;
    const options = { lingerMs: node.minReadyMs, timeoutMs: shutdown.timeoutMs };
    await handOver(options, {
      control: peers.control,
      scheduler: SYSTEM_SCHEDULER,
      logger: this.#logger,
      onDoing: (text) => this.state.stoppingBy(text),
      onLeaving: () => this.#parts.grpc?.setHealth("notServing"),
    });
  }

  /** A replay of minutes, and a search for peers, are left at their next step; every other step is short. */
  async #giveUpStart(): Promise<void> {
    this.#parts.peers?.giveUp();
    if (this.#parts.replica?.status().phase === "replaying") {
      void this.#parts.snapshots?.cancel();
      await this.#stopReplica().catch(() => {});
    }
    await this.#starting.catch(() => {});
  }

  /** Once: a log cannot be closed twice. */
  #stopReplica(): Promise<void> {
    const { replica, log, follows = [] } = this.#parts;
    for (const end of follows) end();
    this.#parts.consistency?.stop();
    this.#parts.checks?.stop();
    this.#replicaStopped ??= replica?.stop() ?? log?.close() ?? Promise.resolve();
    return this.#replicaStopped;
  }

  async #stopReaders(): Promise<void> {
    this.#parts.poller?.stop();
    await this.#parts.pool?.stop();
  }
}

function givenUp(): HearthError {
  return new HearthError("cancelled", "The start was given up: the node is to stop");
}
