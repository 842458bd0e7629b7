/** What the driver asks of the configuration all the time, kept until the core says that something changed. */

import type { LeaderHint } from "../base/index.ts";
import type { Membership, MembershipAt, NodeId, Raft } from "../raft/index.ts";

const NO_MEMBERS: MembershipAt = {
  index: 0,
  membership: { members: [], voters: [], votersOutgoing: [], learners: [], learnersNext: [] },
};

export class MemberView {
  readonly #nodeId: NodeId;
  leader: NodeId = "";
  /** The leader by the names that clients know. */
  leaderHint: LeaderHint | undefined;
  /** Nobody else decides: in no configuration that is in force is there another voter. */
  isSoleVoter = false;
  voters: readonly NodeId[] = [];
  /** The newest configuration, committed or not. */
  membership: MembershipAt = NO_MEMBERS;

  constructor(nodeId: NodeId) {
    this.#nodeId = nodeId;
  }

  /** Returns whether the leader is another one now. */
  update(core: Raft): boolean {
    const { leader, membership } = core.status();
    const isNewLeader = leader !== this.leader;
    this.leader = leader;
    this.membership = membership;
    this.leaderHint = hintOf(membership.membership, leader);
    const { voters, votersOutgoing } = membership.membership;
    this.voters = [...new Set([...voters, ...votersOutgoing])];
    this.isSoleVoter = this.voters.length === 1 && this.voters[0] === this.#nodeId;
    return isNewLeader;
  }
}

function hintOf(membership: Membership, leader: NodeId): LeaderHint | undefined {
  const member = membership.members.find(({ id }) => id === leader);
  return member === undefined ? undefined : { id: member.serverId, address: member.address };
}
