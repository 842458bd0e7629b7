/** Majorities, counted in the simplest way there is. */

import type { Membership, NodeId } from "../../src/raft/index.ts";

/** Whether the members of `set` decide under this configuration: a majority of each half of it. */
export function hasQuorum(membership: Membership, set: ReadonlySet<NodeId>): boolean {
  return (
    isMajority(membership.voters, set) &&
    (membership.votersOutgoing.length === 0 || isMajority(membership.votersOutgoing, set))
  );
}

function isMajority(voters: readonly NodeId[], set: ReadonlySet<NodeId>): boolean {
  let count = 0;
  for (const id of voters) if (set.has(id)) count += 1;
  return count * 2 > voters.length;
}

/** No set of members decides under one configuration while the others decide under the other one. */
export function quorumsOverlap(a: Membership, b: Membership): boolean {
  const ids = [...new Set([...a.voters, ...a.votersOutgoing, ...b.voters, ...b.votersOutgoing])];
  const all = 2 ** ids.length;
  for (let bits = 0; bits < all; bits++) {
    const inside = new Set(ids.filter((_, i) => Math.floor(bits / 2 ** i) % 2 === 1));
    if (!hasQuorum(a, inside)) continue;
    if (hasQuorum(b, new Set(ids.filter((id) => !inside.has(id))))) return false;
  }
  return true;
}
