/** Messages, work and states as one line of text each. */

import { COMMAND, iterateEntries } from "../../../src/protocol/index.ts";
import {
  type AppendWork,
  type Batch,
  BATCH_KIND,
  decodeMembershipBatch,
  type Membership,
  MESSAGE,
  type Message,
  type SnapshotMeta,
} from "../../../src/raft/index.ts";

const KIND_NAMES = new Map<number, string>(
  Object.entries(MESSAGE).map(([name, kind]) => [kind, name]),
);

/** Everything that a message says, but for who talks to whom. */
export function formatMessage(message: Message): string {
  return `${KIND_NAMES.get(message.kind)} t${message.term}${formatContent(message)}`;
}

function formatContent(message: Message): string {
  switch (message.kind) {
    case MESSAGE.preVote:
      return ` last ${entry(message.lastIndex, message.lastTerm)}`;
    case MESSAGE.vote: {
      const last = entry(message.lastIndex, message.lastTerm);
      return ` last ${last}${message.isTransfer ? " for a transfer" : ""}`;
    }
    case MESSAGE.preVoteReply:
      return ` asked t${message.askedTerm} ${message.isGranted ? "granted" : "refused"}`;
    case MESSAGE.voteReply:
      return message.isGranted ? " granted" : " refused";
    case MESSAGE.append: {
      const previous = entry(message.previousIndex, message.previousTerm);
      const batches = message.batches.map(formatBatch).join(" ");
      return ` after ${previous} [${batches}] commit ${message.commitIndex}`;
    }
    case MESSAGE.appendReply:
      return message.isRejected
        ? ` rejected ${message.index}, hint ${entry(message.hintIndex, message.hintTerm)}`
        : ` matches ${message.index}`;
    case MESSAGE.heartbeat:
      return ` commit ${message.commitIndex}${round(message.readRound)}`;
    case MESSAGE.heartbeatReply:
      return round(message.readRound);
    case MESSAGE.readIndex:
      return ` request ${message.requestId}`;
    case MESSAGE.readIndexReply:
      return ` request ${message.requestId} index ${message.index}`;
    case MESSAGE.snapshotChunk: {
      const { meta, chunk } = message;
      return ` ${formatMeta(meta)} chunk ${chunk + 1} of ${meta.chunkCount}`;
    }
    case MESSAGE.snapshotReply: {
      const next = `next chunk ${message.nextChunk + 1}`;
      return ` ${message.snapshotId} ${message.isRejected ? "rejected" : next}`;
    }
    default:
      return "";
  }
}

function entry(index: number, term: number): string {
  return `${index}/t${term}`;
}

function round(readRound: number): string {
  return readRound === 0 ? "" : ` round ${readRound}`;
}

export function formatMeta(meta: SnapshotMeta): string {
  return `${meta.id} at ${entry(meta.index, meta.term)}`;
}

/** `4/t2:x` or, for several entries, `4-6/t2:x,y,z`. */
export function formatBatch(batch: Batch): string {
  const { firstIndex, count, term } = batch;
  const range = count === 1 ? `${firstIndex}` : `${firstIndex}-${firstIndex + count - 1}`;
  return `${range}/t${term}:${contentOf(batch)}`;
}

function contentOf(batch: Batch): string {
  if (batch.kind === BATCH_KIND.membership) {
    return `(${formatMembership(decodeMembershipBatch(batch))})`;
  }
  const texts: string[] = [];
  iterateEntries(batch.body, batch.bodyBytes, (command, _version, offset, length) => {
    const text = Buffer.from(batch.body.subarray(offset, offset + length)).toString();
    texts.push(command === COMMAND.noop && text === "" ? "noop" : text);
  });
  return texts.join(",");
}

export function formatMembership(membership: Membership): string {
  const { voters, votersOutgoing, learners, learnersNext } = membership;
  const parts = [`voters ${voters.join(" ")}`];
  if (votersOutgoing.length > 0) parts.push(`outgoing ${votersOutgoing.join(" ")}`);
  if (learners.length > 0) parts.push(`learners ${learners.join(" ")}`);
  if (learnersNext.length > 0) parts.push(`learners next ${learnersNext.join(" ")}`);
  return parts.join(", ");
}

/** One piece of durable work; what it releases is shown when it leaves. */
export function formatWork(work: AppendWork): string {
  const parts: string[] = [];
  if (work.install !== null) {
    const { meta, keepsLog } = work.install;
    parts.push(`install ${formatMeta(meta)}${keepsLog ? ", log kept" : ", log dropped"}`);
  }
  if (work.truncateFrom !== null) parts.push(`give up from ${work.truncateFrom.fromIndex}`);
  if (work.hardState !== null) {
    const { term, vote, abstains } = work.hardState;
    parts.push(`term ${term} vote ${vote || "-"}${abstains ? " abstains" : ""}`);
  }
  if (work.batches.length > 0) parts.push(work.batches.map(formatBatch).join(" "));
  if (parts.length === 0) parts.push("nothing new");
  return `#${work.sequence} ${parts.join("; ")}`;
}
