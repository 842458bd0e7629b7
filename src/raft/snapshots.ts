/** Snapshots on the receiving side, and those that this member takes itself (DESIGN.md 33-35). */

import { assert } from "../base/index.ts";
import { raiseCommit } from "./commit.ts";
import { acceptAppend, recogniseLeader } from "./follower.ts";
import { compactLog, replaceLog, termAt } from "./raft-log.ts";
import { membershipChanged } from "./roles.ts";
import type { Core, CoreState } from "./state.ts";
import { MESSAGE, type NodeId, type SnapshotChunk, type SnapshotMeta } from "./types.ts";
import { holdForTerm, installDurably, lowerDurable } from "./work.ts";

export function handleSnapshotChunk(core: Core, message: SnapshotChunk): void {
  const { state } = core;
  if (!recogniseLeader(core, message.from)) return;
  const { meta, chunk, bytes, from, term } = message;
  // All of it is here already: the leader may go on behind it.
  if (meta.index <= state.commitIndex) return acceptAppend(state, from, state.commitIndex);
  // One install at a time. The chunk counts as lost: the leader sends it again when it hears nothing.
  if (state.installIndex > 0) return;
  const { receiving } = state;
  if (receiving === null || receiving.meta.id !== meta.id) {
    // An echo of what was replaced: an older snapshot of the same leader.
    const isOlder = receiving?.term === term && meta.index < receiving.meta.index;
    if (isOlder) return;
    // What the store kept of it before a restart comes to light with the first chunk.
    state.receiving = { meta, leader: from, term, nextChunk: 0 };
  } else {
    receiving.leader = from;
    receiving.term = term;
    if (chunk < receiving.nextChunk) {
      return replyChunk(state, from, meta, receiving.nextChunk, false);
    }
  }
  state.outbox.storeChunks.push({ meta, chunk, bytes });
}

/** The store holds chunks [0, nextChunk); with all of them verified, the snapshot takes the place of the state. */
export function chunkStored(
  core: Core,
  meta: SnapshotMeta,
  nextChunk: number,
  isDamaged: boolean,
): void {
  const { state } = core;
  const { receiving } = state;
  if (receiving === null || receiving.meta.id !== meta.id) return;
  assert(nextChunk <= meta.chunkCount, `Chunk ${nextChunk} of ${meta.chunkCount}`);
  const { leader } = receiving;
  if (isDamaged) {
    state.receiving = null;
    return replyChunk(state, leader, meta, 0, true);
  }
  receiving.nextChunk = nextChunk;
  if (nextChunk < meta.chunkCount) return replyChunk(state, leader, meta, nextChunk, false);
  state.receiving = null;
  // Appends may have overtaken it.
  if (meta.index <= state.commitIndex) return acceptAppend(state, leader, state.commitIndex);
  install(state, receiving.meta);
  acceptAppend(state, leader, meta.index);
}

/** Committed by a quorum elsewhere, so true in every term. A log that does not contain it goes (DESIGN.md 34). */
function install(state: CoreState, meta: SnapshotMeta): void {
  const { log } = state;
  assert(meta.index > state.commitIndex, `Snapshot ${meta.index} behind ${state.commitIndex}`);
  const keepsLog = termAt(log, meta.index) === meta.term;
  if (!keepsLog) {
    replaceLog(log, meta);
    // Durable is what the present log and the snapshot share: what was committed.
    lowerDurable(state, state.commitIndex);
  }
  log.lastAppendedAtMs = Math.max(log.lastAppendedAtMs, meta.appendedAtMs);
  installDurably(state, meta, keepsLog);
  state.installIndex = meta.index;
  state.snapshot = meta;
  raiseCommit(state, meta.index);
  membershipChanged(state);
}

function replyChunk(
  state: CoreState,
  to: NodeId,
  meta: SnapshotMeta,
  nextChunk: number,
  isRejected: boolean,
): void {
  holdForTerm(state, {
    kind: MESSAGE.snapshotReply,
    from: state.options.nodeId,
    to,
    term: state.term,
    snapshotId: meta.id,
    nextChunk,
    isRejected,
  });
}

// -- own -----------------------------------------------------------------------------------------------------------

/** Peers get it from now on; one that is under way goes on as long as the driver has it. */
export function snapshotTaken(state: CoreState, meta: SnapshotMeta): void {
  assert(meta.index <= state.appliedIndex, `Snapshot ${meta.index} above ${state.appliedIndex}`);
  if (state.snapshot === null || meta.index >= state.snapshot.index) state.snapshot = meta;
  state.needsPump = true;
}

export function compact(state: CoreState, throughIndex: number): void {
  const { log, snapshot, appliedIndex } = state;
  assert(
    snapshot !== null && throughIndex <= snapshot.index,
    `Cannot compact to ${throughIndex}: the snapshot ends at ${snapshot?.index ?? 0}`,
  );
  assert(throughIndex <= appliedIndex, `Cannot compact to ${throughIndex}: not applied`);
  compactLog(log, throughIndex);
}
