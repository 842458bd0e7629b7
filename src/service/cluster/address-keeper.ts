/**
 * Keeps the addresses in the configuration at what members say of themselves, by the leader: a node that came back under
 * another address reaches the others, which tell it, and from the next configuration on everybody dials it there, also
 * those that were down meanwhile.
 */

import type { Logger, Scheduler } from "../../base/index.ts";
import type { NodeIntroduction, PeerLinkStatus } from "../../cluster/index.ts";
import { CHANGE, type Member, type MembershipChange } from "../../raft/index.ts";
import { isReachableInstead } from "./address-book.ts";
import type { MemberPort } from "./changes.ts";
import { isChanging } from "./view.ts";

export interface AddressKeeperModules {
  readonly member: Pick<
    MemberPort,
    "membership" | "leader" | "isServing" | "status" | "changeMembership"
  >;
  readonly self: () => NodeIntroduction;
  readonly peers: () => readonly PeerLinkStatus[];
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Another change may be under way, or the leadership on the move. */
const AGAIN_MS = 1_000;

export class AddressKeeper {
  readonly #modules: AddressKeeperModules;
  #cancel: (() => void) | null = null;
  #isChanging = false;
  #hasStopped = false;

  constructor(modules: AddressKeeperModules) {
    this.#modules = modules;
  }

  /** To be called when somebody introduces itself, and when members or leadership change. */
  check(): void {
    if (this.#hasStopped || this.#isChanging || this.#cancel !== null) return;
    const changes = this.#wanted();
    if (changes.length === 0) return;
    const { member, logger } = this.#modules;
    const { isServing, membership } = member;
    if (!isServing || isChanging(membership, member.status().commitIndex)) {
      this.#again();
      return;
    }
    this.#isChanging = true;
    for (const { member: moved } of changes)
      logger.info("a member has another address", {
        member: moved.serverId,
        address: moved.address,
      });
    member.changeMembership(changes, (result) => {
      this.#isChanging = false;
      if (!result.ok) this.#again();
      else this.check();
    });
  }

  stop(): void {
    this.#hasStopped = true;
    this.#cancel?.();
  }

  #again(): void {
    this.#cancel = this.#modules.scheduler.after(AGAIN_MS, () => {
      this.#cancel = null;
      this.check();
    });
  }

  /** None while another member leads: it sees to it. Alone nobody dials. */
  #wanted(): readonly MembershipChange[] {
    const { member, self } = this.#modules;
    const members = member.membership?.membership.members ?? [];
    if (member.leader !== self().nodeId || members.length < 2) return [];
    return members.flatMap((each) => {
      const address = this.#addressOf(each);
      const isNew = address !== each.address && isReachableInstead(address, each.address);
      return isNew ? [{ kind: CHANGE.readdress, member: { ...each, address } }] : [];
    });
  }

  /** What the member says of itself in this cluster; empty: nothing. */
  #addressOf({ id }: Member): string {
    const own = this.#modules.self();
    if (id === own.nodeId) return own.addresses.peer;
    const said = this.#modules.peers().find(({ nodeId }) => nodeId === id)?.introduction ?? null;
    return said?.clusterId === own.clusterId ? said.addresses.peer : "";
  }
}
