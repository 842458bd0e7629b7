/** What one node knows of the cluster, put together without asking anybody. */

import type { Scheduler } from "../../base/index.ts";
import type { NodeIntroduction, PeerLinkStatus } from "../../cluster/index.ts";
import type { Member, Membership, MembershipAt, NodeId, PeerStatus } from "../../raft/index.ts";
import type { ReplicaStatus } from "../../replica/index.ts";
import type { AddressBook } from "./address-book.ts";
import type { ClusterView, MemberView, Suffrage } from "./types.ts";

export interface ViewInput {
  readonly self: NodeIntroduction;
  /** Null until the log is open. */
  readonly status: ReplicaStatus | null;
  readonly membership: MembershipAt | null;
  /** Node id; empty: none known. */
  readonly leader: NodeId;
  readonly peers: readonly PeerLinkStatus[];
  readonly book: AddressBook;
  readonly scheduler: Scheduler;
}

const NO_ADDRESSES = { peer: "", http: "", websocket: "" };

export function clusterView(input: ViewInput): ClusterView {
  const { self, status, membership, leader, book } = input;
  const members = membersOf(input);
  const voters = members.filter(({ suffrage }) => suffrage !== "learner");
  const leaderMember = membership?.membership.members.find(({ id }) => id === leader);
  return {
    clusterId: self.clusterId === "" ? null : self.clusterId,
    askedNode: self.serverId,
    term: status?.term ?? 0,
    leader:
      leaderMember === undefined
        ? null
        : book.hint({ id: leaderMember.serverId, address: leaderMember.address }, "http"),
    configurationIndex: membership?.index ?? 0,
    isChanging: isChanging(membership, status?.commitIndex ?? 0),
    voters: voters.length,
    reachableVoters: voters.filter(({ isConnected }) => isConnected).length,
    members,
  };
}

/** A change is under way: the newest configuration is joint, or not committed yet. */
export function isChanging(membership: MembershipAt | null, commitIndex: number): boolean {
  if (membership === null) return false;
  return membership.membership.votersOutgoing.length > 0 || membership.index > commitIndex;
}

export function suffrageOf(membership: Membership, id: NodeId): Suffrage {
  if (membership.voters.includes(id)) return "voter";
  return membership.votersOutgoing.includes(id) ? "leaving" : "learner";
}

/** By name, which is how people look for them. */
export function byServerId(
  left: { readonly serverId: string },
  right: { readonly serverId: string },
): number {
  return left.serverId < right.serverId ? -1 : 1;
}

function membersOf(input: ViewInput): readonly MemberView[] {
  const { membership } = input;
  if (membership === null) return [];
  const { members } = membership.membership;
  return members.map((member) => memberView(member, membership.membership, input)).sort(byServerId);
}

function memberView(member: Member, membership: Membership, input: ViewInput): MemberView {
  const { self, status, leader, peers, book, scheduler } = input;
  const isSelf = member.id === self.nodeId;
  const link = peers.find(({ nodeId }) => nodeId === member.id) ?? null;
  const progress = status?.peers.find(({ id }) => id === member.id) ?? null;
  const lastContactAtMs = link?.lastContactAtMs ?? null;
  const introduction = isSelf ? self : (link?.introduction ?? null);
  return {
    serverId: member.serverId,
    nodeId: member.id,
    addresses: book.of(member.serverId) ?? { ...NO_ADDRESSES, peer: member.address },
    suffrage: suffrageOf(membership, member.id),
    isLeader: member.id === leader,
    isSelf,
    isConnected: isSelf || (link?.isConnected ?? false),
    lastContactMs:
      lastContactAtMs === null ? null : Math.round(scheduler.monotonicMs() - lastContactAtMs),
    roundTripMs: link?.roundTripMs ?? null,
    ...positionOf(isSelf, progress, status),
    version: introduction?.version ?? null,
    problem: isSelf ? (status?.failure?.message ?? null) : (link?.problem ?? null),
  };
}

function positionOf(
  isSelf: boolean,
  progress: PeerStatus | null,
  status: ReplicaStatus | null,
): Pick<MemberView, "matchIndex" | "lagEntries" | "progress"> {
  if (isSelf && status !== null)
    return { matchIndex: status.lastIndex, lagEntries: null, progress: null };
  if (progress === null || status === null)
    return { matchIndex: null, lagEntries: null, progress: null };
  const { matchIndex, state } = progress;
  return { matchIndex, lagEntries: status.lastIndex - matchIndex, progress: state };
}
