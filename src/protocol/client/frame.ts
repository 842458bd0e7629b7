/**
 * The 16 bytes in front of every message of the binary protocol.
 *
 * ```
 *  0 u8 magic 0x48 | 1 u8 version | 2 u8 opcode | 3 u8 flags | 4 u32 request id
 *  8 u32 timeout ms | 12 u32 aux | 16 payload
 * ```
 *
 * Little-endian. The payload starts at a multiple of 8, so that a FlatBuffer in it can be read in
 * place.
 */

import type { ByteSink } from "../bytes/sink.ts";
import { readU32 } from "../bytes/u32.ts";

export const FRAME_MAGIC = 0x48;
export const FRAME_HEADER_BYTES = 16;
/** The versions this build speaks. */
export const PROTOCOL_MIN = 1;
export const PROTOCOL_MAX = 1;

/**
 * Flags of answers. Requests carry 0; unknown flags are refused, so that later ones can change the
 * meaning. `entries`: the payload is an entry chunk, which refers to dictionary records sent before.
 */
export const FLAG = { last: 1, error: 2, entries: 4 } as const;

export interface FrameHeader {
  opcode: number;
  flags: number;
  /** Chosen by the client, not 0, unique among its requests in flight; answers repeat it. */
  requestId: number;
  /** Requests: time budget, 0 = the server's default. Answers: 0. */
  timeoutMs: number;
  /**
   * Queries: bytes of chunks the client can take before it sends Credit, 0 = unlimited. Credit:
   * more bytes.
   */
  aux: number;
}

/** Why a frame is not one of ours; the connection is closed after it. Closed set. */
export type FrameRefusal = "frame_too_short" | "bad_magic" | "unsupported_version";

/** An empty header for `readFrameHeader` to fill. */
export function createFrameHeader(): FrameHeader {
  return { opcode: 0, flags: 0, requestId: 0, timeoutMs: 0, aux: 0 };
}

/**
 * Reads the header of `frame` into `into`; returns why it is refused, or null.
 *
 * Cost: no allocation. Opcode, flags and request id are for the caller to judge: they can be
 *   answered.
 */
export function readFrameHeader(frame: Uint8Array, into: FrameHeader): FrameRefusal | null {
  if (frame.length < FRAME_HEADER_BYTES) return "frame_too_short";
  if (frame[0] !== FRAME_MAGIC) return "bad_magic";
  const version = frame[1] as number;
  if (version < PROTOCOL_MIN || version > PROTOCOL_MAX) return "unsupported_version";
  into.opcode = frame[2] as number;
  into.flags = frame[3] as number;
  into.requestId = readU32(frame, 4);
  into.timeoutMs = readU32(frame, 8);
  into.aux = readU32(frame, 12);
  return null;
}

/** Writes a header at frame[offset, offset + 16). */
export function writeFrameHeader(frame: Uint8Array, offset: number, header: FrameHeader): void {
  frame[offset] = FRAME_MAGIC;
  frame[offset + 1] = PROTOCOL_MAX;
  frame[offset + 2] = header.opcode;
  frame[offset + 3] = header.flags;
  writeU32(frame, offset + 4, header.requestId);
  writeU32(frame, offset + 8, header.timeoutMs);
  writeU32(frame, offset + 12, header.aux);
}

/** As writeFrameHeader, at the start of a buffer seen as words. */
export function writeFrameHeaderWords(words: Uint32Array, header: FrameHeader): void {
  words[0] = FRAME_MAGIC | (PROTOCOL_MAX << 8) | (header.opcode << 16) | (header.flags << 24);
  words[1] = header.requestId;
  words[2] = header.timeoutMs;
  words[3] = header.aux;
}

/** Appends a header to the sink; the payload is written behind it by one of the encoders. */
export function appendFrameHeader(sink: ByteSink, header: FrameHeader): void {
  sink.reserve(FRAME_HEADER_BYTES);
  writeFrameHeader(sink.u8, sink.length, header);
  sink.length += FRAME_HEADER_BYTES;
}

function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value & 255;
  bytes[offset + 1] = (value >>> 8) & 255;
  bytes[offset + 2] = (value >>> 16) & 255;
  bytes[offset + 3] = value >>> 24;
}
