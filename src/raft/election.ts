/** Campaigns, votes and handing over on the receiving side (DESIGN.md 6-13). */

import { countVotes, type VoteResult } from "./quorum.ts";
import { currentMembership, lastTerm } from "./raft-log.ts";
import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  canCampaign,
} from "./roles.ts";
import { type Core, type CoreState, drop, send } from "./state.ts";
import {
  MESSAGE,
  type NodeId,
  type PreVote,
  type PreVoteReply,
  ROLE,
  type TimeoutNow,
  type Vote,
  type VoteReply,
} from "./types.ts";
import { holdReply, isStalled, persistHardState } from "./work.ts";

/** A leader was heard of within the shortest election timeout, or this member is it: nobody else is needed. */
function hasLiveLeader(state: CoreState): boolean {
  if (state.role === ROLE.leader) return true;
  return state.leader !== "" && state.electionElapsed < state.options.electionTicks;
}

/** Asks for pre-votes in a term of at least `termAtLeast`; a sole voter goes on to the election. */
export function campaign(core: Core, termAtLeast: number): void {
  const { state } = core;
  if (!canCampaign(state) || isStalled(state)) return;
  const term = Math.max(state.term + 1, termAtLeast);
  if (state.role === ROLE.leader) {
    // Its own wish: the others need not wait until they miss it.
    if (state.term < termAtLeast) elect(core, term, true);
    return;
  }
  becomePreCandidate(core, term);
  if (tally(state) === "won") return elect(core, term, false);
  const { lastIndex } = state.log;
  for (const to of otherVoters(state)) {
    send(state, {
      kind: MESSAGE.preVote,
      from: state.options.nodeId,
      to,
      term,
      lastIndex,
      lastTerm: lastTerm(state.log),
    });
  }
}

/** A real election. Requests leave when the own vote is durable. */
function elect(core: Core, term: number, isTransfer: boolean): void {
  const { state } = core;
  becomeCandidate(core, term);
  const { lastIndex } = state.log;
  for (const to of otherVoters(state)) {
    holdReply(state, {
      kind: MESSAGE.vote,
      from: state.options.nodeId,
      to,
      term,
      lastIndex,
      lastTerm: lastTerm(state.log),
      isTransfer,
    });
  }
}

/** The own vote counts like that of the others: when it is durable. */
export function countOwnVote(core: Core): void {
  const { state } = core;
  if (state.role !== ROLE.candidate || state.work.durableTerm !== state.term) return;
  const { nodeId } = state.options;
  if (state.votes.has(nodeId)) return;
  state.votes.set(nodeId, true);
  if (tally(state) === "won") becomeLeader(core);
}

export function tickElection(core: Core): void {
  const { state } = core;
  state.electionElapsed += 1;
  if (state.electionElapsed < state.electionTimeout) return;
  if (!canCampaign(state) || isStalled(state)) return;
  campaign(core, 0);
}

export function handlePreVote(core: Core, message: PreVote): void {
  const { state } = core;
  // A promise of nothing: neither the term nor the vote changes.
  const isGranted =
    message.term > state.term &&
    !state.abstains &&
    !hasLiveLeader(state) &&
    isUpToDate(state, message.lastIndex, message.lastTerm);
  holdReply(state, {
    kind: MESSAGE.preVoteReply,
    from: state.options.nodeId,
    to: message.from,
    term: state.term,
    askedTerm: message.term,
    isGranted,
  });
}

export function handlePreVoteReply(core: Core, message: PreVoteReply): void {
  const { state } = core;
  if (!isVoterHere(state, message.from)) return drop(state);
  if (!message.isGranted && message.term > state.term) {
    return becomeFollower(core, message.term, "");
  }
  if (state.role !== ROLE.preCandidate || message.askedTerm !== state.campaignTerm) return;
  record(state, message.from, message.isGranted);
  const result = tally(state);
  if (result === "won") elect(core, state.campaignTerm, false);
  if (result === "lost") becomeFollower(core, state.term, "");
}

/** In a term of at most the own one; a higher one was taken over before. */
export function handleVote(core: Core, message: Vote): void {
  const { state } = core;
  const isGranted =
    message.term === state.term &&
    !state.abstains &&
    (state.vote === message.from || (state.vote === "" && state.leader === "")) &&
    isUpToDate(state, message.lastIndex, message.lastTerm);
  if (isGranted) {
    if (state.role === ROLE.preCandidate) becomeFollower(core, state.term, "");
    state.electionElapsed = 0;
    if (state.vote === "") {
      state.vote = message.from;
      persistHardState(state);
    }
  }
  holdReply(state, {
    kind: MESSAGE.voteReply,
    from: state.options.nodeId,
    to: message.from,
    term: state.term,
    isGranted,
  });
}

/** Whether a request for votes in a higher term may raise ours: not while a leader is alive (stickiness). */
export function maySpendTermOn(state: CoreState, message: Vote): boolean {
  return message.isTransfer || !hasLiveLeader(state);
}

export function handleVoteReply(core: Core, message: VoteReply): void {
  const { state } = core;
  if (!isVoterHere(state, message.from)) return drop(state);
  if (state.role !== ROLE.candidate) return;
  record(state, message.from, message.isGranted);
  const result = tally(state);
  if (result === "won") becomeLeader(core);
  if (result === "lost") becomeFollower(core, state.term, "");
}

/** The leader hands over: an election at once, without asking whether it is welcome. */
export function handleTimeoutNow(core: Core, message: TimeoutNow): void {
  const { state } = core;
  const isFromLeader = message.term === state.term && message.from === state.leader;
  if (!isFromLeader || state.role !== ROLE.follower) return drop(state);
  if (!canCampaign(state) || isStalled(state)) return;
  elect(core, state.term + 1, true);
}

function record(state: CoreState, from: NodeId, isGranted: boolean): void {
  // The first answer counts; a second one is an echo.
  if (!state.votes.has(from)) state.votes.set(from, isGranted);
}

function tally(state: CoreState): VoteResult {
  return countVotes(currentMembership(state.log).membership, state.votes);
}

function isVoterHere(state: CoreState, id: NodeId): boolean {
  const { voters, votersOutgoing } = currentMembership(state.log).membership;
  return voters.includes(id) || votersOutgoing.includes(id);
}

/** Ascending: the order of messages is part of the trace. */
function otherVoters(state: CoreState): NodeId[] {
  const { voters, votersOutgoing } = currentMembership(state.log).membership;
  const ids = new Set([...voters, ...votersOutgoing]);
  ids.delete(state.options.nodeId);
  return [...ids].sort();
}

/** Paper 5.4.1. */
function isUpToDate({ log }: CoreState, index: number, term: number): boolean {
  const ownTerm = lastTerm(log);
  return term > ownTerm || (term === ownTerm && index >= log.lastIndex);
}
