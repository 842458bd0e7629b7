/**
 * Changes of the configuration (dissertation 4.3; DESIGN.md 41-46).
 *
 * ```
 *  old --propose--> joint (old and new decide) --committed: the leader by itself--> new
 * ```
 *
 * A change that touches learners or addresses only is one entry: the voters, and with them every quorum, stay the same.
 */

import { membershipBatch } from "./batches.ts";
import { membershipProblem } from "./codec/index.ts";
import { isJoint } from "./quorum.ts";
import { currentMembership } from "./raft-log.ts";
import { appendAsLeader } from "./roles.ts";
import type { CoreState, LeaderState } from "./state.ts";
import {
  CHANGE,
  type Member,
  type Membership,
  type MembershipChange,
  type NodeId,
  PROPOSE_REFUSAL,
  type ProposeOutcome,
  type ProposeRefusal,
} from "./types.ts";

export type TargetResult =
  | { readonly ok: true; readonly membership: Membership }
  | { readonly ok: false; readonly detail: string };

export function refuse(refusal: ProposeRefusal, detail: string): ProposeOutcome {
  return { ok: false, refusal, detail };
}

export function changeMembership(
  state: CoreState,
  changes: readonly MembershipChange[],
  nowMs: number,
): ProposeOutcome {
  const { leading, log } = state;
  if (leading === null) return refuse(PROPOSE_REFUSAL.notLeader, "");
  if (leading.transferTo !== "") {
    return refuse(PROPOSE_REFUSAL.transferring, `to "${leading.transferTo}"`);
  }
  const current = currentMembership(log);
  if (state.commitIndex < leading.termStartIndex) {
    return refuse(PROPOSE_REFUSAL.changePending, "nothing is committed in this term yet");
  }
  if (current.index > state.commitIndex || isJoint(current.membership)) {
    return refuse(PROPOSE_REFUSAL.changePending, `the change at ${current.index} is not finished`);
  }
  const target = changedMembership(current.membership, changes, (id) => lagOf(state, id));
  if (!target.ok) return refuse(PROPOSE_REFUSAL.invalidChange, target.detail);
  return appendMembership(state, target.membership, nowMs);
}

function appendMembership(state: CoreState, membership: Membership, nowMs: number): ProposeOutcome {
  const { log, term } = state;
  const firstIndex = log.lastIndex + 1;
  const appendedAtMs = Math.max(nowMs, log.lastAppendedAtMs);
  appendAsLeader(state, membershipBatch({ firstIndex, term, appendedAtMs }, membership));
  return { ok: true, firstIndex, term, appendedAtMs };
}

/** Why a member cannot be promoted, or null. */
function lagOf(state: CoreState, id: NodeId): string | null {
  const { lastIndex } = state.log;
  const { promoteMaxLag } = state.options;
  const matchIndex = (state.leading as LeaderState).peers.get(id)?.matchIndex ?? 0;
  if (lastIndex - matchIndex <= promoteMaxLag) return null;
  return `"${id}" has ${matchIndex} of ${lastIndex} entries, may lag by ${promoteMaxLag}`;
}

/** The leader leaves a joint configuration by itself as soon as it is committed. */
export function maybeLeaveJoint(state: CoreState): void {
  const { leading, log } = state;
  const { index, membership } = currentMembership(log);
  if (leading === null || !isJoint(membership) || index > state.commitIndex) return;
  // Nothing is added while handing over, and nothing before this leader knows what is committed.
  if (leading.transferTo !== "" || state.commitIndex < leading.termStartIndex) return;
  appendMembership(state, withoutOutgoing(membership), log.lastAppendedAtMs);
}

// -- arithmetic ----------------------------------------------------------------------------------------------------

/**
 * The configuration to append for these changes, joint when the voters change.
 *
 * `lag` says why a learner cannot become a voter yet, or null.
 */
