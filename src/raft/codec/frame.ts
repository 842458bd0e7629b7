/**
 * The frame around every peer message, and its head.
 *
 * ```
 *   0 u32 magic "HPMS"   4 u16 version    6 u16 kind (MESSAGE)
 *   8 u32 bytes of the whole frame, a multiple of 8
 *  12 u32 CRC32C of bytes 0..12 and 16..end
 *  16 f64 term          24 f64[3] numbers, by kind; unused ones are 0
 *  48 u32 flag, 0 or 1  52 u32 count, by kind
 *  56 u16 from bytes    58 u16 to bytes    60 u32 0
 *  64 from | to | zeros to 8 | the rest, by kind (message.ts)
 * ```
 *
 * Everything starts at a multiple of 8 of the frame, so that a receive buffer that is aligned has aligned bodies. The
 * CRC covers the bodies: what a peer appends is what the leader has, also when memory or a middle box is broken.
 */

import { assertFailed, crc32cOf } from "../../base/index.ts";
import { type Message, MESSAGE, type NodeId } from "../types.ts";
import { align8, check, codecError, RecordReader, RecordWriter } from "./bytes.ts";
import { encodeId } from "./ids.ts";
import { CODEC_LIMITS } from "./limits.ts";

export const MESSAGE_MAGIC = 0x534d_5048;
export const MESSAGE_VERSION = 1;
export const MESSAGE_HEADER_BYTES = 64;
const LENGTH_OFFSET = 8;
const CRC_OFFSET = 12;

export type MessageKind = Message["kind"];

/** A frame as pieces for one gathering write: the head, which is new, then bodies by reference, never copied. */
export interface EncodedMessage {
  /** Borrowed from the message, but for the first. */
  readonly pieces: readonly Uint8Array[];
  readonly totalBytes: number;
}

export interface FrameHead {
  readonly kind: MessageKind;
  readonly term: number;
  readonly from: NodeId;
  readonly to: NodeId;
  /** By kind; 0 where it has none. */
  readonly first: number;
  readonly second: number;
  readonly third: number;
  readonly flag: boolean;
  readonly count: number;
}

const KINDS: ReadonlySet<number> = new Set(Object.values(MESSAGE));

/** Puts the head before `extra` (new, a multiple of 8) and `bodies` (by reference, a multiple of 8 together). */
export function encodeFrame(
  head: FrameHead,
  extra: Uint8Array | null,
  bodies: readonly Uint8Array[],
): EncodedMessage {
  const from = encodeId(head.from, "sender");
  const to = encodeId(head.to, "receiver");
  const headBytes =
    MESSAGE_HEADER_BYTES + align8(from.length + to.length) + (extra === null ? 0 : extra.length);
  let totalBytes = headBytes;
  for (const body of bodies) totalBytes += body.length;
  const { messageMaxBytes } = CODEC_LIMITS;
  if (totalBytes % 8 !== 0) assertFailed(`A frame of ${totalBytes} bytes is not padded`);
  if (totalBytes > messageMaxBytes)
    assertFailed(`A message of ${totalBytes} bytes, limit is ${messageMaxBytes}`);
  const writer = new RecordWriter(headBytes)
    .u32(MESSAGE_MAGIC)
    .u16(MESSAGE_VERSION)
    .u16(head.kind)
    .u32(totalBytes)
    .u32(0)
    .integer(head.term)
    .integer(head.first)
    .integer(head.second)
    .integer(head.third)
    .u32(head.flag ? 1 : 0)
    .u32(head.count)
    .u16(from.length)
    .u16(to.length)
    .u32(0)
    .raw(from)
    .raw(to)
    .align();
  if (extra !== null) writer.raw(extra);
  const pieces = [writer.bytes, ...bodies];
  sealFrame(pieces);
  return { pieces, totalBytes };
}

/** Writes the CRC over all pieces into the first. */
export function sealFrame(pieces: readonly Uint8Array[]): void {
  const head = pieces[0] as Uint8Array;
  new DataView(head.buffer, head.byteOffset).setUint32(CRC_OFFSET, frameCrc(pieces), true);
}

function frameCrc(pieces: readonly Uint8Array[]): number {
  const head = pieces[0] as Uint8Array;
  let crc = crc32cOf(head, CRC_OFFSET + 4, head.length, crc32cOf(head, 0, CRC_OFFSET));
  for (let i = 1; i < pieces.length; i++) {
    const piece = pieces[i] as Uint8Array;
    crc = crc32cOf(piece, 0, piece.length, crc);
  }
  return crc;
}

/**
 * Checks the frame and reads its head; the reader stands behind it.
 *
 * Errors: HearthError invalid_argument with a CodecReason. Nothing is allocated for bytes that fail the checksum.
 */
export function decodeFrame(bytes: Uint8Array): {
  readonly head: FrameHead;
  readonly reader: RecordReader;
} {
  checkFrame(bytes);
  const reader = new RecordReader(bytes, 6);
  const kind = reader.u16();
  if (!KINDS.has(kind)) throw codecError("bad_content", `message kind ${kind}`);
  reader.bytes(LENGTH_OFFSET);
  const term = reader.integer("term");
  const first = reader.integer("first number");
  const second = reader.integer("second number");
  const third = reader.integer("third number");
  const flag = reader.u32();
  if (flag > 1) throw codecError("bad_content", `flag ${flag}`);
  const count = reader.u32();
  const fromBytes = reader.u16();
  const toBytes = reader.u16();
  check(reader.u32() === 0, "reserved bytes of a message are not zero");
  const from = reader.id(fromBytes, "sender");
  const to = reader.id(toBytes, "receiver");
  reader.align();
  const isFlagged = flag === 1;
  return {
    head: {
      kind: kind as MessageKind,
      term,
      from,
      to,
      first,
      second,
      third,
      flag: isFlagged,
      count,
    },
    reader,
  };
}

function checkFrame(bytes: Uint8Array): void {
  if (bytes.length > CODEC_LIMITS.messageMaxBytes) {
    throw codecError(
      "too_large",
      `a message of ${bytes.length} bytes, limit is ${CODEC_LIMITS.messageMaxBytes}`,
    );
  }
  if (bytes.length < MESSAGE_HEADER_BYTES) {
    throw codecError("bad_length", `a message of ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, MESSAGE_HEADER_BYTES);
  if (view.getUint32(0, true) !== MESSAGE_MAGIC)
    throw codecError("bad_magic", "not a peer message");
  const version = view.getUint16(4, true);
  if (version !== MESSAGE_VERSION) {
    throw codecError("unsupported_version", `version ${version}, known is ${MESSAGE_VERSION}`);
  }
  const totalBytes = view.getUint32(LENGTH_OFFSET, true);
  if (totalBytes !== bytes.length || totalBytes % 8 !== 0) {
    throw codecError("bad_length", `${bytes.length} bytes of a message of ${totalBytes}`);
  }
  const crc = view.getUint32(CRC_OFFSET, true);
  if (frameCrc([bytes]) !== crc) throw codecError("bad_checksum", "the checksum does not match");
}
