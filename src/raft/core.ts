/**
 * The Raft core: takes inputs one at a time and hands out what has to be done about them (contract.ts). This file only
 * sends each input to its rule; DESIGN.md numbers the rules.
 */

import { assert } from "../base/index.ts";
import { membershipBatch } from "./batches.ts";
import type { Raft } from "./contract.ts";
import {
  campaign,
  countOwnVote,
  handlePreVote,
  handlePreVoteReply,
  handleTimeoutNow,
  handleVote,
  handleVoteReply,
  maySpendTermOn,
  tickElection,
} from "./election.ts";
import { answerOldLeader, handleAppend, handleHeartbeat, maybeRejoin } from "./follower.ts";
import { bootstrapMembership, changeMembership, refuse } from "./membership.ts";
import { isPlausible } from "./message-check.ts";
import { isJoint, isMember } from "./quorum.ts";
import { currentMembership, sliceTail, tailFirst, termAt, trimTail } from "./raft-log.ts";
import {
  beginRound,
  grantRead,
  handleReadIndex,
  handleReadIndexReply,
  requestReads,
  tellCommit,
  tickReads,
} from "./reads.ts";
import {
  handleAppendReply,
  handleHeartbeatReply,
  handleLogLoaded,
  handleUnreachable,
  maybeCommit,
  replicate,
  tickLeader,
  transfer,
} from "./replication.ts";
import { appendAsLeader, becomeFollower, membershipChanged } from "./roles.ts";
import { handleSnapshotReply } from "./snapshot-sender.ts";
import { chunkStored, compact, handleSnapshotChunk, snapshotTaken } from "./snapshots.ts";
import { type Core, type CoreState, createState, drop } from "./state.ts";
import { statusOf } from "./status.ts";
import {
  type Batch,
  BATCH_KIND,
  type LogView,
  type Member,
  type MembershipChange,
  type Message,
  MESSAGE,
  type NodeId,
  type Output,
  type ProposedEntries,
  type ProposeOutcome,
  PROPOSE_REFUSAL,
  type RaftOptions,
  type RaftStart,
  type RaftStatus,
  type RandomU32,
  ROLE,
  type SnapshotMeta,
} from "./types.ts";
import { ageWork, appendDurably, closePiece, persistHardState, reportDurable } from "./work.ts";

const NO_BATCHES: readonly Batch[] = [];

export class RaftCore implements Raft, Core {
  /** Everything that the core remembers. Readable by tests; written by nobody else. */
  readonly state: CoreState;
  readonly view: LogView;
  readonly random: RandomU32;

  constructor(options: RaftOptions, start: RaftStart, log: LogView, random: RandomU32) {
    this.view = log;
    this.random = random;
    this.state = createState(options, start, random);
  }

  /** A core that goes on from a copy of another one's state: for exploration. */
  static resume(state: CoreState, log: LogView, random: RandomU32): RaftCore {
    const core = Object.create(RaftCore.prototype) as RaftCore;
    return Object.assign(core, { state, view: log, random });
  }

  // -- in ----------------------------------------------------------------------------------------------------------

  step(message: Message): void {
    const { state } = this;
    if (!isPlausible(message, state.options.nodeId)) return drop(state);
    if (message.term > state.term && !acceptTerm(this, message)) return;
    if (message.term < state.term && !isForAnyTerm(message)) {
      return answerOldTerm(this, message);
    }
    dispatch(this, message);
    checkInvariants(state);
  }

  tick(): void {
    ageWork(this.state);
    if (this.state.role === ROLE.leader) tickLeader(this);
    else {
      tickElection(this);
      tickReads(this.state);
    }
  }

  propose(entries: ProposedEntries, nowMs: number): ProposeOutcome {
    const { state } = this;
    const { leading, log, term, options } = state;
    const { body, bodyBytes, count } = entries;
    assert(count > 0 && bodyBytes <= body.length, `${count} entries in ${bodyBytes} bytes`);
    assert(Number.isSafeInteger(nowMs) && nowMs >= 0, `${nowMs} is not a time in ms`);
    if (leading === null) return refuse(PROPOSE_REFUSAL.notLeader, "");
    if (leading.transferTo !== "") {
      return refuse(PROPOSE_REFUSAL.transferring, `to "${leading.transferTo}"`);
    }
    const { uncommittedBytes } = leading;
    if (uncommittedBytes > 0 && uncommittedBytes + bodyBytes > options.uncommittedMaxBytes) {
      const detail = `${uncommittedBytes} bytes, limit is ${options.uncommittedMaxBytes}`;
      return refuse(PROPOSE_REFUSAL.uncommittedBytes, detail);
    }
    const firstIndex = log.lastIndex + 1;
    // Clocks may jump back; the log's time must not, or leases would come back to life.
    const appendedAtMs = entries.appendedAtMs ?? Math.max(nowMs, log.lastAppendedAtMs);
    const kind = BATCH_KIND.entries;
    appendAsLeader(state, { kind, firstIndex, term, appendedAtMs, count, body, bodyBytes });
    return { ok: true, firstIndex, term, appendedAtMs };
  }

