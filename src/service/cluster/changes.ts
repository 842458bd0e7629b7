/**
 * Changes of the members and of the leadership, done by the leader. In front of every one stands a round of heartbeats, so
 * that a leader which is cut off does not judge by what it believes, and the guard of the term (spec raft-and-cluster, 9).
 */

import { HearthError, type Scheduler } from "../../base/index.ts";
import {
  decodeProbeAnswer,
  encodeJson,
  type NodeIntroduction,
  PEER_CALL,
  type PeerNetwork,
  type ProbeAnswer,
} from "../../cluster/index.ts";
import { CHANGE, type Member, type MembershipChange, type NodeId } from "../../raft/index.ts";
import type { Replica } from "../../replica/index.ts";
import { isReachableInstead } from "./address-book.ts";
import { notOpen } from "./not-open.ts";
import {
  assertCanBeDecided,
  assertNewMember,
  changeResult,
  memberByName,
  plannedMembers,
  type PlannedMember,
} from "./plan.ts";
import type { ChangeGuard, ChangeResult, ClusterControl } from "./types.ts";
import { isChanging } from "./view.ts";

/** What control needs of the replica. */
export type MemberPort = Pick<
  Replica,
  | "status"
  | "membership"
  | "leader"
  | "isServing"
  | "term"
  | "changeMembership"
  | "transfer"
  | "confirmIndex"
  | "confirmIndexFor"
  | "grantRead"
>;

export interface ChangeOptions {
  /** Longest wait for a round, a committed change, or the leader's answer. */
  readonly applyTimeoutMs: number;
}

export interface ChangeModules {
  readonly network: Pick<PeerNetwork, "request" | "peers">;
  readonly self: () => NodeIntroduction;
  /** Null until the log is open. */
  readonly replica: () => MemberPort | null;
  readonly scheduler: Scheduler;
  /** A member was added that does not know yet where it belongs. */
  readonly onMembers: () => void;
}

export type AddWish = Parameters<ClusterControl["addMember"]>[0];
export type PromoteWish = Parameters<ClusterControl["promoteMember"]>[0];
export type NameWish = Parameters<ClusterControl["demoteMember"]>[0];
export type TransferWish = Parameters<ClusterControl["transferLeadership"]>[0];

/** Changes by name, as they travel to the leader. */
export type ControlCall =
  | { readonly op: "add"; readonly wish: AddWish }
  | { readonly op: "promote"; readonly wish: PromoteWish }
  | { readonly op: "demote"; readonly wish: NameWish }
  | { readonly op: "remove"; readonly wish: NameWish }
  | { readonly op: "transfer"; readonly wish: TransferWish };

/** A state that is waited for is looked at this often: these are operations of people. */
const LOOK_AGAIN_MS = 20;
/**
 * The core gives a handing-over up after an election timeout, since writes are held back meanwhile. A target that was slow
 * once is asked again; the pause lets those writes through.
 */
const TRANSFER_AGAIN_MS = 1_500;

export class MemberChanges {
  readonly #options: ChangeOptions;
  readonly #modules: ChangeModules;

  constructor(options: ChangeOptions, modules: ChangeModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** Does it here. Errors: `unavailable` with the leader hint when another member leads. */
  async perform(call: ControlCall): Promise<ChangeResult> {
    const member = this.#member();
    await this.#confirm(member, call.wish);
    switch (call.op) {
      case "add":
        return this.#add(member, call.wish);
      case "promote":
        return this.#promote(member, call.wish);
      case "demote":
        return this.#demote(member, call.wish);
      case "remove":
        return this.#remove(member, call.wish);
      case "transfer":
        return this.#transfer(member, call.wish);
    }
  }

  #member(): MemberPort {
    const member = this.#modules.replica();
    if (member !== null) return member;
    throw notOpen();
  }

  /** A majority still follows, and nothing newer is known than what the caller has seen. */
  async #confirm(member: MemberPort, { currentTerm = 0 }: ChangeGuard): Promise<void> {
    await this.#readIndex(member);
    if (member.leader !== this.#modules.self().nodeId) throw this.#notLeader(member);
    if (currentTerm === 0 || currentTerm >= member.term) return;
    const message = `The term is ${member.term}, the request was made in ${currentTerm}: something has changed meanwhile`;
    throw new HearthError("invalid_argument", message, {
      reason: "stale_term",
      next: "Look at the members again, then repeat it",
    });
  }

