/** The leader's side: what goes to whom, what comes back, what is committed (DESIGN.md 20-28). */

import { assert } from "../base/index.ts";
import { lastIndexOf, sliceBatch } from "./batches.ts";
import { raiseCommit } from "./commit.ts";
import { sendHeartbeats } from "./heartbeats.ts";
import { maybeLeaveJoint } from "./membership.ts";
import {
  addInflight,
  assertProgress,
  becomeProbe,
  becomeReplicate,
  becomeSnapshot,
  freeInflight,
} from "./progress.ts";
import { hasQuorum, isVoter, quorumIndex } from "./quorum.ts";
import { currentMembership, lastWithTermAtMost, sliceTail, tailFirst, termAt } from "./raft-log.ts";
import { confirmRounds } from "./reads.ts";
import { becomeFollower } from "./roles.ts";
import { sendChunks, tickChunks } from "./snapshot-sender.ts";
import { type Core, type CoreState, drop, type LeaderState, type Progress, send } from "./state.ts";
import {
  type AppendReply,
  type Batch,
  type HeartbeatReply,
  MESSAGE,
  type NodeId,
  PROGRESS,
} from "./types.ts";
import { isStalled } from "./work.ts";

const NO_BATCHES: readonly Batch[] = [];
const NO_PEERS: readonly Progress[] = [];

// -- out -----------------------------------------------------------------------------------------------------------

/** Sends every peer what it lacks and its window allows. */
export function replicate(core: Core): void {
  const leading = core.state.leading as LeaderState;
  for (const peer of leading.peers.values()) {
    if (peer.state === PROGRESS.snapshot) {
      sendChunks(core.state, peer);
      continue;
    }
    while (sendAppend(core, peer));
    assertProgress(peer);
  }
}

/** Sends one append when there is something to say. Answers whether there may be more. */
function sendAppend(core: Core, peer: Progress): boolean {
  const { state } = core;
  const { log, options, commitIndex } = state;
  if (peer.isPaused || peer.isLoading) return false;
  const isFull =
    peer.inflightIndexes.length >= options.inflightMaxMessages ||
    peer.inflightBytes >= options.inflightMaxBytes;
  const hasEntries = peer.nextIndex <= log.lastIndex && !isFull;
  const hasCommit = peer.isCommitDue && !isFull;
  if (!hasEntries && !hasCommit && !peer.isProbeDue) return false;
  const previousIndex = peer.nextIndex - 1;
  const previousTerm = termAt(log, previousIndex);
  if (previousTerm < 0) {
    startSnapshot(state, peer);
    return false;
  }
  const batches = hasEntries ? entriesFor(core, peer) : NO_BATCHES;
  if (batches === null) return false;
  peer.isProbeDue = false;
  peer.sentCommitIndex = commitIndex;
  peer.isCommitDue = false;
  send(state, {
    kind: MESSAGE.append,
    from: options.nodeId,
    to: peer.id,
    term: state.term,
    previousIndex,
    previousTerm,
    batches,
    commitIndex,
  });
  if (peer.state === PROGRESS.probe) {
    peer.isPaused = true;
    return false;
  }
  const last = batches.at(-1);
  if (last === undefined) return false;
  let bytes = 0;
  for (const batch of batches) bytes += batch.bodyBytes;
  peer.nextIndex = lastIndexOf(last) + 1;
  addInflight(peer, peer.nextIndex - 1, bytes);
  return true;
}

/** Batches from the peer's next entry on, or null when they are being read from the disk. */
function entriesFor(core: Core, peer: Progress): readonly Batch[] | null {
  const { state, view } = core;
  const { log, options, outbox } = state;
  const { nextIndex } = peer;
  const first = tailFirst(log);
  const maxBytes = options.appendMaxBytes;
  if (nextIndex >= first) return sliceTail(log, nextIndex, log.lastIndex, maxBytes);
  const batches = view.slice(nextIndex, first - 1, maxBytes);
  if (batches === null) {
    peer.isLoading = true;
    outbox.load.push({ peer: peer.id, fromIndex: nextIndex, maxBytes });
    return null;
  }
  const head = batches[0];
  assert(head !== undefined, `The log view has nothing from ${nextIndex} on`);
  assert(
    head.firstIndex <= nextIndex && nextIndex <= lastIndexOf(head),
    `The log view answers ${head.firstIndex}..${lastIndexOf(head)} for ${nextIndex}`,
  );
  if (head.firstIndex === nextIndex) return batches;
  return [sliceBatch(head, nextIndex, lastIndexOf(head)), ...batches.slice(1)];
}