  bootstrap(members: readonly Member[]): void {
    const { state } = this;
    const { log, options } = state;
    assert(log.lastIndex === 0, `Cannot bootstrap: the log has ${log.lastIndex} entries`);
    const membership = bootstrapMembership(members);
    assert(
      membership.voters.includes(options.nodeId),
      `Cannot bootstrap without "${options.nodeId}"`,
    );
    if (state.term === 0) {
      state.term = 1;
      persistHardState(state);
    }
    appendDurably(state, membershipBatch({ firstIndex: 1, term: 1, appendedAtMs: 0 }, membership));
    membershipChanged(state);
  }

  changeMembership(changes: readonly MembershipChange[], nowMs: number): ProposeOutcome {
    assert(Number.isSafeInteger(nowMs) && nowMs >= 0, `${nowMs} is not a time in ms`);
    return changeMembership(this.state, changes, nowMs);
  }

  transfer(to: NodeId): string | null {
    return transfer(this.state, to);
  }

  campaign(termAtLeast = 0): void {
    campaign(this, termAtLeast);
  }

  read(localId: number): void {
    const { reads } = this.state;
    assert(localId > reads.newestId, `Read ${localId} after read ${reads.newestId}`);
    reads.newestId = localId;
    this.state.needsPump = true;
  }

  grantRead(from: NodeId, term: number): number | null {
    return grantRead(this.state, from, term);
  }

  tellCommit(id: NodeId, index: number): void {
    tellCommit(this.state, id, index);
  }

  // -- reports -----------------------------------------------------------------------------------------------------

  durable(sequence: number, term: number): void {
    const { state } = this;
    if (!reportDurable(state, sequence, term)) return;
    countOwnVote(this);
    if (state.leading !== null) maybeCommit(this);
    maybeRejoin(state);
    trimDone(this.state);
    checkInvariants(state);
  }

  applied(index: number): void {
    const { state } = this;
    // What was being applied when a snapshot came may still be reported.
    const through = Math.min(state.commitIndex, state.log.durableIndex);
    assert(index <= through || index === state.installIndex, `Applied ${index} above ${through}`);
    assert(index >= state.appliedIndex, `Applied ${index} after ${state.appliedIndex}`);
    state.appliedIndex = index;
    if (index >= state.installIndex) state.installIndex = 0;
    trimDone(this.state);
  }

  logLoaded(peer: NodeId, isGone: boolean): void {
    handleLogLoaded(this.state, peer, isGone);
  }

  chunkStored(meta: SnapshotMeta, nextChunk: number, isDamaged: boolean): void {
    chunkStored(this, meta, nextChunk, isDamaged);
    checkInvariants(this.state);
  }

  snapshotTaken(meta: SnapshotMeta): void {
    snapshotTaken(this.state, meta);
  }

  compact(throughIndex: number): void {
    compact(this.state, throughIndex);
  }

  unreachable(peer: NodeId): void {
    handleUnreachable(this.state, peer);
  }

  // -- out ---------------------------------------------------------------------------------------------------------

  drain(out: Output): void {
    const { state } = this;
    const { outbox } = state;
    if (state.needsPump) {
      state.needsPump = false;
      if (state.leading !== null) {
        beginRound(state);
        // Behind the grants of rounds: who was granted an index is told that it is committed.
        replicate(this);
      } else {
        requestReads(state);
      }
    }
    closePiece(state);
    out.hasChanged = outbox.hasChanged;
    outbox.hasChanged = false;
    move(outbox.send, out.send);
    move(outbox.append, out.append);
    move(outbox.reads, out.reads);
    move(outbox.chunks, out.chunks);
    move(outbox.storeChunks, out.storeChunks);
    move(outbox.load, out.load);
  }

  applicable(fromIndex: number, maxBytes: number): readonly Batch[] | null {
    const { log } = this.state;
    const through = this.applicableIndex;
    if (fromIndex > through) return NO_BATCHES;
    return fromIndex < tailFirst(log) ? null : sliceTail(log, fromIndex, through, maxBytes);
  }

  certain(fromIndex: number, maxBytes: number): readonly Batch[] {
    const { log, term, installIndex } = this.state;
    if (!this.isAlone || installIndex > 0 || termAt(log, fromIndex) !== term) return NO_BATCHES;
    return sliceTail(log, fromIndex, log.lastIndex, maxBytes);
  }

  status(): RaftStatus {
    return statusOf(this.state, this.applicableIndex);
  }

  get term(): number {
    return this.state.term;
  }

  get isLeader(): boolean {
    return this.state.role === ROLE.leader;
  }