  #readIndex(member: MemberPort): Promise<void> {
    if (member.leader === "") return Promise.reject(this.#notLeader(member));
    const { applyTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const cancel = this.#modules.scheduler.after(applyTimeoutMs, () => {
        reject(this.#notLeader(member));
      });
      member.confirmIndex((result) => {
        cancel();
        if (result.ok) resolve();
        else if (result.error.reason === "no_leader") reject(this.#notLeader(member));
        else reject(result.error);
      });
    });
  }

  #notLeader(member: MemberPort): HearthError {
    const { leader } = member.status();
    const message =
      leader === null
        ? "There is no leader that could do this"
        : `This node does not lead, ${leader.id} does`;
    return new HearthError("unavailable", message, {
      reason: "not_leader",
      leader: leader ?? undefined,
      next: leader === null ? "/ready of each node says whom it cannot reach" : undefined,
      retryAfterMs: 100,
    });
  }

  async #add(member: MemberPort, wish: AddWish): Promise<ChangeResult> {
    const answer = await this.#probe(wish.address);
    const { serverId, nodeId } = answer;
    if (wish.serverId !== undefined && wish.serverId !== serverId) {
      const message = `The node at ${wish.address} is "${serverId}", not "${wish.serverId}"`;
      throw new HearthError("invalid_argument", message, {
        reason: "other_name",
        next: `Write ${serverId}=${wish.address}, or set metastore.raft.server-id there`,
      });
    }
    const members = this.#members(member);
    const known = members.find((candidate) => candidate.member.id === nodeId);
    if (known !== undefined) return this.#readdress(member, known, answer, wish);
    this.#assertOurs(answer);
    const added = { id: nodeId, serverId, address: addressOf(answer, wish.address) };
    assertNewMember(members, added);
    const after: readonly PlannedMember[] = [...members, { member: added, suffrage: "learner" }];
    const text = `${serverId} is a learner: it gets everything and has no vote`;
    const change = { kind: CHANGE.addLearner, member: added };
    const result = await this.#change(member, { change, after, text, isDry: wish.dryRun === true });
    this.#modules.onMembers();
    return result;
  }

  /** A member that is added again may have moved. */
  async #readdress(
    member: MemberPort,
    known: PlannedMember,
    answer: ProbeAnswer,
    wish: AddWish,
  ): Promise<ChangeResult> {
    const { serverId } = answer;
    const members = this.#members(member);
    const address = addressOf(answer, wish.address);
    if (known.member.address === address)
      return changeResult(members, {
        changed: false,
        text: `${serverId} is a ${known.suffrage} already`,
      });
    const change = { kind: CHANGE.readdress, member: { ...known.member, address } };
    const text = `${serverId} is a ${known.suffrage} already, and is at ${address} now`;
    return this.#change(member, { change, after: members, text, isDry: wish.dryRun === true });
  }

  async #promote(member: MemberPort, wish: PromoteWish): Promise<ChangeResult> {
    const members = this.#members(member);
    const { member: promoted, suffrage } = memberByName(members, wish.serverId);
    if (suffrage === "voter")
      return changeResult(members, { changed: false, text: `${wish.serverId} is a voter already` });
    if (suffrage === "leaving") throw leaving(wish.serverId);
    const after = withSuffrage(members, promoted.id, "voter");
    assertCanBeDecided(after, this.#activity(member));
    const change = { kind: CHANGE.addVoter, member: promoted };
    const text = `${wish.serverId} is a voter`;
    const isDry = wish.dryRun === true;
    return this.#change(member, { change, after, text, isDry, lagTimeoutMs: wish.timeoutMs });
  }

  async #demote(member: MemberPort, wish: NameWish): Promise<ChangeResult> {
    const members = this.#members(member);
    const { member: demoted, suffrage } = memberByName(members, wish.serverId);
    if (suffrage === "learner")
      return changeResult(members, {
        changed: false,
        text: `${wish.serverId} is a learner already`,
      });
    if (suffrage === "leaving") throw leaving(wish.serverId);
    this.#assertNotSelf(demoted, "demoted");
    const after = withSuffrage(members, demoted.id, "learner");
    assertCanBeDecided(after, this.#activity(member));
    const change = { kind: CHANGE.demote, member: demoted };
    const text = `${wish.serverId} is a learner`;
    return this.#change(member, { change, after, text, isDry: wish.dryRun === true });
  }

  async #remove(member: MemberPort, wish: NameWish): Promise<ChangeResult> {
    const members = this.#members(member);
    const { member: removed, suffrage } = memberByName(members, wish.serverId);
    if (suffrage === "leaving") throw leaving(wish.serverId);
    this.#assertNotSelf(removed, "removed");
    const after = members.filter((candidate) => candidate.member.id !== removed.id);
    if (suffrage === "voter") assertCanBeDecided(after, this.#activity(member));
    const change = { kind: CHANGE.remove, member: removed };
    const text = `${wish.serverId} is removed; its data directory cannot rejoin`;
    return this.#change(member, { change, after, text, isDry: wish.dryRun === true });
  }

  async #transfer(member: MemberPort, wish: TransferWish): Promise<ChangeResult> {
    const members = this.#members(member);
    const selfId = this.#modules.self().nodeId;
    const target =
      wish.serverId === null
        ? this.#bestSuccessor(member, members)
        : memberByName(members, wish.serverId);
    const { id, serverId } = target.member;
    const text = `${serverId} leads`;
    if (id === selfId) return changeResult(members, { changed: false, text: `${text} already` });
    if (target.suffrage !== "voter") {
      throw new HearthError("failed_precondition", `${serverId} has no vote and cannot lead`, {
        reason: "not_a_voter",
        next: `hearth member promote ${serverId}`,
      });
    }
    if (wish.dryRun === true) return changeResult(members, { changed: true, text });
    const problem = member.transfer(id);
    if (problem !== null) {
      throw new HearthError("failed_precondition", `Cannot hand over to ${serverId}: ${problem}`, {
        reason: "transfer_refused",
        retryAfterMs: 100,
      });
    }
    const { scheduler } = this.#modules;
    let againAtMs = scheduler.monotonicMs() + TRANSFER_AGAIN_MS;
    const isOver = (): boolean => {
      if (member.leader === id || this.#isCutOff(id)) return true;
      if (member.leader === selfId && scheduler.monotonicMs() >= againAtMs) {
        member.transfer(id);
        againAtMs = scheduler.monotonicMs() + TRANSFER_AGAIN_MS;
      }
      return false;
    };
    const isInTime = await this.#until(isOver, wish.timeoutMs);
    if (member.leader === id) return changeResult(members, { changed: true, text });
    const why = isInTime ? "is not connected any more" : "did not take over in time";
    throw new HearthError("unavailable", `${serverId} ${why}`, {
      reason: "transfer_failed",
      next: "See hearth status for its lag and contact, or name another member",
    });
  }

  /** The voter that has most of the log. Errors: `failed_precondition` when there is no other one that answers. */
  #bestSuccessor(member: MemberPort, members: readonly PlannedMember[]): PlannedMember {
    const { peers } = member.status();
    const voters = members.filter(({ suffrage }) => suffrage === "voter");
    const candidates = peers
      .filter(({ id, isActive }) => isActive && !this.#isCutOff(id))
      .filter(({ id }) => voters.some((voter) => voter.member.id === id))
      .sort((left, right) => right.matchIndex - left.matchIndex);
    const best = voters.find((voter) => voter.member.id === candidates[0]?.id);
    if (best !== undefined) return best;
    throw new HearthError("failed_precondition", "There is no other voter that answers", {
      reason: "no_successor",
    });
  }

  /** A process that has ended is missed at once by its connection, by the core only after an election time-out. */
  #isCutOff(id: NodeId): boolean {
    const link = this.#modules.network.peers().find(({ nodeId }) => nodeId === id);
    return link !== undefined && !link.isConnected;
  }

  /** Proposes, waits until it is committed and, for a change of voters, until the way between is left. */
  async #change(member: MemberPort, step: ChangeStep): Promise<ChangeResult> {
    const { change, after, text, isDry, lagTimeoutMs = 0 } = step;
    const result = changeResult(after, { changed: true, text });
    if (isDry) return result;
    const { scheduler } = this.#modules;
    const endAtMs = scheduler.monotonicMs() + Math.max(lagTimeoutMs, this.#options.applyTimeoutMs);
    for (;;) {
      const error = await proposeChange(member, [change]);
      if (error === null) break;
      const mayRetry =
        error.reason === "change_pending" ||
        (lagTimeoutMs > 0 && error.reason === "invalid_change");
      if (!mayRetry || scheduler.monotonicMs() >= endAtMs) throw inWords(error, change);
      await this.#pause();
    }
    await this.#until(() => !isChanging(member.membership, member.status().commitIndex), 1_000);
    return result;
  }

  #members(member: MemberPort): readonly PlannedMember[] {
    return member.membership === null ? [] : plannedMembers(member.membership.membership);
  }

  #activity(member: MemberPort): (id: NodeId) => boolean {
    const selfId = this.#modules.self().nodeId;
    const active = new Set(
      member.status().peers.flatMap(({ id, isActive }) => (isActive ? [id] : [])),
    );
    return (id) => id === selfId || active.has(id);
  }

  #assertOurs({ clusterId, serverId }: ProbeAnswer): void {
    const own = this.#modules.self().clusterId;
    if (clusterId === "" || clusterId === own) return;
    const message = `${serverId} holds data of cluster ${clusterId}, this is cluster ${own}`;
    throw new HearthError("failed_precondition", message, {
      reason: "other_cluster",
      next: "Stop it, empty its directories if that data is not needed, and start it with metastore.raft.bootstrap-expect-peers=0",
    });
  }

  #assertNotSelf({ id, serverId }: Member, what: string): void {
    if (id !== this.#modules.self().nodeId) return;
    throw new HearthError("failed_precondition", `${serverId} leads and cannot be ${what}`, {
      reason: "is_leader",
      next: "Hand the leadership over first: hearth leader transfer",
    });
  }

  async #probe(address: string): Promise<ProbeAnswer> {
    const { network } = this.#modules;
    const { applyTimeoutMs } = this.#options;
    const answer = await network.request({ address }, PEER_CALL.probe, encodeJson({}), {
      timeoutMs: applyTimeoutMs,
    });
    if (answer.ok) return decodeProbeAnswer(answer.body);
    const message = `No node answers at ${address}: ${answer.error.message}`;
    throw new HearthError("failed_precondition", message, {
      reason: "no_answer",
      next: "Start the new node first; the address is that of its peer port (metastore.raft.advertise-address)",
    });
  }

  /** True when it came to hold in time. */
  async #until(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    const { scheduler } = this.#modules;
    const endAtMs = scheduler.monotonicMs() + timeoutMs;
    while (!holds()) {
      if (scheduler.monotonicMs() >= endAtMs) return false;
      await this.#pause();
    }
    return true;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#modules.scheduler.after(LOOK_AGAIN_MS, resolve));
  }
}