/** The entries that this peer needs are gone. Without a sign of life it may wait. */
function startSnapshot(state: CoreState, peer: Progress): void {
  if (state.snapshot === null || peer.silentTicks >= state.options.electionTicks) return;
  becomeSnapshot(peer, state.snapshot);
  sendChunks(state, peer);
}

// -- in ------------------------------------------------------------------------------------------------------------

export function handleAppendReply(core: Core, message: AppendReply): void {
  const { state } = core;
  const peer = state.leading?.peers.get(message.from);
  if (peer === undefined) return drop(state);
  peer.silentTicks = 0;
  state.needsPump = true;
  if (message.isRejected) return handleRejection(state, peer, message);
  if (message.index > state.log.lastIndex) return drop(state);
  const isNews = message.index > peer.matchIndex;
  if (isNews) {
    peer.matchIndex = message.index;
    peer.nextIndex = Math.max(peer.nextIndex, message.index + 1);
  }
  if (peer.state === PROGRESS.probe && message.index === peer.matchIndex) becomeReplicate(peer);
  const isThere = peer.state === PROGRESS.snapshot && peer.matchIndex >= state.log.firstIndex - 1;
  if (isThere) becomeReplicate(peer);
  freeInflight(peer, message.index);
  if (isNews) maybeCommit(core);
  if (state.leading !== null) maybeSendTimeoutNow(state, peer);
}

/** Probing finds where the logs part. A match that the peer itself disowns was lost by it (DESIGN.md 24). */
function handleRejection(state: CoreState, peer: Progress, message: AppendReply): void {
  if (peer.state === PROGRESS.snapshot) return;
  if (peer.state === PROGRESS.replicate) return becomeProbe(peer);
  // An answer to an earlier probe.
  if (message.index !== peer.nextIndex - 1) return;
  if (message.index <= peer.matchIndex) peer.matchIndex = 0;
  const { log } = state;
  const hint = Math.min(message.hintIndex, message.index - 1);
  becomeProbe(peer, lastWithTermAtMost(log, hint, message.hintTerm) + 1);
}

export function handleHeartbeatReply(core: Core, message: HeartbeatReply): void {
  const { state } = core;
  const { leading } = state;
  const peer = leading?.peers.get(message.from);
  if (!leading || peer === undefined || message.readRound > leading.readRound) return drop(state);
  peer.silentTicks = 0;
  // Alive: what was sent before and is not answered may be lost.
  peer.isPaused = false;
  if (peer.matchIndex < state.log.lastIndex && peer.state !== PROGRESS.snapshot) {
    peer.isProbeDue = true;
  }
  state.needsPump = true;
  if (message.readRound > peer.readRound) {
    peer.readRound = message.readRound;
    confirmRounds(state);
  }
  maybeSendTimeoutNow(state, peer);
}

export function handleUnreachable(state: CoreState, id: NodeId): void {
  const peer = state.leading?.peers.get(id);
  if (peer === undefined || peer.state === PROGRESS.snapshot) return;
  becomeProbe(peer);
  // The next sign of life starts it again: sending at once would only fail again.
  peer.isPaused = true;
}

export function handleLogLoaded(state: CoreState, id: NodeId, isGone: boolean): void {
  const peer = state.leading?.peers.get(id);
  if (peer === undefined) return;
  peer.isLoading = false;
  peer.isProbeDue = true;
  state.needsPump = true;
  const { snapshot } = state;
  // Cut behind our back: asking again would not bring them back.
  const isInSnapshot = isGone && snapshot !== null && peer.nextIndex <= snapshot.index;
  if (isInSnapshot && peer.state !== PROGRESS.snapshot) becomeSnapshot(peer, snapshot);
}

// -- commit --------------------------------------------------------------------------------------------------------

/** Counts who holds what durably. Only an entry of the own term is committed by counting (paper 5.4.2). */
export function maybeCommit(core: Core): void {
  const { state } = core;
  const { log } = state;
  const leading = state.leading as LeaderState;
  const { nodeId } = state.options;
  const { membership } = currentMembership(log);
  const index = quorumIndex(membership, (id) =>
    id === nodeId ? log.durableIndex : (leading.peers.get(id)?.matchIndex ?? 0),
  );
  if (index <= state.commitIndex || termAt(log, index) !== state.term) return;
  const isChangeCommitted = currentMembership(log).index > state.commitIndex;
  // What others act upon is told at once; everything else goes with the next entries, or the next heartbeat.
  const isAwaited = isChangeCommitted || state.commitIndex < leading.termStartIndex;
  if (isAwaited) for (const peer of leading.peers.values()) peer.isCommitDue = true;
  const before = isChangeCommitted ? [...leading.peers.values()] : NO_PEERS;
  raiseCommit(state, index);
  tellRemoved(core, before);
  state.needsPump = true;
  maybeLeaveJoint(state);
  stepDownIfRemoved(core);
}

