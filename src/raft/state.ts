/**
 * Everything the core knows, as one tree of plain objects, arrays and maps: tests copy, hash and print it. Nothing
 * else in the core has a memory. DESIGN.md says which rule keeps which field right.
 */

import { assertRaftOptions } from "./options.ts";
import { createLog, type LogState } from "./raft-log.ts";
import type {
  AppendWork,
  HardState,
  LogView,
  Message,
  NodeId,
  Output,
  RaftOptions,
  RaftStart,
  RandomU32,
  Role,
  SnapshotMeta,
} from "./types.ts";
import { createOutput } from "./output.ts";
import { type PROGRESS, ROLE } from "./types.ts";
import { createWork, type WorkState } from "./work-state.ts";

/** State and the two things it takes from outside. RaftCore is one. */
export interface Core {
  readonly state: CoreState;
  readonly view: LogView;
  readonly random: RandomU32;
}

/** What a leader knows about one peer. Invariant: matchIndex < nextIndex. */
export interface Progress {
  readonly id: NodeId;
  state: (typeof PROGRESS)[keyof typeof PROGRESS];
  /** The peer's log is durably equal to ours up to here. Falls only when the peer proves that it lost entries. */
  matchIndex: number;
  nextIndex: number;
  /** Probing: one append is under way; nothing more until an answer, or a sign of life. */
  isPaused: boolean;
  /** The next append goes out even when it is empty: to find out what arrived. */
  isProbeDue: boolean;
  /** Entries are being read from the disk for this peer. */
  isLoading: boolean;
  /** Highest commit index that this peer was told. */
  sentCommitIndex: number;
  /** Somebody waits for this peer to know what is committed: it is told without waiting for entries (DESIGN.md 22). */
  isCommitDue: boolean;
  /** Last index and bytes of each append under way, oldest first; inflightBytes is the sum. */
  readonly inflightIndexes: number[];
  readonly inflightSizes: number[];
  inflightBytes: number;
  /** Ticks since this peer was heard of. */
  silentTicks: number;
  /** Newest read round that this peer has confirmed. */
  readRound: number;
  /** Present exactly in state snapshot. */
  transfer: ChunkProgress | null;
}

/** A snapshot on its way to a peer. Invariant: ackedChunk <= nextChunk <= chunkCount. */
export interface ChunkProgress {
  readonly meta: SnapshotMeta;
  ackedChunk: number;
  /** Next chunk to send. */
  nextChunk: number;
  /** What the newest answer asked for: where to start again after a silence. */
  wantedChunk: number;
  /** Ticks without progress. */
  idleTicks: number;
  /** Went back to ackedChunk once since the last progress: more answers of that kind are echoes. */
  hasRewound: boolean;
}

/** Reads that ride on one round of heartbeats. */
export interface ReadRound {
  readonly round: number;
  readonly throughId: number;
  readonly index: number;
  readonly requests: readonly RemoteRead[];
}

export interface RemoteRead {
  readonly from: NodeId;
  readonly requestId: number;
}

/** Exists exactly while leading. */
export interface LeaderState {
  /** Index of the no-op that opened the term. */
  readonly termStartIndex: number;
  /** Everybody but this member who is or was until now in the configuration; ascending by id. */
  readonly peers: Map<NodeId, Progress>;
  heartbeatElapsed: number;
  /** "" when not handing over. */
  transferTo: NodeId;
  transferElapsed: number;
  /** TimeoutNow has left since the last heartbeat. */
  isTargetTold: boolean;
  /** Bytes of entries in the tail that are not committed. */
  uncommittedBytes: number;
  /** Newest round of this term. */
  readRound: number;
  readonly rounds: ReadRound[];
  /** Newest request per follower, waiting for the next round. */
  readonly remoteReads: Map<NodeId, number>;
  /** Local reads up to here are in a round. */
  coveredReadId: number;
}

export interface ReadState {
  /** Newest local id that was asked for. */
  newestId: number;
  /** Everything up to here was granted. */
  grantedId: number;
  /** Newest id of a request to a leader. Starts at random: answers to an earlier boot must not fit. */
  requestId: number;
  /** The one request under way; it covers local reads up to throughId. */
  request: {
    readonly requestId: number;
    readonly leader: NodeId;
    readonly term: number;
    readonly throughId: number;
    waitedTicks: number;
  } | null;
}

/** A snapshot that is arriving. */
export interface Receiving {
  readonly meta: SnapshotMeta;
  /** Whom to answer. */
  leader: NodeId;
  term: number;
  /** Stored chunks: [0, nextChunk). */
  nextChunk: number;
}

export interface CoreState {
  readonly options: RaftOptions;
  role: Role;
  term: number;
  vote: NodeId;
  abstains: boolean;
  /** While abstaining: once durable up to here, this member holds all that its leader had committed. 0: unknown. */
  rejoinIndex: number;
  /** While abstaining: up to here the log matches the present leader's, as accepted appends have shown. 0: unknown. */
  matchedIndex: number;
  leader: NodeId;
  electionElapsed: number;
  /** Drawn from [electionTicks, 2 * electionTicks). */
  electionTimeout: number;
  /** Term that the present pre-vote or vote asks for. */
  campaignTerm: number;
  /** Answers to the present pre-vote or vote. */
  readonly votes: Map<NodeId, boolean>;
  readonly log: LogState;
  readonly work: WorkState;
  commitIndex: number;
  appliedIndex: number;
  /** Newest snapshot that may be sent. */
  snapshot: SnapshotMeta | null;
  receiving: Receiving | null;
  /** Index of a snapshot that is being installed and not yet reported as applied; 0: none. */
  installIndex: number;
  leading: LeaderState | null;
  readonly reads: ReadState;
  readonly outbox: Outbox;
  /** Something may have to be sent that `drain` works out. */
  needsPump: boolean;
  /** Peer messages that made no sense. */
  droppedMessages: number;
}

/** What waits for the next drain. */
export type Outbox = Pick<Output, "send" | "reads" | "chunks" | "storeChunks" | "load"> & {
  readonly append: AppendWork[];
  hasChanged: boolean;
};

export function createState(options: RaftOptions, start: RaftStart, random: RandomU32): CoreState {
  assertRaftOptions(options);
  const { term, vote, abstains }: HardState = start.hardState;
  const state: CoreState = {
    options,
    role: ROLE.follower,
    term,
    vote,
    abstains,
    rejoinIndex: 0,
    matchedIndex: 0,
    leader: "",
    electionElapsed: 0,
    electionTimeout: 0,
    campaignTerm: 0,
    votes: new Map(),
    log: createLog(start),
    work: createWork(term),
    commitIndex: start.commitIndex,
    appliedIndex: start.appliedIndex,
    snapshot: start.snapshot,
    receiving: null,
    installIndex: 0,
    leading: null,
    reads: { newestId: 0, grantedId: 0, requestId: random(), request: null },
    outbox: { ...createOutput(), hasChanged: true },
    needsPump: false,
    droppedMessages: 0,
  };
  drawElectionTimeout(state, random);
  return state;
}

export function drawElectionTimeout(state: CoreState, random: RandomU32): void {
  const { electionTicks } = state.options;
  state.electionTimeout = electionTicks + Math.floor((random() / 0x1_0000_0000) * electionTicks);
}

/** May leave now: promises nothing that is not durable. Everything else goes through `holdReply` (work.ts). */
export function send(state: CoreState, message: Message): void {
  state.outbox.send.push(message);
}

export function drop(state: CoreState): void {
  state.droppedMessages += 1;
}
