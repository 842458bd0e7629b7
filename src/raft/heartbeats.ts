/** Heartbeats: signs of life, commit index, read rounds. They promise nothing and leave at once. */

import { type CoreState, type LeaderState, type Progress, send } from "./state.ts";
import { MESSAGE } from "./types.ts";

/** Also carries the newest read round: a heartbeat that is sent after a round began confirms it. */
export function sendHeartbeat(state: CoreState, peer: Progress): void {
  const leading = state.leading as LeaderState;
  // What is above the match may be another entry there.
  const commitIndex = Math.min(peer.matchIndex, state.commitIndex);
  peer.sentCommitIndex = Math.max(peer.sentCommitIndex, commitIndex);
  send(state, {
    kind: MESSAGE.heartbeat,
    from: state.options.nodeId,
    to: peer.id,
    term: state.term,
    commitIndex,
    readRound: leading.readRound,
  });
}

export function sendHeartbeats(state: CoreState): void {
  const leading = state.leading as LeaderState;
  leading.heartbeatElapsed = 0;
  leading.isTargetTold = false;
  for (const peer of leading.peers.values()) sendHeartbeat(state, peer);
}
