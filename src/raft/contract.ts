/** The core as its driver sees it. core.ts implements it; DESIGN.md says why it looks like this. */

import type {
  Batch,
  Member,
  MembershipChange,
  Message,
  NodeId,
  Output,
  ProposedEntries,
  ProposeOutcome,
  RaftStatus,
  SnapshotMeta,
} from "./types.ts";

/**
 * Pure and synchronous: no I/O, clock, timer, promise or random number of its own. Inputs change the state; `drain`
 * hands out what has to be done about it. Anything a peer may send is checked; a broken promise of the driver asserts.
 */
export interface Raft {
  /** A message of a member, decoded; older boots of the sender and other clusters are kept out by the transport. */
  step(message: Message): void;
  /** The only notion of time. */
  tick(): void;
  /** Appends to the leader's log. `nowMs` is the wall clock; log time is clamped so that it never decreases. */
  propose(entries: ProposedEntries, nowMs: number): ProposeOutcome;
  /** Entry 1 of a new cluster: an empty log, this member among the voters, the same call with equal members on each. */
  bootstrap(members: readonly Member[]): void;
  changeMembership(changes: readonly MembershipChange[], nowMs: number): ProposeOutcome;
  /** Hands leadership to `to`; ends by itself after an election timeout. Answers why it cannot, or null. */
  transfer(to: NodeId): string | null;
  /** Starts an election at once, in a term of at least `termAtLeast`; a sole voter wins it by itself. */
  campaign(termAtLeast?: number): void;
  /** Local reads, granted in order of their growing ids (`Output.reads`). Never dropped: the caller keeps deadlines. */
  read(localId: number): void;
  /**
   * The index for reads that had come to `from` when it was in `term` and asked for one, beside its messages (DESIGN.md 29).
   * Null: this member does not lead in that term, or only a round can tell; then `read` does.
   */
  grantRead(from: NodeId, term: number): number | null;
  /** What `read` was granted was for member `id`, which is about to wait until it has applied that much: it hears at once. */
  tellCommit(id: NodeId, index: number): void;

  // Reports of the driver.
  /** Everything up to this piece of work is on stable storage. `term` is the one of the AppendWork. */
  durable(sequence: number, term: number): void;
  /** The state has applied everything up to here. Also after an install. */
  applied(index: number): void;
  /** `Output.load` for this peer can be answered by the LogView now; `isGone`: the entries have been cut meanwhile. */
  logLoaded(peer: NodeId, isGone: boolean): void;
  /**
   * The receiver holds chunks [0, nextChunk) durably. `isDamaged`: nothing is left of it, since the whole is not what meta
   * says, or since it cannot be kept here (no room); the sender begins again after a while.
   */
  chunkStored(meta: SnapshotMeta, nextChunk: number, isDamaged: boolean): void;
  /** A snapshot was taken, read back and verified: peers may get it, and `compact` may go up to its index. */
  snapshotTaken(meta: SnapshotMeta): void;
  /** Gives up entries up to `throughIndex`, at most the snapshot's; the driver then cuts the log. */
  compact(throughIndex: number): void;
  /** The connection to a peer was lost: what was under way may not have arrived. */
  unreachable(peer: NodeId): void;

  /** Fills `out`. Allocates nothing when there is nothing to do. */
  drain(out: Output): void;
  /** Batches to apply, in order from appliedIndex + 1 within applicableIndex; null: not in memory, read the log. */
  applicable(fromIndex: number, maxBytes: number): readonly Batch[] | null;
  /**
   * Batches from `fromIndex` on, at least one where there is one, that are committed as soon as they are durable here: those
   * of the term of a leader that `isAlone`. Nobody can replace them any more; a crash can take them out of the log.
   */
  certain(fromIndex: number, maxBytes: number): readonly Batch[];
  status(): RaftStatus;
  readonly term: number;
  readonly isLeader: boolean;
  /** Leads, and is the only voter of the newest configuration. */
  readonly isAlone: boolean;
  readonly leader: NodeId;
  readonly commitIndex: number;
  readonly applicableIndex: number;
  readonly lastIndex: number;
}
