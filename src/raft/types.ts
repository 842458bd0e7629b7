/**
 * The language of the Raft core: what goes in, what comes out, what is promised. Spec: Raft (Ongaro, dissertation),
 * with the changes that DESIGN.md names. Everything here is plain data.
 */

import type { CommittedBatch } from "../protocol/index.ts";

/** Identity of a member, compared only. 16 hex digits made with the data directory; never used again after a wipe. */
export type NodeId = string;

// -- log ---------------------------------------------------------------------------------------------------------

export const BATCH_KIND = {
  /** Commands, or the no-op that opens a term. */
  entries: 1,
  /** Exactly one entry whose payload is a Membership (membership-codec.ts). */
  membership: 2,
} as const;
export type BatchKind = (typeof BATCH_KIND)[keyof typeof BATCH_KIND];

/** Consecutive entries of one term: one immutable byte range from socket to log to peers to apply. */
export interface Batch extends CommittedBatch {
  readonly kind: BatchKind;
}

/** Where terms begin in the log: entries from `firstIndex` to the next span are of `term`. Ascending in both. */
export interface TermSpan {
  readonly firstIndex: number;
  readonly term: number;
}

/** Term, vote and abstention: one atomic record of the log. */
export interface HardState {
  readonly term: number;
  /** Whom this member voted for in `term`; "" for nobody. */
  readonly vote: NodeId;
  /**
   * True after damage took entries that this member may have acknowledged: it neither votes nor campaigns until it
   * holds everything a leader has committed (DESIGN.md, "Abstention").
   */
  readonly abstains: boolean;
}

// -- membership --------------------------------------------------------------------------------------------------

export interface Member {
  readonly id: NodeId;
  /** Name that operators and clients know (spec raft-and-cluster 2). */
  readonly serverId: string;
  /** What other members dial. */
  readonly address: string;
}

/** A configuration. Id lists are sorted and without repeats; every id is in `members`. */
export interface Membership {
  readonly members: readonly Member[];
  readonly voters: readonly NodeId[];
  /** The voters of the configuration that is being left; empty unless joint. Both majorities decide while joint. */
  readonly votersOutgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Voters of the outgoing configuration that become learners when the joint one is left. */
  readonly learnersNext: readonly NodeId[];
}

export interface MembershipAt {
  /** Log index of the entry that brought it; 0 for a bootstrap that is not in the log. */
  readonly index: number;
  readonly membership: Membership;
}

export const CHANGE = {
  addLearner: "addLearner",
  addVoter: "addVoter",
  demote: "demote",
  remove: "remove",
  /** The same member at another address, or under another name. */
  readdress: "readdress",
} as const;

/** One wish; several in one proposal go through one joint configuration. */
export interface MembershipChange {
  readonly kind: (typeof CHANGE)[keyof typeof CHANGE];
  readonly member: Member;
}

// -- snapshots ---------------------------------------------------------------------------------------------------

/** What a snapshot stands for. Chunk i has `chunkBytes` bytes, the last one the rest. */
export interface SnapshotMeta {
  /** Names this very file: two snapshots of one index differ. */
  readonly id: string;
  /** Last log index in it, and its term. */
  readonly index: number;
  readonly term: number;
  /** The configuration of `index`, and where it stood in the log. */
  readonly membership: MembershipAt;
  /** Appended-at of the entry at `index`, Unix ms: log time never goes below. */
  readonly appendedAtMs: number;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunkCount: number;
  /** SHA-256 over the SHA-256 of every chunk, in order; 64 hex digits. */
  readonly digest: string;
}

// -- messages ----------------------------------------------------------------------------------------------------

export const MESSAGE = {
  preVote: 1,
  preVoteReply: 2,
  vote: 3,
  voteReply: 4,
  append: 5,
  appendReply: 6,
  heartbeat: 7,
  heartbeatReply: 8,
  readIndex: 9,
  readIndexReply: 10,
  snapshotChunk: 11,
  snapshotReply: 12,
  timeoutNow: 13,
} as const;

interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  /** Term of the sender; of a pre-vote: the term it would campaign in. */
  readonly term: number;
}

