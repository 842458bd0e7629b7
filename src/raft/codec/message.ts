/**
 * Peer messages as bytes: frame.ts has the head, this file what each kind puts into it.
 *
 * ```
 * kind            numbers                                    flag         count          behind the head
 * preVote         last index, last term
 * preVoteReply    asked term                                 is granted
 * vote            last index, last term                      is transfer
 * voteReply                                                  is granted
 * append          previous index, previous term, commit                   batches        batches.ts
 * appendReply     index, hint index, hint term               is rejected
 * heartbeat       commit index, read round
 * heartbeatReply  read round
 * readIndex       request id
 * readIndexReply  request id, index
 * snapshotChunk   chunk                                                   bytes of it    u32 meta bytes | u32 0
 *                                                                                        | meta | chunk | zeros to 8
 * snapshotReply   next chunk                                 is rejected  bytes of id    id | zeros to 8
 * timeoutNow
 * ```
 *
 * Sending gathers (`EncodedMessage.pieces`), because the same bodies go to every peer and to the log: a transport with
 * a gathering write copies nothing, one without copies each body once, into its own buffer. Receiving makes views:
 * a batch lives as long as the frame it came in.
 */

import { assert, chunkLength, unreachable } from "../../base/index.ts";
import {
  type Append,
  type AppendReply,
  type Message,
  MESSAGE,
  type SnapshotChunk,
  type SnapshotReply,
} from "../types.ts";
import { bodiesOf, decodeBatches, encodeBatchHeaders } from "./batches.ts";
import { align8, check, codecError, type RecordReader, RecordWriter } from "./bytes.ts";
import { decodeFrame, type EncodedMessage, encodeFrame, type FrameHead } from "./frame.ts";
import { encodeId } from "./ids.ts";
import { CODEC_LIMITS } from "./limits.ts";
import { decodeSnapshotMeta, encodeSnapshotMeta } from "./snapshot-meta.ts";

const ZEROS = new Uint8Array(8);
const NO_BODIES: readonly Uint8Array[] = [];

/**
 * Shape: little-endian, `totalBytes` is a multiple of 8; all pieces but the first are borrowed from the message.
 * Errors: none for what a core makes; values outside of CODEC_LIMITS assert.
 */
export function encodeMessage(message: Message): EncodedMessage {
  switch (message.kind) {
    case MESSAGE.append: {
      const { batches } = message;
      return encodeFrame(headOf(message), encodeBatchHeaders(batches), bodiesOf(batches));
    }
    case MESSAGE.snapshotChunk:
      return encodeChunk(message);
    case MESSAGE.snapshotReply: {
      const id = encodeId(message.snapshotId, "snapshot id");
      return encodeFrame(headOf(message), new RecordWriter(align8(id.length)).raw(id).bytes, []);
    }
    default:
      return encodeFrame(headOf(message), null, NO_BODIES);
  }
}

