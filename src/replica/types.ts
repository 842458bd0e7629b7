/** What the driver needs of the state machine, and what it promises to its callers. */

import type { HearthError, LeaderHint } from "../base/index.ts";
import type { CommittedBatch } from "../protocol/index.ts";
import { COUNT_BUCKETS, Tally } from "../metrics/index.ts";
import type { NodeId, PeerStatus, Role, SnapshotMeta } from "../raft/index.ts";
import { ElectionCount } from "./elections.ts";
import type { SnapshotSource } from "./ports.ts";

/** What applying a range did; see state/apply.ts. */
export interface ApplyOutcome {
  /** One code per entry, in order: 0 applied, 1 nothing changed, 2 rejected. */
  readonly outcomes: Uint8Array;
  /** Why entries were rejected, by position in `outcomes`. */
  readonly rejections: ReadonlyMap<number, string>;
}

/** The replicated state, as far as the driver is concerned. */
export interface StateMachine {
  /** Log index of the last entry in the state, staged ones included; 0: none. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Applies a range in one transaction. Throws only when the database fails: then nothing of the range happened. */
  apply(batches: readonly CommittedBatch[]): ApplyOutcome;
  /** `apply` without the commit: decided, but seen by no reader, and gone after a crash, before `commit`. */
  stage?(batches: readonly CommittedBatch[]): ApplyOutcome;
  /**
   * `stage` of entries that are not committed yet, but will be as soon as they are durable. Null: they have to wait, since
   * somebody else than the database and their callers may learn of them. Only together with `abandon`.
   */
  stageAhead?(batch: CommittedBatch): ApplyOutcome | null;
  /** Takes back everything that was staged since the last commit. */
  abandon?(): void;
  /** Does what `stage` has decided and put off, for the time after the answers; `commit` does it, too. */
  writeStaged?(): void;
  /** Commits what was staged, all or nothing; there only together with `stage`. */
  commit?(): void;
  /** A bounded piece of cleaning up, for idle times; true while more is left. */
  sweep?(): boolean;
  /**
   * An image of the committed state, for a snapshot; the driver closes it. Given at once it is of the state now; given
   * later, of a state that was committed meanwhile, which its index tells.
   */
  openSnapshot?(): SnapshotSource | Promise<SnapshotSource>;
  /**
   * Puts a snapshot in the place of the state, all or nothing: a crash before the end leaves the state as it was.
   * Readers keep their view until they look again.
   */
  install?(meta: SnapshotMeta, source: SnapshotSource): Promise<void>;
}

/** What reader threads may see of this member. */
export interface PublishedState {
  readonly term: number;
  /** At or above every entry that was acknowledged. */
  readonly commitIndex: number;
  /** What every read transaction that begins now sees. */
  readonly appliedIndex: number;
  /** Leads, and has applied an entry of its own term. */
  readonly isLeader: boolean;
  /** The commit index alone proves a strong read: leads, and is the only voter. */
  readonly canGrantReads: boolean;
}

/** Outcome of a proposal. */
export type ProposeResult =
  | {
      readonly ok: true;
      /** Log index of its first entry. */
      readonly firstIndex: number;
      readonly term: number;
      /** One code per entry. Borrowed until `done` returns. */
      readonly outcomes: Uint8Array;
      /** Why entries were rejected, by position in `outcomes`; mostly empty. */
      readonly rejections: ReadonlyMap<number, string>;
    }
  /** `sent` tells whether the entries may have been logged: "no" is certain, "maybe" is not. */
  | { readonly ok: false; readonly error: HearthError };

export type ProposeDone = (result: ProposeResult) => void;

export interface Proposal {
  /**
   * Log entries back to back (protocol, entry-body.ts), at a multiple of 8 in their ArrayBuffer. The driver keeps
   * them until `done`, and for slow peers beyond it; they must not change any more.
   */
  readonly body: Uint8Array;
  /** Used bytes of `body`. */
  readonly bodyBytes: number;
  /** Entries in the body. */
  readonly count: number;
  /** Log time of the entries, Unix ms, taken as it is; left out: now. For conformance runs only. */
  readonly appendedAtMs?: number | undefined;
}

export type ReadIndexResult =
  /** Reads that see everything up to `index` are linearizable. */
  | { readonly ok: true; readonly index: number; readonly term: number }
  | { readonly ok: false; readonly error: HearthError };

export type ReadIndexDone = (result: ReadIndexResult) => void;

export const PHASE = {
  opening: "opening",
  replaying: "replaying",
  ready: "ready",
  stopping: "stopping",
  stopped: "stopped",
  failed: "failed",
} as const;
export type Phase = (typeof PHASE)[keyof typeof PHASE];