export interface PreVote extends Envelope {
  readonly kind: typeof MESSAGE.preVote;
  readonly lastIndex: number;
  readonly lastTerm: number;
}
export interface PreVoteReply extends Envelope {
  readonly kind: typeof MESSAGE.preVoteReply;
  /** Echo of the term that was asked for, against answers to an older question. */
  readonly askedTerm: number;
  readonly isGranted: boolean;
}
export interface Vote extends Envelope {
  readonly kind: typeof MESSAGE.vote;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** The campaign was asked for by the leader: stickiness does not apply. */
  readonly isTransfer: boolean;
}
export interface VoteReply extends Envelope {
  readonly kind: typeof MESSAGE.voteReply;
  readonly isGranted: boolean;
}
export interface Append extends Envelope {
  readonly kind: typeof MESSAGE.append;
  readonly previousIndex: number;
  readonly previousTerm: number;
  /** Consecutive from previousIndex + 1; may be empty (probe). */
  readonly batches: readonly Batch[];
  readonly commitIndex: number;
}
export interface AppendReply extends Envelope {
  readonly kind: typeof MESSAGE.appendReply;
  readonly isRejected: boolean;
  /** Accepted: the log matches the leader's up to here, durably. Rejected: the previousIndex that did not match. */
  readonly index: number;
  /** Rejected: where the sender's log may match at best, and the term of its entry there (term hints). */
  readonly hintIndex: number;
  readonly hintTerm: number;
}
export interface Heartbeat extends Envelope {
  readonly kind: typeof MESSAGE.heartbeat;
  /** min(match, commit) of the receiver. */
  readonly commitIndex: number;
  /** Newest read round that this heartbeat confirms; 0: none. Made by the leader, growing within its term. */
  readonly readRound: number;
}
export interface HeartbeatReply extends Envelope {
  readonly kind: typeof MESSAGE.heartbeatReply;
  readonly readRound: number;
}
/** A follower asks its leader for a read index. */
export interface ReadIndexRequest extends Envelope {
  readonly kind: typeof MESSAGE.readIndex;
  /** Grows with every request of this boot of the sender. */
  readonly requestId: number;
}
export interface ReadIndexReply extends Envelope {
  readonly kind: typeof MESSAGE.readIndexReply;
  readonly requestId: number;
  /** Reads that see everything up to here are linearizable. */
  readonly index: number;
}
export interface SnapshotChunk extends Envelope {
  readonly kind: typeof MESSAGE.snapshotChunk;
  readonly meta: SnapshotMeta;
  /** 0-based. */
  readonly chunk: number;
  /** Empty when it leaves the core (`Output.chunks`): the driver puts the bytes in. */
  readonly bytes: Uint8Array;
}
export interface SnapshotReply extends Envelope {
  readonly kind: typeof MESSAGE.snapshotReply;
  readonly snapshotId: string;
  /** The chunk that is missing next; chunkCount when all are there. */
  readonly nextChunk: number;
  /** The receiver cannot use this snapshot (damaged in transfer or on the disk): start again from chunk 0. */
  readonly isRejected: boolean;
}
export interface TimeoutNow extends Envelope {
  readonly kind: typeof MESSAGE.timeoutNow;
}

export type Message =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | ReadIndexRequest
  | ReadIndexReply
  | SnapshotChunk
  | SnapshotReply
  | TimeoutNow;

// -- in ----------------------------------------------------------------------------------------------------------

export interface RaftOptions {
  readonly nodeId: NodeId;
  /** Ticks without a leader before a campaign; each wait is drawn from [electionTicks, 2 * electionTicks). */
  readonly electionTicks: number;
  /** Ticks between heartbeats; below electionTicks / 2. */
  readonly heartbeatTicks: number;
  /** Bytes of entries in one append message; one batch may exceed it. */
  readonly appendMaxBytes: number;
  /** Append messages and bytes under way to one peer. */
  readonly inflightMaxMessages: number;
  readonly inflightMaxBytes: number;
  /** Snapshot chunks under way to one peer. */
  readonly inflightMaxChunks: number;
  /** Bytes of proposals not yet committed; above it they are refused. */
  readonly uncommittedMaxBytes: number;
  /** Bytes of durable, applied batches kept in memory for slow peers; older ones come from the LogView. */
  readonly tailMaxBytes: number;
  /** A learner that lags by at most this many entries may be promoted. */
  readonly promoteMaxLag: number;
}

/** What a start has found on the disk. */
export interface RaftStart {
  readonly hardState: HardState;
  /** Oldest entry in the log; the entry before it has `baseTerm` (0 for the very first). */
  readonly firstIndex: number;
  readonly baseTerm: number;
  readonly lastIndex: number;
  /** Terms from firstIndex to lastIndex. */
  readonly terms: readonly TermSpan[];
  /** Every configuration of the log, ascending, the first at or below the base. Empty: a member that waits to join. */
  readonly memberships: readonly MembershipAt[];
  readonly snapshot: SnapshotMeta | null;
  /** At least the snapshot's index, at most lastIndex. */
  readonly appliedIndex: number;
  /** What the log knows to be committed; between appliedIndex and lastIndex. */
  readonly commitIndex: number;
  /** Newest appended-at in log and snapshot, Unix ms. */
  readonly lastAppendedAtMs: number;
}

/** Durable entries that are no longer in memory. */
export interface LogView {
  /**
   * Batches from `fromIndex` on, at most through `throughIndex`, about `maxBytes`, at least one; or null when they have
   * to be read first: the driver then calls `logLoaded`. The core never asks below the log's first index.
   */
  slice(fromIndex: number, throughIndex: number, maxBytes: number): readonly Batch[] | null;
}

