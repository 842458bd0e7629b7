/** The nodes of a run. */

import type { Member, NodeId } from "../../src/raft/index.ts";

/** In order: A, B, C. */
export const NODE_IDS: readonly NodeId[] = [
  "aaaaaaaaaaaaaaaa",
  "bbbbbbbbbbbbbbbb",
  "cccccccccccccccc",
];

export function memberOf(node: number): Member {
  const id = NODE_IDS[node] as NodeId;
  return { id, serverId: `server-${id}`, address: `address-${id}` };
}

/** How a node is called in stories. */
export function nameOf(id: NodeId): string {
  return id === "" ? "nobody" : id.slice(0, 1).toUpperCase();
}
