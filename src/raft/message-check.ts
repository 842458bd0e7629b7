/**
 * Whether a peer message makes sense by itself. The codec has checked bytes and bodies; this is about what a member
 * could say wrongly: ranges, order, lengths (DESIGN.md 40). A message that fails is dropped and counted.
 */

import { lastIndexOf } from "./batches.ts";
import {
  type Append,
  BATCH_KIND,
  type Message,
  MESSAGE,
  type SnapshotChunk,
  type SnapshotMeta,
} from "./types.ts";

/** Terms and indexes above it leave no room to count on. 2^52: 14 years at ten million entries a second. */
const NUMBER_MAX = 2 ** 52;

function isNumber(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= NUMBER_MAX;
}

export function isPlausible(message: Message, nodeId: string): boolean {
  const { from, to, term } = message;
  if (to !== nodeId || from === nodeId || from === "" || !isNumber(term)) return false;
  // A member that was never in a term can only answer pre-votes.
  if (term === 0 && message.kind !== MESSAGE.preVoteReply) return false;
  switch (message.kind) {
    case MESSAGE.preVote:
    case MESSAGE.vote:
      return isNumber(message.lastIndex) && isNumber(message.lastTerm) && message.lastTerm < term;
    case MESSAGE.preVoteReply:
      return isNumber(message.askedTerm);
    case MESSAGE.append:
      return isPlausibleAppend(message);
    case MESSAGE.appendReply:
      return isNumber(message.index) && isNumber(message.hintIndex) && isNumber(message.hintTerm);
    case MESSAGE.heartbeat:
      return isNumber(message.commitIndex) && isNumber(message.readRound);
    case MESSAGE.heartbeatReply:
      return isNumber(message.readRound);
    case MESSAGE.readIndex:
      return isNumber(message.requestId);
    case MESSAGE.readIndexReply:
      return isNumber(message.requestId) && isNumber(message.index);
    case MESSAGE.snapshotChunk:
      return isPlausibleChunk(message);
    case MESSAGE.snapshotReply:
      return isNumber(message.nextChunk);
    case MESSAGE.voteReply:
    case MESSAGE.timeoutNow:
      return true;
    default:
      return false;
  }
}

function isPlausibleAppend(message: Append): boolean {
  const { previousIndex, previousTerm, batches, commitIndex, term } = message;
  if (!isNumber(previousIndex) || !isNumber(previousTerm) || !isNumber(commitIndex)) return false;
  if ((previousIndex === 0) !== (previousTerm === 0)) return false;
  let nextIndex = previousIndex + 1;
  let batchTerm = Math.max(previousTerm, 1);
  for (const batch of batches) {
    if (batch.firstIndex !== nextIndex || !isNumber(batch.count) || batch.count === 0) return false;
    if (!isNumber(batch.term) || batch.term < batchTerm) return false;
    if (!isNumber(batch.appendedAtMs) || batch.bodyBytes > batch.body.length) return false;
    if (batch.kind === BATCH_KIND.membership && batch.count !== 1) return false;
    nextIndex = lastIndexOf(batch) + 1;
    batchTerm = batch.term;
  }
  return isNumber(nextIndex) && batchTerm <= term;
}

function isPlausibleChunk({ meta, chunk, bytes, term }: SnapshotChunk): boolean {
  if (!isPlausibleMeta(meta) || meta.term > term) return false;
  if (!isNumber(chunk) || chunk >= meta.chunkCount) return false;
  const isLast = chunk === meta.chunkCount - 1;
  return bytes.length === (isLast ? meta.sizeBytes - chunk * meta.chunkBytes : meta.chunkBytes);
}

function isPlausibleMeta(meta: SnapshotMeta): boolean {
  const { index, term, membership, appendedAtMs, sizeBytes, chunkBytes, chunkCount } = meta;
  const numbers = [index, term, membership.index, appendedAtMs, sizeBytes, chunkBytes, chunkCount];
  if (!numbers.every(isNumber) || index === 0 || term === 0 || chunkBytes === 0) return false;
  if (membership.index > index || meta.id === "") return false;
  return chunkCount === Math.ceil(sizeBytes / chunkBytes) && chunkCount > 0;
}
