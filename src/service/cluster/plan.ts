/** Changes of the members as plans: what would be, and why it must not be. Pure. */

import { HearthError } from "../../base/index.ts";
import type { Member, Membership, NodeId } from "../../raft/index.ts";
import type { ChangeResult, Suffrage } from "./types.ts";
import { byServerId, suffrageOf } from "./view.ts";

export interface PlannedMember {
  readonly member: Member;
  readonly suffrage: Suffrage;
}

/** The members of a configuration, as they will be once a change under way has ended. */
export function plannedMembers(membership: Membership): readonly PlannedMember[] {
  return membership.members.map((member) => ({
    member,
    suffrage: suffrageOf(membership, member.id),
  }));
}

export function changeResult(
  members: readonly PlannedMember[],
  outcome: { readonly changed: boolean; readonly text: string },
): ChangeResult {
  const voters = members.filter(({ suffrage }) => suffrage === "voter").length;
  return {
    ...outcome,
    members: members
      .map(({ member, suffrage }) => ({ serverId: member.serverId, suffrage }))
      .sort(byServerId),
    voters,
    failureTolerance: failureTolerance(voters),
  };
}

/** Voters that can be lost. */
export function failureTolerance(voters: number): number {
  return Math.max(0, voters - majorityOf(voters));
}

function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** Errors: `not_found`. */
export function memberByName(members: readonly PlannedMember[], serverId: string): PlannedMember {
  const found = members.find(({ member }) => member.serverId === serverId);
  if (found !== undefined) return found;
  const names = members.map(({ member }) => member.serverId).sort();
  throw new HearthError("not_found", `There is no member "${serverId}"`, {
    reason: "unknown_member",
    next: `Members are ${names.join(", ")}`,
  });
}

/**
 * A change of the voters is decided by majorities of the old and of the new ones. Without them it would hang for ever,
 * and nothing else could be changed meanwhile.
 *
 * Errors: `failed_precondition`.
 */
export function assertCanBeDecided(
  members: readonly PlannedMember[],
  isActive: (id: NodeId) => boolean,
): void {
  const voters = members.filter(({ suffrage }) => suffrage === "voter");
  if (voters.length === 0) {
    throw new HearthError("failed_precondition", "No voter would be left", {
      reason: "no_voter_left",
    });
  }
  const active = voters.filter(({ member }) => isActive(member.id));
  if (active.length >= majorityOf(voters.length)) return;
  const silent = voters.filter(({ member }) => !isActive(member.id));
  const message =
    `Of the ${voters.length} voters afterwards only ${active.length} would answer ` +
    `(silent: ${silent.map(({ member }) => member.serverId).join(", ")}): the change could not be decided`;
  throw new HearthError("failed_precondition", message, {
    reason: "no_quorum_afterwards",
    next: "Start the silent members first, or remove one of them instead",
  });
}

/** Errors: `failed_precondition` when another member has this name or this address. */
export function assertNewMember(members: readonly PlannedMember[], wanted: Member): void {
  const sameName = members.find(({ member }) => member.serverId === wanted.serverId);
  if (sameName !== undefined) {
    const message =
      `"${wanted.serverId}" is a member with other data (its id is ${sameName.member.id}, the node that asks has ` +
      `${wanted.id}): a disk that was emptied is a new node`;
    throw new HearthError("failed_precondition", message, {
      reason: "name_taken",
      next: `Remove the old member first: hearth member remove ${wanted.serverId}`,
    });
  }
  const sameAddress = members.find(({ member }) => member.address === wanted.address);
  if (sameAddress === undefined) return;
  const message = `${wanted.address} is the address of the member "${sameAddress.member.serverId}"`;
  throw new HearthError("failed_precondition", message, {
    reason: "address_taken",
    next: `Give "${wanted.serverId}" an address of its own, or remove "${sameAddress.member.serverId}" first`,
  });
}