export function changedMembership(
  current: Membership,
  changes: readonly MembershipChange[],
  lag: (id: NodeId) => string | null,
): TargetResult {
  const members = new Map(current.members.map((member) => [member.id, member]));
  const voters = new Set(current.voters);
  const learners = new Set(current.learners);
  if (changes.length === 0) return { ok: false, detail: "no change" };
  for (const { kind, member } of changes) {
    const detail = applyChange(kind, member, { members, voters, learners }, lag);
    if (detail !== null) return { ok: false, detail };
  }
  if (voters.size === 0) return { ok: false, detail: "no voter would be left" };
  const isSameVoters =
    voters.size === current.voters.length && current.voters.every((id) => voters.has(id));
  const membership = isSameVoters
    ? compose(members, voters, new Set(), learners)
    : compose(withMembersOf(members, current), voters, new Set(current.voters), learners);
  const problem = membershipProblem(membership);
  return problem === null ? { ok: true, membership } : { ok: false, detail: problem };
}

interface Sets {
  readonly members: Map<NodeId, Member>;
  readonly voters: Set<NodeId>;
  readonly learners: Set<NodeId>;
}

function applyChange(
  kind: MembershipChange["kind"],
  member: Member,
  { members, voters, learners }: Sets,
  lag: (id: NodeId) => string | null,
): string | null {
  const { id } = member;
  if (kind === CHANGE.addLearner) {
    if (voters.has(id)) return `"${id}" is a voter`;
    learners.add(id);
    members.set(id, member);
    return null;
  }
  if (!members.has(id)) {
    return kind === CHANGE.addVoter ? `"${id}" is not a learner` : `"${id}" is not a member`;
  }
  if (kind === CHANGE.readdress) {
    members.set(id, member);
    return null;
  }
  if (kind === CHANGE.remove) {
    voters.delete(id);
    learners.delete(id);
    members.delete(id);
    return null;
  }
  if (kind === CHANGE.demote) {
    if (!voters.delete(id)) return `"${id}" is not a voter`;
    learners.add(id);
    return null;
  }
  if (voters.has(id)) return `"${id}" is a voter already`;
  const detail = lag(id);
  if (detail !== null) return detail;
  learners.delete(id);
  voters.add(id);
  members.set(id, member);
  return null;
}

/** The outgoing voters stay members until the joint configuration is left. */
function withMembersOf(
  members: ReadonlyMap<NodeId, Member>,
  current: Membership,
): ReadonlyMap<NodeId, Member> {
  const all = new Map(members);
  for (const member of current.members) {
    if (current.voters.includes(member.id) && !all.has(member.id)) all.set(member.id, member);
  }
  return all;
}

function compose(
  members: ReadonlyMap<NodeId, Member>,
  voters: ReadonlySet<NodeId>,
  votersOutgoing: ReadonlySet<NodeId>,
  learners: ReadonlySet<NodeId>,
): Membership {
  const isOutgoing = (id: NodeId): boolean => votersOutgoing.has(id);
  return {
    members: [...members.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    voters: [...voters].sort(),
    votersOutgoing: [...votersOutgoing].sort(),
    // Never voter and learner at once: it would be counted, and not told.
    learners: [...learners].filter((id) => !isOutgoing(id)).sort(),
    learnersNext: [...learners].filter(isOutgoing).sort(),
  };
}

/** What follows a joint configuration. */
export function withoutOutgoing(joint: Membership): Membership {
  const learners = [...joint.learners, ...joint.learnersNext].sort();
  const { voters } = joint;
  const members = joint.members.filter(({ id }) => voters.includes(id) || learners.includes(id));
  return { members, voters, votersOutgoing: [], learners, learnersNext: [] };
}

/** The first configuration of a new cluster: everybody votes. */
export function bootstrapMembership(members: readonly Member[]): Membership {
  const byId = new Map(members.map((member) => [member.id, member]));
  return compose(byId, new Set(byId.keys()), new Set(), new Set());
}