/**
 * Members that are followed no more get a last append: once they know that their removal is committed, they never
 * campaign again. It may be lost; such a member asks for pre-votes, which are refused.
 */
function tellRemoved(core: Core, before: readonly Progress[]): void {
  const leading = core.state.leading as LeaderState;
  for (const peer of before) {
    if (leading.peers.has(peer.id) || peer.state === PROGRESS.snapshot) continue;
    while (sendAppend(core, peer));
  }
}

/** The configuration without this leader is committed: its work is done, and the others should not wait for it. */
function stepDownIfRemoved(core: Core): void {
  const { state } = core;
  const { index, membership } = currentMembership(state.log);
  if (index > state.commitIndex || isVoter(membership, state.options.nodeId)) return;
  const leading = state.leading as LeaderState;
  replicate(core);
  for (const peer of leading.peers.values()) {
    const isReady = peer.matchIndex === state.log.lastIndex;
    if (!isReady || !membership.voters.includes(peer.id)) continue;
    sendTimeoutNow(state, peer.id);
    break;
  }
  becomeFollower(core, state.term, "");
}

// -- time and handing over -----------------------------------------------------------------------------------------

export function tickLeader(core: Core): void {
  const { state } = core;
  const leading = state.leading as LeaderState;
  const { electionTicks, heartbeatTicks } = state.options;
  for (const peer of leading.peers.values()) {
    peer.silentTicks += 1;
    if (peer.transfer !== null) tickChunks(state, peer);
  }
  if (leading.transferTo !== "") {
    leading.transferElapsed += 1;
    if (leading.transferElapsed >= electionTicks) endTransfer(state, leading);
  }
  // Without its disk, or without the others, it only keeps a better leader from being elected.
  if (isStalled(state) || !hasActiveQuorum(state, leading)) {
    return becomeFollower(core, state.term, "");
  }
  maybeLeaveJoint(state);
  leading.heartbeatElapsed += 1;
  if (leading.heartbeatElapsed >= heartbeatTicks) sendHeartbeats(state);
}

function endTransfer(state: CoreState, leading: LeaderState): void {
  leading.transferTo = "";
  state.outbox.hasChanged = true;
  state.needsPump = true;
}

function hasActiveQuorum(state: CoreState, leading: LeaderState): boolean {
  const { nodeId, electionTicks } = state.options;
  const { membership } = currentMembership(state.log);
  return hasQuorum(membership, (id) => {
    if (id === nodeId) return true;
    return (leading.peers.get(id)?.silentTicks ?? electionTicks) < electionTicks;
  });
}

/** Begins to hand over. Answers why it cannot, or null. */
export function transfer(state: CoreState, to: NodeId): string | null {
  const { leading, log, options } = state;
  if (leading === null) return "this member does not lead";
  if (leading.transferTo === to) return null;
  if (leading.transferTo !== "") return `leadership is being handed to "${leading.transferTo}"`;
  if (to === options.nodeId) return "this member leads already";
  const { membership } = currentMembership(log);
  if (!membership.voters.includes(to)) return `"${to}" is not a voter`;
  leading.transferTo = to;
  leading.transferElapsed = 0;
  state.outbox.hasChanged = true;
  leading.isTargetTold = false;
  maybeSendTimeoutNow(state, leading.peers.get(to) as Progress);
  return null;
}

/** Sent again with the first sign of life after each heartbeat: it may be lost, and a second one is harmless. */
function maybeSendTimeoutNow(state: CoreState, peer: Progress): void {
  const { leading, log } = state;
  if (leading?.transferTo !== peer.id || leading.isTargetTold) return;
  if (peer.matchIndex < log.lastIndex) return;
  leading.isTargetTold = true;
  sendTimeoutNow(state, peer.id);
}

function sendTimeoutNow(state: CoreState, to: NodeId): void {
  send(state, { kind: MESSAGE.timeoutNow, from: state.options.nodeId, to, term: state.term });
}