/** A frame in one range of its own. Cost: one copy of every body. */
export function joinPieces(encoded: EncodedMessage): Uint8Array {
  const bytes = new Uint8Array(encoded.totalBytes);
  let offset = 0;
  for (const piece of encoded.pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

/** What of a message the head carries, by kind: the table above. */
function headOf(message: Message): FrameHead {
  switch (message.kind) {
    case MESSAGE.preVote:
      return head(message, message.lastIndex, message.lastTerm);
    case MESSAGE.preVoteReply:
      return head(message, message.askedTerm, 0, 0, message.isGranted);
    case MESSAGE.vote:
      return head(message, message.lastIndex, message.lastTerm, 0, message.isTransfer);
    case MESSAGE.voteReply:
      return head(message, 0, 0, 0, message.isGranted);
    case MESSAGE.append: {
      const { previousIndex, previousTerm, commitIndex, batches } = message;
      return head(message, previousIndex, previousTerm, commitIndex, false, batches.length);
    }
    case MESSAGE.appendReply: {
      const { index, hintIndex, hintTerm, isRejected } = message;
      return head(message, index, hintIndex, hintTerm, isRejected);
    }
    case MESSAGE.heartbeat:
      return head(message, message.commitIndex, message.readRound);
    case MESSAGE.heartbeatReply:
      return head(message, message.readRound);
    case MESSAGE.readIndex:
      return head(message, message.requestId);
    case MESSAGE.readIndexReply:
      return head(message, message.requestId, message.index);
    case MESSAGE.snapshotChunk:
      return head(message, message.chunk, 0, 0, false, message.bytes.length);
    case MESSAGE.snapshotReply: {
      const { nextChunk, isRejected, snapshotId } = message;
      return head(message, nextChunk, 0, 0, isRejected, snapshotId.length);
    }
    case MESSAGE.timeoutNow:
      return head(message);
    default:
      return unreachable(message);
  }
}

/** One place that makes heads, so that all of them are alike to whoever reads their fields. */
function head(
  { kind, term, from, to }: Message,
  first = 0,
  second = 0,
  third = 0,
  flag = false,
  count = 0,
): FrameHead {
  return { kind, term, from, to, first, second, third, flag, count };
}

function encodeChunk(message: SnapshotChunk): EncodedMessage {
  const { meta, chunk, bytes } = message;
  assert(
    chunk < meta.chunkCount && bytes.length === chunkLength(meta, chunk),
    `Chunk ${chunk} of ${bytes.length} bytes is not one of its snapshot`,
  );
  const record = encodeSnapshotMeta(meta);
  const extra = new RecordWriter(8 + record.length).u32(record.length).u32(0).raw(record).bytes;
  const padding = ZEROS.subarray(0, align8(bytes.length) - bytes.length);
  const bodies = padding.length === 0 ? [bytes] : [bytes, padding];
  return encodeFrame(headOf(message), extra, bodies);
}

/**
 * Reads one whole frame.
 *
 * Shape: bodies and chunks are views of `bytes`, aligned to 8 when `bytes` is; `bytes` must not change any more.
 * Errors: HearthError invalid_argument with a CodecReason, whatever the bytes; nothing else is thrown.
 * Cost: the checksum, a walk over the entry headers, one object per batch.
 */
export function decodeMessage(bytes: Uint8Array): Message {
  const { head, reader } = decodeFrame(bytes);
  checkUnused(head);
  const message = readMessage(head, reader);
  reader.expectEnd();
  return message;
}

/** How many numbers a kind uses, and whether it has a flag and a count. */
const USES: Readonly<
  Record<FrameHead["kind"], readonly [numbers: number, flag: 0 | 1, count: 0 | 1]>
> = {
  [MESSAGE.preVote]: [2, 0, 0],
  [MESSAGE.preVoteReply]: [1, 1, 0],
  [MESSAGE.vote]: [2, 1, 0],
  [MESSAGE.voteReply]: [0, 1, 0],
  [MESSAGE.append]: [3, 0, 1],
  [MESSAGE.appendReply]: [3, 1, 0],
  [MESSAGE.heartbeat]: [2, 0, 0],
  [MESSAGE.heartbeatReply]: [1, 0, 0],
  [MESSAGE.readIndex]: [1, 0, 0],
  [MESSAGE.readIndexReply]: [2, 0, 0],
  [MESSAGE.snapshotChunk]: [1, 0, 1],
  [MESSAGE.snapshotReply]: [1, 1, 1],
  [MESSAGE.timeoutNow]: [0, 0, 0],
};

function checkUnused({ kind, first, second, third, flag, count }: FrameHead): void {
  const [used, hasFlag, hasCount] = USES[kind];
  const isUnusedZero =
    (used > 0 || first === 0) && (used > 1 || second === 0) && (used > 2 || third === 0);
  check(isUnusedZero, "a number that its kind does not have");
  check(hasFlag === 1 || !flag, "a flag that its kind does not have");
  check(hasCount === 1 || count === 0, "a count that its kind does not have");
}

/** Written out field by field: copying an envelope into each costs more than all the rest. */
function readMessage(head: FrameHead, reader: RecordReader): Message {
  const { kind, term, from, to, first, second, flag } = head;
  switch (kind) {
    case MESSAGE.preVote:
      checkLast(head);
      return { kind, from, to, term, lastIndex: first, lastTerm: second };
    case MESSAGE.preVoteReply:
      return { kind, from, to, term, askedTerm: first, isGranted: flag };
    case MESSAGE.vote:
      checkLast(head);
      return { kind, from, to, term, lastIndex: first, lastTerm: second, isTransfer: flag };
    case MESSAGE.voteReply:
      return { kind, from, to, term, isGranted: flag };
    case MESSAGE.append:
      return readAppend(head, reader);
    case MESSAGE.appendReply:
      return readAppendReply(head);
    case MESSAGE.heartbeat:
      return { kind, from, to, term, commitIndex: first, readRound: second };
    case MESSAGE.heartbeatReply:
      return { kind, from, to, term, readRound: first };
    case MESSAGE.readIndex:
      return { kind, from, to, term, requestId: first };
    case MESSAGE.readIndexReply:
      return { kind, from, to, term, requestId: first, index: second };
    case MESSAGE.snapshotChunk:
      return readChunk(head, reader);
    case MESSAGE.snapshotReply:
      return readSnapshotReply(head, reader);
    case MESSAGE.timeoutNow:
      return { kind, from, to, term };
    default:
      return unreachable(kind);
  }
}

function readAppend(head: FrameHead, reader: RecordReader): Append {
  const { term, from, to, count, first: previousIndex, second: previousTerm, third } = head;
  if (previousIndex === 0 && previousTerm !== 0)
    throw codecError("bad_content", `term ${previousTerm} of the entry before the first`);
  if (previousTerm > term)
    throw codecError("bad_content", `previous term ${previousTerm} in term ${term}`);
  const batches = decodeBatches(reader, count, { term, previousIndex, previousTerm });
  return {
    kind: MESSAGE.append,
    from,
    to,
    term,
    previousIndex,
    previousTerm,
    batches,
    commitIndex: third,
  };
}

function readAppendReply(head: FrameHead): AppendReply {
  const { term, from, to, first: index, second: hintIndex, third: hintTerm, flag } = head;
  if (hintTerm > term) throw codecError("bad_content", `hint of term ${hintTerm} in term ${term}`);
  check(flag || (hintIndex === 0 && hintTerm === 0), "a hint without a rejection");
  return {
    kind: MESSAGE.appendReply,
    from,
    to,
    term,
    isRejected: flag,
    index,
    hintIndex,
    hintTerm,
  };
}

/** A candidate campaigns in a term above all that it has entries of. */
function checkLast({ term, first: lastIndex, second: lastTerm }: FrameHead): void {
  check(lastIndex > 0 || lastTerm === 0, `term ${lastTerm} of an empty log`);
  check(lastTerm < term, `a candidate of term ${term} with entries of ${lastTerm}`);
}

function readChunk(head: FrameHead, reader: RecordReader): SnapshotChunk {
  const { term, from, to, count, first: chunk } = head;
  if (count > CODEC_LIMITS.chunkMaxBytes) {
    throw codecError("too_large", `a chunk of ${count} bytes`);
  }
  const metaBytes = reader.u32();
  check(reader.u32() === 0, "reserved bytes of a chunk are not zero");
  const meta = decodeSnapshotMeta(reader.bytes(metaBytes));
  check(meta.term <= term, `snapshot of term ${meta.term} in term ${term}`);
  check(chunk < meta.chunkCount, `chunk ${chunk} of ${meta.chunkCount}`);
  check(count === chunkLength(meta, chunk), `chunk ${chunk} of ${count} bytes`);
  const bytes = reader.bytes(count);
  reader.align();
  return { kind: MESSAGE.snapshotChunk, from, to, term, meta, chunk, bytes };
}

function readSnapshotReply(head: FrameHead, reader: RecordReader): SnapshotReply {
  const { term, from, to, flag, count, first: nextChunk } = head;
  const snapshotId = reader.id(count, "snapshot id");
  reader.align();
  return { kind: MESSAGE.snapshotReply, from, to, term, snapshotId, nextChunk, isRejected: flag };
}

/** Both directions with their bound, for whoever is handed a codec. */
export const MESSAGE_CODEC = {
  encode: encodeMessage,
  decode: decodeMessage,
  messageMaxBytes: CODEC_LIMITS.messageMaxBytes,
} as const;
