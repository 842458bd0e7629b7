/**
 * What a node knows of itself, gathered as its parts come up: the view behind the health checks and the status page.
 * Everything is asked anew at each call; nothing here is kept but what no part knows.
 */
import type { NodePhase, NodeStatus, NodeView, SeatView } from "../../admin/index.ts";
import type { Config } from "../../config/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import type { DurableLog } from "../../log/index.ts";
import { decodeMembershipBatch } from "../../raft/index.ts";
import { SharedState } from "../../read/index.ts";
import type { Replica } from "../../replica/index.ts";
import type { ListeningAddress, ReaderPool } from "../../server/index.ts";
import type { ClusterControl, ClusterView } from "../../service/index.ts";
import type { StateChecks, StateMachine } from "../../state/index.ts";
import { compactionStatus } from "./compaction-status.ts";
import type { ConsistencyWatch } from "./consistency.ts";
import { IndexSpace } from "./index-space.ts";
import { listeningAddress } from "./listen-host.ts";

/** What the poller of reader metrics knows beside the metrics. */
export interface ReaderCounts {
  readonly connectionCount: number;
}

/** Probes come every few seconds: who led when the last one came led when the write began. */
const LED_MARGIN_MS = 10_000;

export class NodeState {
  readonly sharedState = SharedState.create();
  readonly indexSpace: IndexSpace;
  /** On the disk of log and snapshots, by the same bound. Nobody is told: it decides about files that are only kept. */
  readonly logSpace: IndexSpace;
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
  #control: Pick<ClusterControl, "view"> | null = null;
  #consistency: ConsistencyWatch | null = null;
  /** Why the peer port is not open; null: it is, or was not tried yet. */
  peerPortProblem: string | null = null;
  /** Some configuration of the log had this node among its members. */
  #hasBeenMember = false;
  #lastLedAtMs = Number.NEGATIVE_INFINITY;
  #leading: { id: string | null; term: number; sinceMs: number } = {
    id: null,
    term: 0,
    sinceMs: 0,
  };
  #replica: Replica | null = null;
  #log: DurableLog | null = null;
  #stateMachine: StateMachine | null = null;
  #db: IndexDatabase | null = null;
  #checks: Pick<StateChecks, "mismatches" | "lastEqualIndex"> | null = null;
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
    const { node, storage } = config;
    const freeMinBytes = storage.indexMinFreeBytes;
    this.indexSpace = new IndexSpace({ directory: node.dataDirectory, freeMinBytes });
    this.logSpace = new IndexSpace({ directory: node.logDirectory, freeMinBytes });
  }

  starting(doing: string): void {
    this.#phase = { kind: "starting", doing };
  }

  running(): void {
    this.#phase = { kind: "running" };
    // The waiting time begins now, not with the first probe.
    this.view();
  }

  /** Others have to act before the start goes on. */
  waiting(text: string): void {
    this.#phase = { kind: "waiting", text };
  }

  stopping(doing: string, timeoutMs: number): void {
    this.#stopDeadlineAtMs = performance.now() + timeoutMs;
    this.#phase = { kind: "stopping", doing, leftMs: timeoutMs };
  }

  /** The next part of the stop; its limit stays. */
  stoppingBy(doing: string): void {
    if (this.#phase.kind === "stopping") this.#phase = { ...this.#phase, doing };
  }

  httpListening(port: number): void {
    this.#httpPort = port;
  }

  attachIndex(stateMachine: StateMachine, db: IndexDatabase): void {
    this.#stateMachine = stateMachine;
    this.#db = db;
    const { indexMapBytes: sizeBytes } = this.#config.storage;
    this.indexSpace.attachMap(() => ({ liveBytes: db.liveBytes(), sizeBytes }));
  }

  attachLog(log: DurableLog): void {
    this.#log = log;
  }

  attachControl(control: Pick<ClusterControl, "view">): void {
    this.#control = control;
  }

  attachReplica(replica: Replica, hasBeenMember: boolean): void {
    this.#replica = replica;
    this.#hasBeenMember = hasBeenMember;
    this.#replayStartedAtMs = performance.now();
  }

  attachChecks(checks: Pick<StateChecks, "mismatches" | "lastEqualIndex">): void {
    this.#checks = checks;
  }

  attachConsistency(consistency: ConsistencyWatch): void {
    this.#consistency = consistency;
  }

  /** Role, leader or members changed. */
  memberChanged(): void {
    this.#watchLeader(this.#replica?.leader !== "");
    const replica = this.#replica?.status() ?? null;
    if (replica !== null) this.#leaderFor(replica.leader?.id ?? null, replica.term);
    const { isMember } = this.#seatOf(this.#control?.view() ?? null);
    if (isMember) this.#hasBeenMember = true;
  }

  attachPool(pool: ReaderPool, address: ListeningAddress): void {
    this.#pool = pool;
    this.#address = address;
  }

  get httpAddress(): string {
    const { address, port } = this.#config.http;
    return listeningAddress(address, this.#httpPort ?? port);
  }

  get websocketAddress(): string | null {
    return this.#address === null ? null : listeningAddress(this.#address.host, this.#address.port);
  }

  /** For the health checks. */
  view(): NodeView {
    const nowMs = performance.now();
    const replica = this.#replica?.status() ?? null;
    const cluster = this.#control?.view() ?? null;
    const isServing = this.#servingCount > 0 && this.#consistency?.isConsistent === true;
    if (isServing) this.#firstConsistentAtMs ??= nowMs;
    const hasLeader = replica !== null && replica.leader !== null;
    this.#watchLeader(hasLeader);
    this.#watchApply(replica, nowMs);
    const voters = cluster?.members.filter(({ suffrage }) => suffrage !== "learner") ?? [];
    return {
      phase: this.#phaseNow(replica, nowMs),
      hasLeader,
      leaderlessMs: sinceOrZero(this.#leaderlessSinceMs, nowMs),
      voterCount: cluster?.voters ?? 1,
      reachableVoterCount: cluster?.reachableVoters ?? 1,
      otherVoters: voters
        .filter(({ isSelf }) => !isSelf)
        .map(({ serverId: name, isConnected, problem }) => ({
          name,
          isReached: isConnected,
          problem,
        })),
      seat: this.#seatOf(cluster).seat,
      lag: this.#consistency?.lag ?? null,
      peerPortProblem: this.peerPortProblem,
      hasGivenUpLeadership: this.#hasGivenUpLeadership(replica, nowMs),
      applyPendingMs: sinceOrZero(this.#applyPendingSinceMs, nowMs),
      applyPendingIndex: this.#applyPendingIndex,
      logWritePendingMs: replica?.pendingWriteMs ?? 0,
      space: replica?.space ?? null,
      indexSpaceProblem: this.indexSpace.problem,
      indexFullProblem: this.indexSpace.fullProblem,
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
      compaction: this.#compactionStatus(),
      stateCheck: this.#stateCheck(),
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
    const cluster = this.#control?.view() ?? null;
    const { voters, reachableVoters } = cluster ?? replica;
    return {
      role: role === "leader" ? "leader" : "follower",
      leaderId: leader?.id ?? null,
      leaderForMs: this.#leaderFor(leader?.id ?? null, term),
      term,
      lastIndex,
      commitIndex,
      appliedIndex,
      voters,
      reachableVoters,
    };
  }

  /** How long this leader has led in this term, as far as this node knows. */
  #leaderFor(leaderId: string | null, term: number): number | null {
    const nowMs = performance.now();
    if (this.#leading.id !== leaderId || this.#leading.term !== term)
      this.#leading = { id: leaderId, term, sinceMs: nowMs };
    return leaderId === null ? null : Math.round(nowMs - this.#leading.sinceMs);
  }

  #seatOf(cluster: ClusterView | null): { readonly isMember: boolean; readonly seat: SeatView } {
    if (this.#replica === null || cluster === null)
      return { isMember: false, seat: { kind: "member" } };
    if (cluster.members.some(({ isSelf }) => isSelf))
      return { isMember: true, seat: { kind: "member" } };
    const { clusterId } = this;
    const { members, configurationIndex: atIndex } = cluster;
    if (members.length === 0) return { isMember: false, seat: { kind: "expected", clusterId } };
    const seat: SeatView = this.#hasBeenMember
      ? { kind: "removed", atIndex }
      : { kind: "outside", clusterId };
    return { isMember: false, seat };
  }

  /** It led when the write that hangs began, and another one may lead now. */
  #hasGivenUpLeadership(replica: ReturnType<Replica["status"]> | null, nowMs: number): boolean {
    if (replica === null || replica.voters < 2) return false;
    if (replica.role === "leader") this.#lastLedAtMs = nowMs;
    const { pendingWriteMs } = replica;
    const isRecent = nowMs - this.#lastLedAtMs < pendingWriteMs + LED_MARGIN_MS;
    return replica.role !== "leader" && pendingWriteMs > 0 && isRecent;
  }

  #stateCheck(): NodeStatus["stateCheck"] {
    if (this.#checks === null) return null;
    const { lastEqualIndex, mismatches } = this.#checks;
    return { lastEqualIndex, mismatches };
  }

  #compactionStatus(): NodeStatus["compaction"] {
    if (this.#stateMachine === null || this.#phase.kind === "stopping") return null;
    return compactionStatus(this.#stateMachine);
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
    if (replica?.install != null) return { kind: "restoring", ...replica.install };
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

  #watchLeader(hasLeader: boolean): void {
    if (hasLeader) this.#leaderlessSinceMs = null;
    else this.#leaderlessSinceMs ??= performance.now();
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

/** Some configuration of the log has the node among its members. */
export function wasMember(log: DurableLog, nodeId: string): boolean {
  return log.memberships.some(({ body }) =>
    decodeMembershipBatch({ body, bodyBytes: body.length }).members.some(({ id }) => id === nodeId),
  );
}
