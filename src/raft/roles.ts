/** Changes of role and term, and nothing else: every one of them goes through here (DESIGN.md 6-8). */

import { assert } from "../base/index.ts";
import { lastIndexOf, noopBatch } from "./batches.ts";
import { followMembers } from "./progress.ts";
import { isVoter } from "./quorum.ts";
import { type Core, type CoreState, drawElectionTimeout, type LeaderState } from "./state.ts";
import { type Batch, type MembershipAt, type NodeId, ROLE } from "./types.ts";
import { appendDurably, persistHardState } from "./work.ts";

/** Follows in `term`, which is at least the present one. `leader` is "" when unknown. */
export function becomeFollower(core: Core, term: number, leader: NodeId): void {
  const { state } = core;
  assert(term >= state.term, `Term ${term} behind term ${state.term}`);
  const isNews = term > state.term || state.role !== ROLE.follower || leader !== state.leader;
  if (!isNews) return;
  if (state.role !== ROLE.follower) state.electionElapsed = 0;
  state.role = ROLE.follower;
  state.leading = null;
  state.votes.clear();
  state.leader = leader;
  forgetLeader(state);
  drawElectionTimeout(state, core.random);
  if (term > state.term) raiseTerm(state, term, "");
  state.outbox.hasChanged = true;
}

export function becomePreCandidate(core: Core, campaignTerm: number): void {
  const { state } = core;
  assert(state.role !== ROLE.leader, "A leader does not ask for pre-votes");
  state.role = ROLE.preCandidate;
  state.campaignTerm = campaignTerm;
  startCampaign(core);
  // A pre-vote for itself promises nothing: it counts at once.
  state.votes.set(state.options.nodeId, true);
}

/** The own vote counts when it is durable (`countOwnVote`). */
export function becomeCandidate(core: Core, term: number): void {
  const { state } = core;
  assert(term > state.term, `Campaign in term ${term}, which is not above ${state.term}`);
  state.role = ROLE.candidate;
  state.campaignTerm = term;
  // What arrives now could change the log that the campaign speaks of (DESIGN.md 33).
  state.receiving = null;
  startCampaign(core);
  raiseTerm(state, term, state.options.nodeId);
}

function startCampaign(core: Core): void {
  const { state } = core;
  state.leading = null;
  state.leader = "";
  state.electionElapsed = 0;
  state.votes.clear();
  forgetLeader(state);
  drawElectionTimeout(state, core.random);
  state.outbox.hasChanged = true;
}

export function becomeLeader(core: Core): void {
  const { state } = core;
  const { log, options } = state;
  assert(state.role === ROLE.candidate, `Cannot lead as ${state.role}`);
  assert(state.work.durableTerm === state.term, "Leads in a term that is not durable");
  state.role = ROLE.leader;
  state.leader = options.nodeId;
  state.electionElapsed = 0;
  state.receiving = null;
  forgetLeader(state);
  const leading: LeaderState = {
    termStartIndex: log.lastIndex + 1,
    peers: new Map(),
    heartbeatElapsed: 0,
    transferTo: "",
    transferElapsed: 0,
    isTargetTold: false,
    uncommittedBytes: uncommittedBytes(state),
    readRound: 0,
    rounds: [],
    remoteReads: new Map(),
    coveredReadId: state.reads.grantedId,
  };
  state.leading = leading;
  followMembers(leading, liveMemberships(state), options.nodeId, log.lastIndex + 1);
  const place = {
    firstIndex: log.lastIndex + 1,
    term: state.term,
    appendedAtMs: log.lastAppendedAtMs,
  };
  appendAsLeader(state, noopBatch(place));
  state.outbox.hasChanged = true;
}

/** Appends an entry of the own term and lets the peers have it. */
export function appendAsLeader(state: CoreState, batch: Batch): void {
  const { leading } = state;
  assert(leading !== null, "Only a leader appends");
  leading.uncommittedBytes += batch.bodyBytes;
  if (appendDurably(state, batch)) membershipChanged(state);
  state.needsPump = true;
}

/** The configuration in force is another one, or fewer of them are open. */
export function membershipChanged(state: CoreState): void {
  const { leading, log, options } = state;
  state.outbox.hasChanged = true;
  if (leading === null) return;
  followMembers(leading, liveMemberships(state), options.nodeId, log.lastIndex + 1);
  state.needsPump = true;
}

/** The newest committed configuration and all behind it: a removed member hears of its removal. */
function liveMemberships({ log, commitIndex }: CoreState): readonly MembershipAt[] {
  const { memberships } = log;
  let first = memberships.length - 1;
  while (first > 0 && (memberships[first]?.index as number) > commitIndex) first -= 1;
  return memberships.slice(first);
}

function uncommittedBytes({ log, commitIndex }: CoreState): number {
  let bytes = 0;
  for (const batch of log.tail) if (lastIndexOf(batch) > commitIndex) bytes += batch.bodyBytes;
  return bytes;
}

function raiseTerm(state: CoreState, term: number, vote: NodeId): void {
  state.term = term;
  state.vote = vote;
  persistHardState(state);
}

/** What was asked of, or learned from, one leader is worth nothing under the next. */
function forgetLeader(state: CoreState): void {
  state.reads.request = null;
  state.rejoinIndex = 0;
  state.matchedIndex = 0;
  state.needsPump = true;
}

/**
 * Whether this member may ask for votes (DESIGN.md 7). A voter that an uncommitted configuration leaves out still may:
 * perhaps only its log has the entry that the others need to go on without it (dissertation 4.2.2).
 */
export function canCampaign(state: CoreState): boolean {
  if (state.abstains) return false;
  return liveMemberships(state).some(({ membership }) => isVoter(membership, state.options.nodeId));
}
