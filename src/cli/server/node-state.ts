/**
 * What a node knows of itself, gathered as its parts come up: the view behind the health checks and the status page.
 * Everything is asked anew at each call; nothing here is kept but what no part knows.
 */
import type { NodePhase, NodeStatus, NodeView } from "../../admin/index.ts";
import type { Config } from "../../config/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import type { DurableLog } from "../../log/index.ts";
import { SharedState } from "../../read/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { ListeningAddress, ReaderPool } from "../../server/index.ts";
import type { StateMachine } from "../../state/index.ts";

/** What the poller of reader metrics knows beside the metrics. */
export interface ReaderCounts {
  readonly connectionCount: number;
}

export class NodeState {
  readonly sharedState = SharedState.create();
  /** Empty until the directories are claimed. */
  clusterId = "";
  poller: ReaderCounts | null = null;
  readonly #config: Config;
  readonly #version: string;
  readonly #startedAtMs = performance.now();
  #phase: NodePhase = { kind: "starting", doing: "reading the configuration" };
  #stopDeadlineAtMs = 0;
  #httpPort: number | null = null;
  #address: ListeningAddress | null = null;
  #replica: Replica | null = null;
  #log: DurableLog | null = null;
  #stateMachine: StateMachine | null = null;
  #db: IndexDatabase | null = null;
  #pool: ReaderPool | null = null;
  #replayStartedAtMs = 0;
  /** When reads and writes would have succeeded for the first time; the waiting time runs only once. */
  #firstConsistentAtMs: number | null = null;
  #leaderlessSinceMs: number | null = null;
  #applyPendingSinceMs: number | null = null;
  #applyPendingIndex = 0;

  constructor(config: Config, version: string) {
    this.#config = config;
    this.#version = version;
  }

  starting(doing: string): void {
    this.#phase = { kind: "starting", doing };
  }

  running(): void {
    this.#phase = { kind: "running" };
    // The waiting time begins now, not with the first probe.
    this.view();
  }

  stopping(doing: string, timeoutMs: number): void {
    this.#stopDeadlineAtMs = performance.now() + timeoutMs;
    this.#phase = { kind: "stopping", doing, leftMs: timeoutMs };
  }

  httpListening(port: number): void {
    this.#httpPort = port;
  }

  attachIndex(stateMachine: StateMachine, db: IndexDatabase): void {
    this.#stateMachine = stateMachine;
    this.#db = db;
  }

  attachLog(log: DurableLog): void {
    this.#log = log;
  }

  attachReplica(replica: Replica): void {
    this.#replica = replica;
    this.#replayStartedAtMs = performance.now();
  }

  attachPool(pool: ReaderPool, address: ListeningAddress): void {
    this.#pool = pool;
    this.#address = address;
  }

  get httpAddress(): string {
    return `${bracketed(this.#config.http.address)}:${this.#httpPort ?? this.#config.http.port}`;
  }

  get websocketAddress(): string | null {
    return this.#address === null ? null : `${bracketed(this.#address.host)}:${this.#address.port}`;
  }

