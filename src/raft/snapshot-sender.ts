/** Snapshots on the leader's side: chunks in a window, again from where the receiver stands (DESIGN.md 33-35). */

import { beginChunks } from "./progress.ts";
import { type ChunkProgress, type CoreState, drop, type Progress } from "./state.ts";
import { MESSAGE, type SnapshotReply } from "./types.ts";

/** Filled by the driver. */
const NO_BYTES = new Uint8Array(0);

export function sendChunks(state: CoreState, peer: Progress): void {
  const transfer = peer.transfer as ChunkProgress;
  const { inflightMaxChunks, nodeId } = state.options;
  const end = Math.min(transfer.meta.chunkCount, transfer.ackedChunk + inflightMaxChunks);
  while (transfer.nextChunk < end) {
    state.outbox.chunks.push({
      kind: MESSAGE.snapshotChunk,
      from: nodeId,
      to: peer.id,
      term: state.term,
      meta: transfer.meta,
      chunk: transfer.nextChunk,
      bytes: NO_BYTES,
    });
    transfer.nextChunk += 1;
  }
}

export function handleSnapshotReply(state: CoreState, message: SnapshotReply): void {
  const peer = state.leading?.peers.get(message.from);
  if (peer === undefined) return drop(state);
  peer.silentTicks = 0;
  const { transfer } = peer;
  // About a snapshot that is not on its way any more.
  if (transfer === null || message.snapshotId !== transfer.meta.id) return;
  if (message.nextChunk > transfer.meta.chunkCount) return drop(state);
  state.needsPump = true;
  if (message.isRejected) return restartLater(state, peer);
  transfer.wantedChunk = message.nextChunk;
  if (message.nextChunk > transfer.ackedChunk) {
    transfer.ackedChunk = message.nextChunk;
    transfer.nextChunk = Math.max(transfer.nextChunk, message.nextChunk);
    transfer.idleTicks = 0;
    transfer.hasRewound = false;
    return;
  }
  // The same chunk is asked for again: it was lost, and what followed it was not kept.
  if (transfer.hasRewound) return;
  transfer.hasRewound = true;
  transfer.nextChunk = transfer.ackedChunk;
}

/** Nothing has moved for an election timeout: once more from what the receiver wanted, or with a newer snapshot. */
export function tickChunks(state: CoreState, peer: Progress): void {
  const transfer = peer.transfer as ChunkProgress;
  transfer.idleTicks += 1;
  if (transfer.idleTicks < state.options.electionTicks) return;
  state.needsPump = true;
  if (state.snapshot !== null && state.snapshot.id !== transfer.meta.id) {
    return restart(state, peer);
  }
  transfer.idleTicks = 0;
  transfer.hasRewound = false;
  transfer.ackedChunk = transfer.wantedChunk;
  transfer.nextChunk = transfer.wantedChunk;
}

/**
 * The receiver cannot keep it: damage on the way, or a full disk. As if a first window had been lost: the next attempt
 * comes after an election timeout, not at once and for ever.
 */
function restartLater(state: CoreState, peer: Progress): void {
  restart(state, peer);
  const transfer = peer.transfer as ChunkProgress;
  transfer.nextChunk = Math.min(transfer.meta.chunkCount, state.options.inflightMaxChunks);
}

function restart(state: CoreState, peer: Progress): void {
  const transfer = peer.transfer as ChunkProgress;
  peer.transfer = beginChunks(state.snapshot ?? transfer.meta);
}