/** How this member is doing; plain numbers for status pages and metrics. */
export interface ReplicaStatus {
  readonly phase: Phase;
  /** The phase in words: "replaying 812000 of 1204551". */
  readonly text: string;
  /** "leader" only once it has applied an entry of its own term; before, it is still a candidate to its callers. */
  readonly role: Role;
  readonly nodeId: NodeId;
  /** The leader by the names that operators know, as far as this member knows. */
  readonly leader: LeaderHint | null;
  readonly term: number;
  readonly firstIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lastIndex: number;
  /** Voters of the newest configuration; of both while joint. */
  readonly voters: number;
  /** Of these, the ones that this member hears of; a follower knows of itself and its leader only. */
  readonly reachableVoters: number;
  /** How the leader sees its peers; empty elsewhere. */
  readonly peers: readonly PeerStatus[];
  /** Log index of the newest snapshot; 0: none. */
  readonly snapshotIndex: number;
  /** A snapshot that is taking the place of the state. */
  readonly install: InstallStatus | null;
  readonly abstains: boolean;
  /** Replay: entries applied so far, and entries to apply. */
  readonly replayedEntries: number;
  readonly replayEntries: number;
  readonly pendingProposals: number;
  readonly uncommittedBytes: number;
  /** How long the log write in flight has been on its way, ms; 0: none. */
  readonly pendingWriteMs: number;
  /** What keeps the next segment of the log from being made; null: nothing. */
  readonly space: SpaceProblem | null;
  /** Why the member stopped, when phase is "failed". */
  readonly failure: HearthError | null;
}

export interface SpaceProblem {
  readonly text: string;
  /** The last room is used up: writes are refused. */
  readonly isReadOnly: boolean;
}

export interface InstallStatus {
  readonly index: number;
  readonly term: number;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly elapsedMs: number;
}

/** What can fail about a snapshot; a closed set, used as a metric label. */
export const SNAPSHOT_STAGES = ["take", "receive", "install"] as const;
export type SnapshotStage = (typeof SNAPSHOT_STAGES)[number];

/** Counters for the metrics; they only grow, but for the last ones, which are of the latest range. */
export interface ReplicaStats {
  proposals: number;
  entries: number;
  /** Proposals refused, by reason. */
  readonly refused: Record<RefusalReason, number>;
  appliedRanges: number;
  appliedEntries: number;
  /** Of these, the ones that were staged while the disk of the log still had them. */
  stagedAhead: number;
  /** Database transactions. */
  commits: number;
  /** Read indexes that were asked for, by this member's readers and by others. */
  reads: number;
  sentMessages: number;
  receivedMessages: number;
  leaderChanges: number;
  /** Campaigns, by what became of them. */
  readonly elections: ElectionCount;
  /** Entries that were proposed at once. */
  readonly batchEntries: Tally;
  /** Reads that were granted at once. */
  readonly readsPerRound: Tally;
  snapshotsTaken: number;
  snapshotsInstalled: number;
  readonly snapshotFailures: Record<SnapshotStage, number>;
  /** Unix ms at which the newest snapshot of this process was verified; 0: none. */
  lastSnapshotAtMs: number;
  /** How long it took, ms. */
  lastSnapshotMs: number;
  lastApplyMs: number;
}

/** Why a proposal or a read was refused; a closed set, used as a metric label. */
export const REFUSAL_REASONS = [
  "not_ready",
  "shutting_down",
  "failed",
  "not_leader",
  "transferring",
  "too_large",
  "uncommitted_bytes",
  "reads_waiting",
  "no_leader",
  "disk_full",
  "index_full",
  "change_pending",
  "invalid_change",
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export function createReplicaStats(): ReplicaStats {
  const refused = Object.fromEntries(REFUSAL_REASONS.map((reason) => [reason, 0]));
  return {
    proposals: 0,
    entries: 0,
    refused: refused as Record<RefusalReason, number>,
    appliedRanges: 0,
    appliedEntries: 0,
    stagedAhead: 0,
    commits: 0,
    reads: 0,
    sentMessages: 0,
    receivedMessages: 0,
    leaderChanges: 0,
    elections: new ElectionCount(),
    batchEntries: new Tally(COUNT_BUCKETS),
    readsPerRound: new Tally(COUNT_BUCKETS),
    snapshotsTaken: 0,
    snapshotsInstalled: 0,
    snapshotFailures: { take: 0, receive: 0, install: 0 },
    lastSnapshotAtMs: 0,
    lastSnapshotMs: 0,
    lastApplyMs: 0,
  };
}