  /** For the health checks. */
  view(): NodeView {
    const nowMs = performance.now();
    const replica = this.#replica?.status() ?? null;
    const isServing =
      replica?.phase === "ready" && replica.role === "leader" && this.#servingCount > 0;
    if (isServing) this.#firstConsistentAtMs ??= nowMs;
    const hasLeader = replica !== null && replica.leader !== null;
    this.#leaderlessSinceMs = hasLeader ? null : (this.#leaderlessSinceMs ?? nowMs);
    this.#watchApply(replica, nowMs);
    return {
      phase: this.#phaseNow(replica, nowMs),
      hasLeader,
      leaderlessMs: sinceOrZero(this.#leaderlessSinceMs, nowMs),
      voterCount: replica?.voters ?? 1,
      reachableVoterCount: replica?.reachableVoters ?? 1,
      applyPendingMs: sinceOrZero(this.#applyPendingSinceMs, nowMs),
      applyPendingIndex: this.#applyPendingIndex,
      logWritePendingMs: replica?.pendingWriteMs ?? 0,
      readerCount: this.#config.readers.threadCount,
      readerRunningCount: this.#servingCount,
      // The pool ends the process itself when restarts go on failing.
      readerFailedRestartCount: 0,
      consistentMs: isServing ? sinceOrZero(this.#firstConsistentAtMs, nowMs) : null,
      minReadyMs: this.#config.node.minReadyMs,
    };
  }

  /** For the status page; `problem` is the first failed check, in words. */
  status(problem: string | null): NodeStatus {
    const replica = this.#replica?.status() ?? null;
    const { node } = this.#config;
    const isRunning = this.#phase.kind === "running";
    return {
      nodeId: node.serverId,
      clusterId: this.clusterId === "" ? null : this.clusterId,
      version: this.#version,
      state: isRunning ? (problem === null ? "ready" : "not ready") : this.#phase.kind,
      problem,
      uptimeMs: Math.round(performance.now() - this.#startedAtMs),
      pid: process.pid,
      httpAddress: this.httpAddress,
      websocketAddress: this.websocketAddress,
      listener: this.#address?.transport ?? null,
      dataDirectory: node.dataDirectory,
      logDirectory: node.logDirectory,
      raft: this.#raftStatus(replica),
      index: this.#indexStatus(),
      logBytes: this.#log?.sizeBytes ?? null,
      readers: {
        running: this.#servingCount,
        wanted: this.#config.readers.threadCount,
        connections: this.poller?.connectionCount ?? null,
      },
    };
  }

  get #servingCount(): number {
    return this.#pool?.servingCount ?? 0;
  }

  #raftStatus(replica: ReturnType<Replica["status"]> | null): NodeStatus["raft"] {
    if (replica === null) return null;
    const { role, leader, term, lastIndex, commitIndex, appliedIndex } = replica;
    const { voters, reachableVoters } = replica;
    return {
      role: role === "leader" ? "leader" : "follower",
      leaderId: leader?.id ?? null,
      term,
      lastIndex,
      commitIndex,
      appliedIndex,
      voters,
      reachableVoters,
    };
  }

  #indexStatus(): NodeStatus["index"] {
    if (this.#stateMachine === null || this.#db === null || this.#phase.kind === "stopping")
      return null;
    const { blocks, datasets, bytes } = this.#stateMachine.counters;
    return { blocks, datasets, bytes, databaseBytes: this.#db.fileSizeBytes() };
  }

  #phaseNow(replica: ReturnType<Replica["status"]> | null, nowMs: number): NodePhase {
    if (this.#phase.kind === "stopping") {
      return { ...this.#phase, leftMs: Math.max(0, this.#stopDeadlineAtMs - nowMs) };
    }
    if (this.#phase.kind !== "starting" || replica === null || replica.phase !== "replaying")
      return this.#phase;
    if (replica.replayEntries === 0) return this.#phase;
    const elapsedSec = Math.max(0.001, (nowMs - this.#replayStartedAtMs) / 1_000);
    return {
      kind: "replaying",
      appliedIndex: replica.replayedEntries,
      lastIndex: replica.replayEntries,
      entriesPerSec: replica.replayedEntries / elapsedSec,
    };
  }

  /** An entry that stays the first unapplied one is stuck; one that changes is only a queue. */
  #watchApply(replica: ReturnType<Replica["status"]> | null, nowMs: number): void {
    const isPending =
      replica !== null &&
      this.#phase.kind === "running" &&
      replica.appliedIndex < replica.commitIndex;
    if (!isPending) {
      this.#applyPendingSinceMs = null;
      return;
    }
    const first = replica.appliedIndex + 1;
    if (this.#applyPendingSinceMs === null || first !== this.#applyPendingIndex)
      this.#applyPendingSinceMs = nowMs;
    this.#applyPendingIndex = first;
  }
}

function sinceOrZero(sinceMs: number | null, nowMs: number): number {
  return sinceMs === null ? 0 : nowMs - sinceMs;
}

/** An IPv6 address needs brackets before a port; an empty one stands for every interface. */
function bracketed(host: string): string {
  if (host === "") return "0.0.0.0";
  return host.includes(":") ? `[${host}]` : host;
}