/** 32 random bits per call; seeded in the simulator. */
export type RandomU32 = () => number;

export const PROPOSE_REFUSAL = {
  notLeader: "not_leader",
  /** Leads, but hands over right now. */
  transferring: "transferring",
  uncommittedBytes: "uncommitted_bytes",
  /** A configuration change is not finished, or the leader has not committed in its term yet. */
  changePending: "change_pending",
  /** The change makes no sense: unknown member, no voter left, learner too far behind. */
  invalidChange: "invalid_change",
} as const;
export type ProposeRefusal = (typeof PROPOSE_REFUSAL)[keyof typeof PROPOSE_REFUSAL];

export type ProposeOutcome =
  | {
      readonly ok: true;
      readonly firstIndex: number;
      readonly term: number;
      readonly appendedAtMs: number;
    }
  | { readonly ok: false; readonly refusal: ProposeRefusal; readonly detail: string };

export interface ProposedEntries {
  /** Entries back to back, 8-aligned; kept by the core, must not change any more. */
  readonly body: Uint8Array;
  readonly bodyBytes: number;
  readonly count: number;
  /** Log time taken as it is, Unix ms; left out: the clamped `nowMs`. For conformance runs of one voter only. */
  readonly appendedAtMs?: number | undefined;
}

// -- out ---------------------------------------------------------------------------------------------------------

/** One piece of durable work. Pieces become durable in order of `sequence`; `durable(sequence, term)` reports it. */
export interface AppendWork {
  /** Grows by one per piece of this boot. */
  readonly sequence: number;
  /** Term at which the work was made; comes back with the report (ABA). */
  readonly term: number;
  readonly hardState: HardState | null;
  /** Entries from here on are given up before `batches` are appended. */
  readonly truncateFrom: { readonly fromIndex: number; readonly previousTerm: number } | null;
  readonly batches: readonly Batch[];
  /**
   * The received snapshot takes the place of the state, before anything later. `keepsLog`: entries behind its index
   * match and stay; otherwise the whole log goes.
   */
  readonly install: { readonly meta: SnapshotMeta; readonly keepsLog: boolean } | null;
  /** Leave only when this piece is durable: votes, acknowledgements, rejections. The core releases them itself. */
  readonly afterDurable: readonly Message[];
}

/** Every read with a local id up to `throughId` may be answered from a state that has applied `index`. */
export interface ReadGrant {
  readonly throughId: number;
  readonly index: number;
  readonly term: number;
}

/** A chunk that has arrived and is to be kept; `chunkStored` reports it. */
export interface ChunkWork {
  readonly meta: SnapshotMeta;
  readonly chunk: number;
  readonly bytes: Uint8Array;
}

/** Reusable: `drain` fills it, the driver empties it by handling everything before the next `drain`. */
export interface Output {
  /** May leave now, in this order per peer. */
  readonly send: Message[];
  readonly append: AppendWork[];
  readonly reads: ReadGrant[];
  /** To be sent with their bytes put in; dropped when the snapshot is gone or the core's term has moved on. */
  readonly chunks: SnapshotChunk[];
  readonly storeChunks: ChunkWork[];
  /** Log ranges that a peer needs and memory does not hold: read, hand to the LogView, report `logLoaded(peer)`. */
  readonly load: { readonly peer: NodeId; readonly fromIndex: number; readonly maxBytes: number }[];
  /** Role, term, leader or configuration changed since the last drain. */
  hasChanged: boolean;
}

export const ROLE = {
  follower: "follower",
  preCandidate: "preCandidate",
  candidate: "candidate",
  leader: "leader",
} as const;
export type Role = (typeof ROLE)[keyof typeof ROLE];

export const PROGRESS = {
  probe: "probe",
  replicate: "replicate",
  snapshot: "snapshot",
} as const;

/** How a leader sees a peer. */
export interface PeerStatus {
  readonly id: NodeId;
  readonly state: (typeof PROGRESS)[keyof typeof PROGRESS];
  readonly matchIndex: number;
  readonly nextIndex: number;
  readonly inflightMessages: number;
  readonly inflightBytes: number;
  /** Heard of within an election timeout. */
  readonly isActive: boolean;
}

export interface RaftStatus {
  readonly nodeId: NodeId;
  readonly role: Role;
  readonly term: number;
  readonly vote: NodeId;
  /** "" when unknown. */
  readonly leader: NodeId;
  readonly transferTo: NodeId;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly durableIndex: number;
  readonly commitIndex: number;
  /** Committed AND durable here: what may be applied. */
  readonly applicableIndex: number;
  readonly appliedIndex: number;
  readonly uncommittedBytes: number;
  /** Ticks since the disk last reported, while it owes a report; 0: it owes none. */
  readonly stalledTicks: number;
  readonly abstains: boolean;
  readonly membership: MembershipAt;
  readonly peers: readonly PeerStatus[];
}
