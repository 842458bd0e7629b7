/**
 * Linearizable reads (DESIGN.md 29-32). A leader confirms by a round of heartbeats that begins after the reads arrived
 * that it still leads; a follower asks its leader for an index, and where the two are a quorum, that is the round.
 *
 * Local ids grow, so that a read is known by "everything up to": nothing is kept per read.
 */

import { hasQuorum, isMember, quorumIndex } from "./quorum.ts";
import { currentMembership } from "./raft-log.ts";
import { sendHeartbeat } from "./heartbeats.ts";
import { type CoreState, drop, type LeaderState, type RemoteRead, send } from "./state.ts";
import { MESSAGE, type NodeId, type ReadIndexReply, type ReadIndexRequest, ROLE } from "./types.ts";

/**
 * Rounds under way at once. Who comes meanwhile shares the next one: that is half a round trip more, and under load one
 * round, which costs every member a turn, serves the reads of all members.
 */
const ROUNDS_MAX = 1;

/** Everything that waits rides on a new round, unless this leader may not answer yet. */
export function beginRound(state: CoreState): void {
  const leading = state.leading as LeaderState;
  // A smaller configuration, or a hand-over that came to nothing, may have confirmed what was begun before.
  confirmRounds(state);
  const hasReads = state.reads.newestId > leading.coveredReadId || leading.remoteReads.size > 0;
  if (!hasReads || leading.rounds.length >= ROUNDS_MAX) return;
  if (!mayAnswer(state, leading)) return;
  const requests: RemoteRead[] = [];
  for (const [from, requestId] of leading.remoteReads) requests.push({ from, requestId });
  leading.remoteReads.clear();
  leading.readRound += 1;
  leading.coveredReadId = state.reads.newestId;
  leading.rounds.push({
    round: leading.readRound,
    throughId: leading.coveredReadId,
    index: state.commitIndex,
    requests,
  });
  for (const peer of leading.peers.values()) sendHeartbeat(state, peer);
  confirmRounds(state);
}

/**
 * Before the first commit of its term a leader does not know what is committed; while it hands over, somebody else may
 * be about to commit.
 */
function mayAnswer({ commitIndex }: CoreState, leading: LeaderState): boolean {
  return commitIndex >= leading.termStartIndex && leading.transferTo === "";
}

/** Grants the rounds that a quorum has confirmed. Confirmations of a later round count for the earlier ones. */
export function confirmRounds(state: CoreState): void {
  const leading = state.leading as LeaderState;
  const { rounds } = leading;
  if (rounds.length === 0 || leading.transferTo !== "") return;
  const { nodeId } = state.options;
  const confirmed = quorumIndex(currentMembership(state.log).membership, (id) =>
    id === nodeId ? leading.readRound : (leading.peers.get(id)?.readRound ?? 0),
  );
  for (;;) {
    const first = rounds[0];
    if (first === undefined || first.round > confirmed) break;
    rounds.shift();
    state.needsPump = true;
    grant(state, first.throughId, first.index);
    for (const request of first.requests) answer(state, request, first.index);
  }
}

function answer(state: CoreState, { from, requestId }: RemoteRead, index: number): void {
  tellCommit(state, from, index);
  const { nodeId } = state.options;
  const { term } = state;
  send(state, { kind: MESSAGE.readIndexReply, from: nodeId, to: from, term, requestId, index });
}

/** Who asked is about to wait until it has applied that much. */
export function tellCommit(state: CoreState, id: NodeId, index: number): void {
  const peer = state.leading?.peers.get(id);
  if (peer === undefined || peer.sentCommitIndex >= index) return;
  peer.isCommitDue = true;
  state.needsPump = true;
}

function grant(state: CoreState, throughId: number, index: number): void {
  const { reads, outbox, term } = state;
  if (throughId <= reads.grantedId) return;
  reads.grantedId = throughId;
  outbox.reads.push({ throughId, index, term });
}

export function handleReadIndex(state: CoreState, message: ReadIndexRequest): void {
  const { leading, log } = state;
  // A follower that was wrong about its leader asks again when it knows better.
  if (leading === null || message.term !== state.term) return;
  const { from, requestId } = message;
  if (!isMember(currentMembership(log).membership, from)) return drop(state);
  state.needsPump = true;
  if (isRound(state, leading, from)) {
    return answer(state, { from, requestId }, state.commitIndex);
  }
  const waiting = leading.remoteReads.get(from) ?? 0;
  if (requestId > waiting) leading.remoteReads.set(from, requestId);
}

/** The same question on another way; null where it is no round by itself. */
export function grantRead(state: CoreState, from: NodeId, term: number): number | null {
  const { leading, commitIndex } = state;
  if (leading === null || term !== state.term || !isRound(state, leading, from)) return null;
  tellCommit(state, from, commitIndex);
  return commitIndex;
}

/** The asker was in this term when it asked, after its reads had come: what a round would have it say. */
function isRound(state: CoreState, leading: LeaderState, from: NodeId): boolean {
  const { membership } = currentMembership(state.log);
  const { nodeId } = state.options;
  return mayAnswer(state, leading) && hasQuorum(membership, (id) => id === nodeId || id === from);
}

// -- on a follower -------------------------------------------------------------------------------------------------

/** One request at a time; it covers what has arrived until now, and nothing later rides on it. */
export function requestReads(state: CoreState): void {
  const { reads, leader, term, options } = state;
  const isWaiting = reads.newestId > reads.grantedId;
  if (!isWaiting || reads.request !== null || leader === "" || state.role !== ROLE.follower) return;
  reads.requestId += 1;
  const { requestId } = reads;
  reads.request = { requestId, leader, term, throughId: reads.newestId, waitedTicks: 0 };
  send(state, { kind: MESSAGE.readIndex, from: options.nodeId, to: leader, term, requestId });
}

export function handleReadIndexReply(state: CoreState, message: ReadIndexReply): void {
  const { request } = state.reads;
  // The answer to an earlier request, or of an earlier leader: too old for those who wait now.
  if (request === null || message.requestId !== request.requestId) return;
  if (message.from !== request.leader || message.term !== request.term) return;
  state.reads.request = null;
  state.needsPump = true;
  grant(state, request.throughId, message.index);
}

/** A request without an answer is given up for a new one. */
export function tickReads(state: CoreState): void {
  const { request } = state.reads;
  if (request === null) return;
  request.waitedTicks += 1;
  if (request.waitedTicks <= 2 * state.options.heartbeatTicks) return;
  state.reads.request = null;
  state.needsPump = true;
}
