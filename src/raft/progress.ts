/**
 * How a leader follows one peer (DESIGN.md 20-25).
 *
 * ```
 *            accepted                      needs entries below the log
 *   probe ------------> replicate          (from probe or replicate) ------> snapshot
 *     ^  <------------     |                                                    |
 *     |  rejected, lost    |                                                    |
 *     +--------------------+------------------- accepted: replicate -----------+
 * ```
 */

import { assert } from "../base/index.ts";
import type { ChunkProgress, LeaderState, Progress } from "./state.ts";
import { type MembershipAt, type NodeId, PROGRESS, type SnapshotMeta } from "./types.ts";

export function createProgress(id: NodeId, nextIndex: number): Progress {
  return {
    id,
    state: PROGRESS.probe,
    matchIndex: 0,
    nextIndex,
    isPaused: false,
    isProbeDue: true,
    isLoading: false,
    sentCommitIndex: 0,
    isCommitDue: false,
    inflightIndexes: [],
    inflightSizes: [],
    inflightBytes: 0,
    // Not heard of yet, but a new leader gives everybody an election timeout.
    silentTicks: 0,
    readRound: 0,
    transfer: null,
  };
}

/**
 * Follows everybody who is in the given configurations, and nobody else. Peers are kept in ascending order of ids:
 * the order of messages must not depend on how the set came about.
 */
export function followMembers(
  leading: LeaderState,
  memberships: readonly MembershipAt[],
  nodeId: NodeId,
  nextIndex: number,
): void {
  const ids = new Set(memberships.flatMap(({ membership }) => membership.members.map((m) => m.id)));
  ids.delete(nodeId);
  const peers = [...ids].sort().map((id) => leading.peers.get(id) ?? createProgress(id, nextIndex));
  leading.peers.clear();
  for (const peer of peers) leading.peers.set(peer.id, peer);
  for (const id of leading.remoteReads.keys()) if (!ids.has(id)) leading.remoteReads.delete(id);
}

export function becomeProbe(peer: Progress, nextIndex = peer.matchIndex + 1): void {
  peer.state = PROGRESS.probe;
  peer.nextIndex = Math.max(nextIndex, peer.matchIndex + 1);
  peer.transfer = null;
  peer.isPaused = false;
  peer.isProbeDue = true;
  clearInflight(peer);
}

export function becomeReplicate(peer: Progress): void {
  peer.state = PROGRESS.replicate;
  peer.nextIndex = peer.matchIndex + 1;
  peer.transfer = null;
  peer.isPaused = false;
  peer.isProbeDue = false;
  clearInflight(peer);
}

export function becomeSnapshot(peer: Progress, meta: SnapshotMeta): void {
  peer.state = PROGRESS.snapshot;
  peer.transfer = beginChunks(meta);
  peer.isPaused = false;
  peer.isProbeDue = false;
  clearInflight(peer);
}

export function beginChunks(meta: SnapshotMeta): ChunkProgress {
  return { meta, ackedChunk: 0, nextChunk: 0, wantedChunk: 0, idleTicks: 0, hasRewound: false };
}

export function addInflight(peer: Progress, lastIndex: number, bytes: number): void {
  peer.inflightIndexes.push(lastIndex);
  peer.inflightSizes.push(bytes);
  peer.inflightBytes += bytes;
}

/** Everything up to `index` has arrived. */
export function freeInflight(peer: Progress, index: number): void {
  const { inflightIndexes, inflightSizes } = peer;
  while (inflightIndexes.length > 0 && (inflightIndexes[0] as number) <= index) {
    inflightIndexes.shift();
    peer.inflightBytes -= inflightSizes.shift() as number;
  }
}

function clearInflight(peer: Progress): void {
  peer.inflightIndexes.length = 0;
  peer.inflightSizes.length = 0;
  peer.inflightBytes = 0;
}

export function assertProgress(peer: Progress): void {
  const { id, matchIndex, nextIndex, inflightBytes, inflightSizes, transfer, state } = peer;
  assert(matchIndex < nextIndex, `Peer "${id}": match ${matchIndex} >= next ${nextIndex}`);
  let bytes = 0;
  for (const size of inflightSizes) bytes += size;
  assert(bytes === inflightBytes, `Peer "${id}": ${inflightBytes} bytes under way, not ${bytes}`);
  assert((transfer !== null) === (state === PROGRESS.snapshot), `Peer "${id}": a lost snapshot`);
}
