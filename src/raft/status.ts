/** The core for people and metrics. */

import { currentMembership } from "./raft-log.ts";
import type { CoreState } from "./state.ts";
import type { PeerStatus, RaftStatus } from "./types.ts";

export function statusOf(state: CoreState, applicableIndex: number): RaftStatus {
  const { options, log, leading } = state;
  return {
    nodeId: options.nodeId,
    role: state.role,
    term: state.term,
    vote: state.vote,
    leader: state.leader,
    transferTo: leading?.transferTo ?? "",
    firstIndex: log.firstIndex,
    lastIndex: log.lastIndex,
    durableIndex: log.durableIndex,
    commitIndex: state.commitIndex,
    applicableIndex,
    appliedIndex: state.appliedIndex,
    uncommittedBytes: leading?.uncommittedBytes ?? 0,
    stalledTicks: state.work.stalledTicks,
    abstains: state.abstains,
    membership: currentMembership(log),
    peers: peersOf(state),
  };
}

function peersOf({ leading, options }: CoreState): PeerStatus[] {
  if (leading === null) return [];
  return [...leading.peers.values()].map((peer) => ({
    id: peer.id,
    state: peer.state,
    matchIndex: peer.matchIndex,
    nextIndex: peer.nextIndex,
    inflightMessages: peer.inflightIndexes.length,
    inflightBytes: peer.inflightBytes,
    isActive: peer.silentTicks < options.electionTicks,
  }));
}
