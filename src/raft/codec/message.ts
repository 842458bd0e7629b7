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
import { type Message, MESSAGE, type SnapshotChunk, type SnapshotReply } from "../types.ts";
import { bodiesOf, decodeBatches, encodeBatchHeaders } from "./batches.ts";
import { align8, check, codecError, encodeId, type RecordReader, RecordWriter } from "./bytes.ts";
import { decodeFrame, type EncodedMessage, encodeFrame, type FrameHead } from "./frame.ts";
import { CODEC_LIMITS } from "./limits.ts";
import { decodeSnapshotMeta, encodeSnapshotMeta } from "./snapshot-meta.ts";

const ZEROS = new Uint8Array(8);

/**
 * Shape: little-endian, `totalBytes` is a multiple of 8; all pieces but the first are borrowed from the message.
 * Errors: none for what a core makes; values outside of CODEC_LIMITS assert.
 */
export function encodeMessage(message: Message): EncodedMessage {
  const { kind, term, from, to } = message;
  const head = { kind, term, from, to, flag: flagOf(message), count: 0 };
  switch (message.kind) {
    case MESSAGE.append: {
      const { previousIndex, previousTerm, commitIndex, batches } = message;
      const numbers = [previousIndex, previousTerm, commitIndex];
      const bodies = bodiesOf(batches);
      const headers = encodeBatchHeaders(batches);
      return encodeFrame({ ...head, numbers, count: batches.length }, headers, bodies);
    }
    case MESSAGE.snapshotChunk:
      return encodeChunk(head, message);
    case MESSAGE.snapshotReply: {
      const id = encodeId(message.snapshotId, "snapshot id");
      const numbers = [message.nextChunk];
      const extra = new RecordWriter(align8(id.length)).raw(id).bytes;
      return encodeFrame({ ...head, numbers, count: id.length }, extra, []);
    }
    default:
      return encodeFrame({ ...head, numbers: numbersOf(message) }, null, []);
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

function flagOf(message: Message): boolean {
  switch (message.kind) {
    case MESSAGE.preVoteReply:
    case MESSAGE.voteReply:
      return message.isGranted;
    case MESSAGE.vote:
      return message.isTransfer;
    case MESSAGE.appendReply:
    case MESSAGE.snapshotReply:
      return message.isRejected;
    default:
      return false;
  }
}

type Plain = Exclude<
  Message,
  { kind: typeof MESSAGE.append | typeof MESSAGE.snapshotChunk | typeof MESSAGE.snapshotReply }
>;

function numbersOf(message: Plain): readonly number[] {
  switch (message.kind) {
    case MESSAGE.preVote:
    case MESSAGE.vote:
      return [message.lastIndex, message.lastTerm];
    case MESSAGE.preVoteReply:
      return [message.askedTerm];
    case MESSAGE.appendReply:
      return [message.index, message.hintIndex, message.hintTerm];
    case MESSAGE.heartbeat:
      return [message.commitIndex, message.readRound];
    case MESSAGE.heartbeatReply:
      return [message.readRound];
    case MESSAGE.readIndex:
      return [message.requestId];
    case MESSAGE.readIndexReply:
      return [message.requestId, message.index];
    case MESSAGE.voteReply:
    case MESSAGE.timeoutNow:
      return [];
    default:
      return unreachable(message);
  }
}

function encodeChunk(head: Omit<FrameHead, "numbers">, message: SnapshotChunk): EncodedMessage {
  const { meta, chunk, bytes } = message;
  assert(
    chunk < meta.chunkCount && bytes.length === chunkLength(meta, chunk),
    `Chunk ${chunk} of ${bytes.length} bytes is not one of its snapshot`,
  );
  const record = encodeSnapshotMeta(meta);
  const extra = new RecordWriter(8 + record.length).u32(record.length).u32(0).raw(record).bytes;
  const padding = ZEROS.subarray(0, align8(bytes.length) - bytes.length);
  const bodies = padding.length === 0 ? [bytes] : [bytes, padding];
  return encodeFrame({ ...head, numbers: [chunk], count: bytes.length }, extra, bodies);
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

function checkUnused({ kind, numbers, flag, count }: FrameHead): void {
  const [used, hasFlag, hasCount] = USES[kind];
  check(
    numbers.every((number, i) => i < used || number === 0),
    "a number that its kind does not have",
  );
  check(hasFlag === 1 || !flag, "a flag that its kind does not have");
  check(hasCount === 1 || count === 0, "a count that its kind does not have");
}

function readMessage(head: FrameHead, reader: RecordReader): Message {
  const { kind, term, from, to, flag, count } = head;
  const [first, second, third] = head.numbers as readonly [number, number, number];
  const envelope = { from, to, term };
  switch (kind) {
    case MESSAGE.preVote:
      checkLast(head, first, second);
      return { kind, ...envelope, lastIndex: first, lastTerm: second };
    case MESSAGE.preVoteReply:
      return { kind, ...envelope, askedTerm: first, isGranted: flag };
    case MESSAGE.vote:
      checkLast(head, first, second);
      return { kind, ...envelope, lastIndex: first, lastTerm: second, isTransfer: flag };
    case MESSAGE.voteReply:
      return { kind, ...envelope, isGranted: flag };
    case MESSAGE.append: {
      check(first > 0 || second === 0, `term ${second} of the entry before the first`);
      check(second <= term, `previous term ${second} in term ${term}`);
      const place = { previousIndex: first, previousTerm: second };
      const batches = decodeBatches(reader, count, { term, ...place });
      return { kind, ...envelope, ...place, batches, commitIndex: third };
    }
    case MESSAGE.appendReply:
      check(third <= term, `hint of term ${third} in term ${term}`);
      check(flag || (second === 0 && third === 0), "a hint without a rejection");
      return {
        kind,
        ...envelope,
        isRejected: flag,
        index: first,
        hintIndex: second,
        hintTerm: third,
      };
    case MESSAGE.heartbeat:
      return { kind, ...envelope, commitIndex: first, readRound: second };
    case MESSAGE.heartbeatReply:
      return { kind, ...envelope, readRound: first };
    case MESSAGE.readIndex:
      return { kind, ...envelope, requestId: first };
    case MESSAGE.readIndexReply:
      return { kind, ...envelope, requestId: first, index: second };
    case MESSAGE.snapshotChunk:
      return readChunk(head, reader);
    case MESSAGE.snapshotReply:
      return readSnapshotReply(head, reader);
    case MESSAGE.timeoutNow:
      return { kind, ...envelope };
    default:
      return unreachable(kind);
  }
}

/** A candidate campaigns in a term above all that it has entries of. */
function checkLast(head: FrameHead, lastIndex: number, lastTerm: number): void {
  check(lastIndex > 0 || lastTerm === 0, `term ${lastTerm} of an empty log`);
  check(lastTerm < head.term, `a candidate of term ${head.term} with entries of ${lastTerm}`);
}

function readChunk(head: FrameHead, reader: RecordReader): SnapshotChunk {
  const { term, from, to, count } = head;
  const chunk = head.numbers[0] as number;
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
  const { term, from, to, flag, count } = head;
  const snapshotId = reader.id(count, "snapshot id");
  reader.align();
  const nextChunk = head.numbers[0] as number;
  return { kind: MESSAGE.snapshotReply, from, to, term, snapshotId, nextChunk, isRejected: flag };
}
