/**
 * What operators ask of the cluster. A change is done by the leader: the node that is asked does it, or has the leader do
 * it (`PEER_CALL.control`), once.
 */

import { toHearthError } from "../../base/index.ts";
import {
  decodeJson,
  encodeJson,
  type JoinWish,
  PEER_CALL,
  type PeerNetwork,
} from "../../cluster/index.ts";
import type { Member } from "../../raft/index.ts";
import type { AddressBook } from "./address-book.ts";
import {
  type AddWish,
  type ChangeModules,
  type ChangeOptions,
  type ControlCall,
  MemberChanges,
  type NameWish,
  type PromoteWish,
  type TransferWish,
} from "./changes.ts";
import type { ChangeResult, ClusterControl, ClusterView, MemberReport } from "./types.ts";
import { clusterView } from "./view.ts";

export interface ControlModules extends ChangeModules {
  readonly network: Pick<PeerNetwork, "request" | "peers">;
  readonly book: AddressBook;
  /** This node's own status: the body of GET /api/v1/status. */
  readonly status: () => object;
}

export class Control implements ClusterControl {
  readonly #options: ChangeOptions;
  readonly #modules: ControlModules;
  readonly #changes: MemberChanges;

  constructor(options: ChangeOptions, modules: ControlModules) {
    this.#options = options;
    this.#modules = modules;
    this.#changes = new MemberChanges(options, modules);
  }

  view(): ClusterView {
    const { self, replica, network, book, scheduler } = this.#modules;
    const member = replica();
    return clusterView({
      self: self(),
      status: member?.status() ?? null,
      membership: member?.membership ?? null,
      leader: member?.leader ?? "",
      peers: network.peers(),
      book,
      scheduler,
    });
  }

  collect(timeoutMs: number): Promise<readonly MemberReport[]> {
    const { self, replica, status } = this.#modules;
    const own = self();
    const members = replica()?.membership?.membership.members ?? [];
    const others = members.filter(({ id }) => id !== own.nodeId);
    const mine: MemberReport = { serverId: own.serverId, ok: true, status: status(), ageMs: 0 };
    return Promise.all([mine, ...others.map((member) => this.#askStatus(member, timeoutMs))]);
  }

  addMember(wish: AddWish): Promise<ChangeResult> {
    return this.#lead({ op: "add", wish }, this.#options.applyTimeoutMs);
  }

  promoteMember(wish: PromoteWish): Promise<ChangeResult> {
    return this.#lead({ op: "promote", wish }, wish.timeoutMs);
  }

  demoteMember(wish: NameWish): Promise<ChangeResult> {
    return this.#lead({ op: "demote", wish }, this.#options.applyTimeoutMs);
  }

  removeMember(wish: NameWish): Promise<ChangeResult> {
    return this.#lead({ op: "remove", wish }, this.#options.applyTimeoutMs);
  }

  transferLeadership(wish: TransferWish): Promise<ChangeResult> {
    return this.#lead({ op: "transfer", wish }, wish.timeoutMs);
  }

  /** For a call that another member passed on: it is not passed on again. */
  perform(call: ControlCall): Promise<ChangeResult> {
    return this.#changes.perform(call);
  }

  /** A node without state asks to be taken in, as a learner. It must be the one that answers at its address. */
  async admit(wish: JoinWish): Promise<ChangeResult> {
    const { serverId, address } = wish;
    return this.perform({ op: "add", wish: { serverId, address } });
  }

  // -- who does it -----------------------------------------------------------------------------------------------

  async #lead(call: ControlCall, timeoutMs: number): Promise<ChangeResult> {
    const { replica, self } = this.#modules;
    const leader = replica()?.leader ?? "";
    if (leader === "" || leader === self().nodeId) return this.perform(call);
    // Its own limits come first; this one only ends the wait for a leader that is gone.
    const limitMs = timeoutMs + 3 * this.#options.applyTimeoutMs;
    const { network } = this.#modules;
    const answer = await network.request({ nodeId: leader }, PEER_CALL.control, encodeJson(call), {
      timeoutMs: limitMs,
    });
    if (!answer.ok) throw answer.error;
    return decodeJson(answer.body) as unknown as ChangeResult;
  }

  async #askStatus(member: Member, timeoutMs: number): Promise<MemberReport> {
    const { network, scheduler } = this.#modules;
    const { serverId } = member;
    const startedAtMs = scheduler.monotonicMs();
    const target = { nodeId: member.id };
    const answer = await network.request(target, PEER_CALL.status, encodeJson({}), { timeoutMs });
    if (!answer.ok) return { serverId, ok: false, problem: answer.error.message };
    try {
      const ageMs = Math.round((scheduler.monotonicMs() - startedAtMs) / 2);
      return { serverId, ok: true, status: decodeJson(answer.body), ageMs };
    } catch (error) {
      return { serverId, ok: false, problem: toHearthError(error).message };
    }
  }
}
