/** Majorities, simple and joint. A joint configuration decides only when both of its halves do. */

import type { Membership, NodeId } from "./types.ts";

export function majority(count: number): number {
  return Math.floor(count / 2) + 1;
}

export function isVoter(membership: Membership, id: NodeId): boolean {
  return membership.voters.includes(id) || membership.votersOutgoing.includes(id);
}

export function isMember(membership: Membership, id: NodeId): boolean {
  return isVoter(membership, id) || membership.learners.includes(id);
}

export function isJoint(membership: Membership): boolean {
  return membership.votersOutgoing.length > 0;
}

/**
 * Highest index that a quorum has reached. A member that `reached` does not know counts as 0.
 *
 * Cost: quadratic in the voters, which are a handful, and without an allocation.
 */
export function quorumIndex(membership: Membership, reached: (id: NodeId) => number): number {
  const index = majorityIndex(membership.voters, reached);
  if (!isJoint(membership)) return index;
  return Math.min(index, majorityIndex(membership.votersOutgoing, reached));
}

function majorityIndex(voters: readonly NodeId[], reached: (id: NodeId) => number): number {
  const needed = majority(voters.length);
  let best = 0;
  for (const candidate of voters) {
    const index = reached(candidate);
    if (index <= best) continue;
    let count = 0;
    for (const voter of voters) if (reached(voter) >= index) count += 1;
    if (count >= needed) best = index;
  }
  return best;
}

/** Whether those for whom `has` is true decide. No voter, no decision. */
export function hasQuorum(membership: Membership, has: (id: NodeId) => boolean): boolean {
  if (!hasMajority(membership.voters, has)) return false;
  return !isJoint(membership) || hasMajority(membership.votersOutgoing, has);
}

function hasMajority(voters: readonly NodeId[], has: (id: NodeId) => boolean): boolean {
  let count = 0;
  for (const voter of voters) if (has(voter)) count += 1;
  return count >= majority(voters.length);
}

export type VoteResult = "won" | "lost" | "open";

export function countVotes(
  membership: Membership,
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  if (hasQuorum(membership, (id) => votes.get(id) === true)) return "won";
  const canWin = hasQuorum(membership, (id) => votes.get(id) !== false);
  return canWin ? "open" : "lost";
}