interface ChangeStep {
  readonly change: MembershipChange;
  readonly after: readonly PlannedMember[];
  readonly text: string;
  readonly isDry: boolean;
  /** How long a member may take to catch up. */
  readonly lagTimeoutMs?: number;
}

function proposeChange(
  member: MemberPort,
  changes: readonly MembershipChange[],
): Promise<HearthError | null> {
  return new Promise((resolve) => {
    member.changeMembership(changes, (result) => resolve(result.ok ? null : result.error));
  });
}

/** The core knows members by the ids of their directories; people do not. */
function inWords(error: HearthError, { member }: MembershipChange): HearthError {
  if (error.reason !== "invalid_change") return error;
  const message = error.message.replaceAll(`"${member.id}"`, member.serverId);
  return new HearthError("failed_precondition", message, {
    reason: "not_caught_up",
    next: `See the lag of ${member.serverId} in hearth member list, and allow more time`,
  });
}

function leaving(serverId: string): HearthError {
  return new HearthError("failed_precondition", `${serverId} is about to leave`, {
    reason: "change_pending",
    retryAfterMs: 100,
  });
}

function withSuffrage(
  members: readonly PlannedMember[],
  id: NodeId,
  suffrage: "voter" | "learner",
): readonly PlannedMember[] {
  return members.map((each) => (each.member.id === id ? { member: each.member, suffrage } : each));
}

/** What a node says of itself is what others can use, where it can be. */
function addressOf({ addresses }: ProbeAnswer, asked: string): string {
  return isReachableInstead(addresses.peer, asked) ? addresses.peer : asked;
}
