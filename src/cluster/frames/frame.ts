/**
 * Frames of a peer connection. Little-endian; every frame is a multiple of 8 long, and so begins at one.
 *
 * ```
 *   0 u32 magic "HPTF"    4 u16 kind (FRAME)    6 u16 0
 *   8 u32 bytes of the whole frame             12 u32 CRC32C of bytes 0..12
 *
 * kind message: the rest is one Raft message as src/raft/codec frames it, with a checksum of its own.
 *
 * every other kind:
 *  16 u32 CRC32C of bytes 20..end              20 u32 id      (request, answer: which; ping, pong: which)
 *  24 u32 tag (by kind)                        28 u32 body bytes
 *  32 body | zeros to 8
 *
 * kind        tag                                        body
 * hello       u16 lowest, u16 highest protocol version   JSON (hello.ts)
 * refuse      0                                          JSON (hello.ts); the connection ends behind it
 * introduce   0                                          JSON (hello.ts)
 * request     PEER_CALL                                  by call
 * answer      1: ok, 0: error                            by call; or an ErrorReply (src/protocol)
 * ping, pong  0                                          none
 * ```
 *
 * The head has a checksum of its own so that a length is believed before anything is allocated for it.
 */

import { assert, assertFailed, crc32cOf } from "../../base/index.ts";
import { PEER_LIMITS } from "../limits.ts";

export const FRAME = {
  hello: 1,
  refuse: 2,
  introduce: 3,
  message: 4,
  request: 5,
  answer: 6,
  ping: 7,
  pong: 8,
} as const;
export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

/** Kinds from here on may be skipped by whoever does not know them: later versions may send them unasked. */
export const OPTIONAL_KIND_FIRST = 0x8000;

const MAGIC = 0x4654_5048;
export const HEAD_BYTES = 16;
export const CONTROL_BYTES = 32;

/** Why a stream cannot go on; labels of a counter. */
const FRAME_FAULTS = ["not_a_peer", "bad_frame", "too_large", "unknown_kind"] as const;
export type FrameFault = (typeof FRAME_FAULTS)[number];

export function isFrameFault(reason: string): reason is FrameFault {
  return (FRAME_FAULTS as readonly string[]).includes(reason);
}

export interface FrameHead {
  readonly kind: number;
  readonly totalBytes: number;
}

/** Longest frame of each kind. */
const MAX_BYTES: Readonly<Record<FrameKind, number>> = {
  [FRAME.hello]: CONTROL_BYTES + PEER_LIMITS.introductionMaxBytes,
  [FRAME.refuse]: CONTROL_BYTES + PEER_LIMITS.introductionMaxBytes,
  [FRAME.introduce]: CONTROL_BYTES + PEER_LIMITS.introductionMaxBytes,
  [FRAME.message]: HEAD_BYTES + PEER_LIMITS.messageMaxBytes,
  [FRAME.request]: CONTROL_BYTES + PEER_LIMITS.bodyMaxBytes,
  [FRAME.answer]: CONTROL_BYTES + PEER_LIMITS.bodyMaxBytes,
  [FRAME.ping]: CONTROL_BYTES,
  [FRAME.pong]: CONTROL_BYTES,
};

export function isFrameKind(kind: number): kind is FrameKind {
  return kind in MAX_BYTES;
}

/** Reads the first HEAD_BYTES of a frame. Nothing may be allocated for a frame before this has agreed. */
export function readHead(bytes: Uint8Array): FrameHead | FrameFault {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES);
  if (view.getUint32(0, true) !== MAGIC) return "not_a_peer";
  if (view.getUint32(12, true) !== crc32cOf(bytes, 0, 12)) return "bad_frame";
  const kind = view.getUint16(4, true);
  const totalBytes = view.getUint32(8, true);
  if (view.getUint16(6, true) !== 0 || totalBytes % 8 !== 0) return "bad_frame";
  const isOptional = kind >= OPTIONAL_KIND_FIRST;
  if (!isFrameKind(kind) && !isOptional) return "unknown_kind";
  const maxBytes = isFrameKind(kind) ? MAX_BYTES[kind] : MAX_BYTES[FRAME.introduce];
  if (totalBytes > maxBytes) return "too_large";
  if (totalBytes < (kind === FRAME.message ? HEAD_BYTES + 8 : CONTROL_BYTES)) return "bad_frame";
  return { kind, totalBytes };
}

function writeHead(view: DataView, bytes: Uint8Array, kind: number, totalBytes: number): void {
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, kind, true);
  view.setUint32(8, totalBytes, true);
  view.setUint32(12, crc32cOf(bytes, 0, 12), true);
}

/** The head of a frame around a Raft message of `messageBytes`, which follows as it is. */
export function encodeMessageHead(messageBytes: number): Uint8Array {
  if (messageBytes % 8 !== 0 || messageBytes > PEER_LIMITS.messageMaxBytes)
    assertFailed(`A message of ${messageBytes} bytes cannot be framed`);
  const bytes = new Uint8Array(HEAD_BYTES);
  writeHead(new DataView(bytes.buffer), bytes, FRAME.message, HEAD_BYTES + messageBytes);
  return bytes;
}

const EMPTY = new Uint8Array(0);
const ZEROS = new Uint8Array(8);

/** Any other frame as pieces for one gathering write; `body` by reference. */
export function encodeControl(
  kind: number,
  { id = 0, tag = 0, body = EMPTY }: { id?: number; tag?: number; body?: Uint8Array } = {},
): Uint8Array[] {
  const padding = ZEROS.subarray(0, -body.length & 7);
  const totalBytes = CONTROL_BYTES + body.length + padding.length;
  assert(
    !isFrameKind(kind) || totalBytes <= MAX_BYTES[kind],
    `A frame of kind ${kind} and ${totalBytes} bytes is too large`,
  );
  const head = new Uint8Array(CONTROL_BYTES);
  const view = new DataView(head.buffer);
  writeHead(view, head, kind, totalBytes);
  view.setUint32(20, id, true);
  view.setUint32(24, tag, true);
  view.setUint32(28, body.length, true);
  view.setUint32(16, controlCrc(head, body, padding), true);
  return [head, body, padding];
}

function controlCrc(head: Uint8Array, body: Uint8Array, padding: Uint8Array): number {
  const before = crc32cOf(body, 0, body.length, crc32cOf(head, 20, head.length));
  return crc32cOf(padding, 0, padding.length, before);
}

export interface ControlFrame {
  readonly id: number;
  readonly tag: number;
  /** A view of the frame, at a multiple of 8. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Reads a whole frame that is no message; null when it is damaged. */
export function decodeControl(frame: Uint8Array<ArrayBuffer>): ControlFrame | null {
  const view = new DataView(frame.buffer, frame.byteOffset, CONTROL_BYTES);
  const bodyBytes = view.getUint32(28, true);
  if (CONTROL_BYTES + bodyBytes + (-bodyBytes & 7) !== frame.length) return null;
  if (view.getUint32(16, true) !== crc32cOf(frame, 20, frame.length)) return null;
  if (frame.subarray(CONTROL_BYTES + bodyBytes).some((byte) => byte !== 0)) return null;
  return {
    id: view.getUint32(20, true),
    tag: view.getUint32(24, true),
    body: frame.subarray(CONTROL_BYTES, CONTROL_BYTES + bodyBytes),
  };
}