  get isAlone(): boolean {
    const { log, options } = this.state;
    const { membership } = currentMembership(log);
    const { voters } = membership;
    // A leader that is being removed leads until that is committed, and may leave one voter behind: another one.
    const isSoleVoter = voters.length === 1 && voters[0] === options.nodeId;
    return this.isLeader && isSoleVoter && !isJoint(membership);
  }

  get leader(): NodeId {
    return this.state.leader;
  }

  get commitIndex(): number {
    return this.state.commitIndex;
  }

  /** Nothing while a snapshot is on its way into the state: what would be applied is about to be replaced. */
  get applicableIndex(): number {
    const { commitIndex, appliedIndex, installIndex, log } = this.state;
    if (installIndex > 0) return appliedIndex;
    return Math.min(commitIndex, log.durableIndex);
  }

  get lastIndex(): number {
    return this.state.log.lastIndex;
  }
}

/** No private method: `resume` makes cores without running the constructor. */
function trimDone({ log, appliedIndex, options }: CoreState): void {
  // Who is alone is asked by nobody for what is applied.
  const hasPeers = currentMembership(log).membership.members.length > 1;
  const keepBytes = hasPeers ? options.tailMaxBytes : 0;
  trimTail(log, Math.min(appliedIndex, log.durableIndex), keepBytes);
}

/** Questions and answers about a term that nobody is in yet. */
function isForAnyTerm({ kind }: Message): boolean {
  return kind === MESSAGE.preVote || kind === MESSAGE.preVoteReply;
}

/** A message of a higher term. Answers whether it is to be handled. */
function acceptTerm(core: Core, message: Message): boolean {
  const { state } = core;
  const { kind, from, term } = message;
  switch (kind) {
    case MESSAGE.preVote:
    case MESSAGE.preVoteReply:
      return true;
    case MESSAGE.append:
    case MESSAGE.heartbeat:
    case MESSAGE.snapshotChunk:
      // Also of a stranger: the configuration with it may be in what it sends.
      becomeFollower(core, term, from);
      return true;
    case MESSAGE.vote:
      if (!maySpendTermOn(state, message)) return false;
      becomeFollower(core, term, "");
      return true;
    case MESSAGE.voteReply:
    case MESSAGE.appendReply:
    case MESSAGE.heartbeatReply:
    case MESSAGE.snapshotReply:
      if (isMember(currentMembership(state.log).membership, from)) becomeFollower(core, term, "");
      else drop(state);
      return false;
    default:
      drop(state);
      return false;
  }
}

function answerOldTerm(core: Core, message: Message): void {
  switch (message.kind) {
    case MESSAGE.append:
    case MESSAGE.heartbeat:
    case MESSAGE.snapshotChunk:
      return answerOldLeader(core.state, message.from);
    case MESSAGE.vote:
      return handleVote(core, message);
    default:
      return;
  }
}

function dispatch(core: Core, message: Message): void {
  const { state } = core;
  switch (message.kind) {
    case MESSAGE.preVote:
      return handlePreVote(core, message);
    case MESSAGE.preVoteReply:
      return handlePreVoteReply(core, message);
    case MESSAGE.vote:
      return handleVote(core, message);
    case MESSAGE.voteReply:
      return handleVoteReply(core, message);
    case MESSAGE.append:
      return handleAppend(core, message);
    case MESSAGE.appendReply:
      return handleAppendReply(core, message);
    case MESSAGE.heartbeat:
      return handleHeartbeat(core, message);
    case MESSAGE.heartbeatReply:
      return handleHeartbeatReply(core, message);
    case MESSAGE.readIndex:
      return handleReadIndex(state, message);
    case MESSAGE.readIndexReply:
      return handleReadIndexReply(state, message);
    case MESSAGE.snapshotChunk:
      return handleSnapshotChunk(core, message);
    case MESSAGE.snapshotReply:
      return handleSnapshotReply(state, message);
    case MESSAGE.timeoutNow:
      return handleTimeoutNow(core, message);
    default:
      return drop(state);
  }
}

function checkInvariants(state: CoreState): void {
  const { appliedIndex, commitIndex, log, leading, role, installIndex } = state;
  const { lastIndex, durableIndex } = log;
  assert(appliedIndex <= commitIndex, `Applied ${appliedIndex} > commit ${commitIndex}`);
  assert(commitIndex <= lastIndex, `Commit ${commitIndex} > last ${lastIndex}`);
  assert(durableIndex <= lastIndex, `Durable ${durableIndex} > last ${lastIndex}`);
  assert(
    appliedIndex <= durableIndex || installIndex > 0,
    `Applied ${appliedIndex} > durable ${durableIndex}`,
  );
  assert((leading !== null) === (role === ROLE.leader), `Role ${role} with a leader's state`);
  assert(leading === null || leading.uncommittedBytes >= 0, "Uncommitted bytes below 0");
}

function move<T>(from: T[], to: T[]): void {
  to.length = 0;
  if (from.length === 0) return;
  for (const item of from) to.push(item);
  from.length = 0;
}
