/**
 * Which processes of a node are over. A process that starts has a new boot nonce; the one it replaces may still have
 * connections and bytes under way, and must not be taken for a new one when it comes back.
 *
 * Two processes with the same data directory (a copied machine) take turns at most once each: whichever is replaced
 * stays refused.
 */

import type { NodeId } from "../../raft/index.ts";
import { PEER_LIMITS } from "../limits.ts";
import type { NodeIntroduction } from "../types.ts";

interface Boots {
  current: string;
  /** Oldest first. */
  readonly retired: string[];
}

export class Incarnations {
  readonly #nodes = new Map<NodeId, Boots>();

  isRetired({ nodeId, bootNonce }: NodeIntroduction): boolean {
    return this.#nodes.get(nodeId)?.retired.includes(bootNonce) ?? false;
  }

  /** A process whose introduction was accepted: the previous one of its node is over. */
  accept({ nodeId, bootNonce }: NodeIntroduction): void {
    const boots = this.#nodes.get(nodeId) ?? { current: bootNonce, retired: [] };
    // The node that was heard of last is forgotten last.
    this.#nodes.delete(nodeId);
    this.#nodes.set(nodeId, boots);
    if (this.#nodes.size > PEER_LIMITS.retiredNodesMax) {
      this.#nodes.delete(this.#nodes.keys().next().value as NodeId);
    }
    if (boots.current === bootNonce) return;
    boots.retired.push(boots.current);
    if (boots.retired.length > PEER_LIMITS.retiredNoncesMax) boots.retired.shift();
    boots.current = bootNonce;
  }
}
