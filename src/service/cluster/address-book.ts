/**
 * Where members can be reached on each of their protocols, by what they said of themselves. The replica names a leader by
 * the address that members dial; clients need another one.
 */

import type { HearthError, LeaderHint } from "../../base/index.ts";
import type { NodeAddresses, NodeIntroduction, PeerLinkStatus } from "../../cluster/index.ts";

export interface AddressBookModules {
  readonly self: () => NodeIntroduction;
  readonly peers: () => readonly PeerLinkStatus[];
}

/** Which address a hint names. */
export type HintKind = "http" | "websocket";

export class AddressBook {
  readonly #modules: AddressBookModules;

  constructor(modules: AddressBookModules) {
    this.#modules = modules;
  }

  /** Null: it has not introduced itself since this process started. */
  of(serverId: string): NodeAddresses | null {
    const self = this.#modules.self();
    if (self.serverId === serverId) return self.addresses;
    const peer = this.#modules.peers().find((candidate) => candidate.serverId === serverId);
    return peer?.introduction?.addresses ?? null;
  }

  /** The hint with the address of that protocol; empty when it is not known: better none than a wrong one. */
  hint(leader: LeaderHint, kind: HintKind): LeaderHint {
    return { id: leader.id, address: this.of(leader.id)?.[kind] ?? "" };
  }

  /** The same error, with its leader hint for that protocol. */
  translate(error: HearthError, kind: HintKind): HearthError {
    return error.leader === null ? error : error.with({ leader: this.hint(error.leader, kind) });
  }
}

/**
 * Whether the address that a node gives of itself can take the place of the one at which it was found: not if it was left
 * at a default that leads others back to themselves.
 */
export function isReachableInstead(own: string, found: string): boolean {
  return own !== "" && (!isLoopback(own) || found === "" || isLoopback(found));
}

function isLoopback(address: string): boolean {
  return /^(localhost|127\.|\[::1\])/.test(address);
}
