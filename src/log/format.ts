/**
 * Bytes of the log: the segment header and the frame header. Little-endian, 8-byte aligned.
 *
 *   segment header, 256 B (one sector, so a crash leaves all of it or nothing)
 *     0 u32 magic "HSEG"             4 u16 version            6 u16 vote bytes
 *     8 u32 sequence                12 u32 segment bytes     16 u8[8] log id
 *    24 f64 first index: of the first entry that this segment may hold
 *    32 f64 previous term: term of the entry before it (0: none)
 *    40 f64 hard state term         48 f64 commit index known   56 f64 last appended-at, Unix ms
 *    64 u32 below: sequence of the segment that holds the entry before (0: none)
 *    68 u32 below: offset where its frames end    72 u32 below: its last CRC    76 u32 group max bytes
 *    80 u8[128] hard state vote, UTF-8   208 reserved (0)    252 u32 CRC32C of bytes 0..252
 *
 *   frame header, 72 B, then the body, whose length is a multiple of 8
 *     0 u32 magic "HFRM"             4 u16 version            6 u16 kind (FRAME_KIND)
 *     8 u32 body bytes              12 u32 entries in the body
 *    16 u32 segment sequence        20 u32 offset of this frame in its segment
 *    24 u32 offset where the group (the one durable write) began: 0 for the first of a segment
 *    28 u32 CRC32C of the body
 *    32 f64 first index             40 f64 term              48 f64 appended-at, Unix ms
 *    56 f64 commit index known when the frame was written
 *    64 u32 chain: header CRC of the frame before, or of the segment header
 *    68 u32 CRC32C of bytes 0..68, seeded with the salt of the log
 *
 * Terms and indexes are doubles like `applied` in the database: exact to 2^53, and the reader refuses anything that
 * is not a safe integer. Why each field exists: DESIGN.md, "Format".
 */

import { crc32c } from "@node-rs/crc32";
import { assert } from "../base/index.ts";

export const SEGMENT_MAGIC = 0x47455348;
export const FRAME_MAGIC = 0x4d524648;
export const FORMAT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 256;
export const FRAME_HEADER_BYTES = 72;
export const LOG_ID_BYTES = 8;
/** A vote is a node id; ids are far shorter. */
export const VOTE_MAX_BYTES = 128;
/** Header of one entry in a body: u32 payload bytes first, so that entries can be counted off without the codec. */
const ENTRY_HEADER_BYTES = 16;

export const FRAME_KIND = { entries: 1, hardState: 2 } as const;
export type FrameKind = (typeof FRAME_KIND)[keyof typeof FRAME_KIND];

/** Raft's durable promises: the current term and who got this member's vote in it ("" = nobody). */
export interface HardState {
  readonly term: number;
  readonly vote: string;
}

export interface SegmentHeader {
  readonly sequence: number;
  readonly segmentBytes: number;
  readonly logId: Uint8Array;
  readonly firstIndex: number;
  readonly previousTerm: number;
  readonly hardState: HardState;
  readonly commitIndex: number;
  readonly appendedAtMs: number;
  readonly belowSequence: number;
  readonly belowEnd: number;
  readonly belowCrc: number;
  readonly groupMaxBytes: number;
  /** CRC of this header: the start of the chain. */
  readonly crc: number;
}

/** A frame header as read; one object may be reused for many frames. */
export interface FrameHeader {
  kind: FrameKind;
  bodyBytes: number;
  count: number;
  sequence: number;
  offset: number;
  groupStart: number;
  bodyCrc: number;
  firstIndex: number;
  term: number;
  appendedAtMs: number;
  commitIndex: number;
  previousCrc: number;
  crc: number;
}

export type SegmentHeaderResult =
  | { readonly kind: "ok"; readonly header: SegmentHeader }
  | { readonly kind: "empty" }
  | { readonly kind: "invalid" }
  | { readonly kind: "version"; readonly version: number };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Seed of the frame CRCs: frames of another log, or bytes that a client chose, do not read as ours. */
export function logSalt(logId: Uint8Array): number {
  return crc32c(logId);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Writes a segment header to bytes[0, 256). Returns its CRC. */
export function encodeSegmentHeader(
  bytes: Uint8Array,
  view: DataView,
  header: Omit<SegmentHeader, "crc">,
): number {
  const vote = encoder.encode(header.hardState.vote);
  assert(vote.length <= VOTE_MAX_BYTES, `Vote of ${vote.length} bytes does not fit`);
  bytes.fill(0, 0, SEGMENT_HEADER_BYTES);
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint16(4, FORMAT_VERSION, true);
  view.setUint16(6, vote.length, true);
  view.setUint32(8, header.sequence, true);
  view.setUint32(12, header.segmentBytes, true);
  bytes.set(header.logId, 16);
  view.setFloat64(24, header.firstIndex, true);
  view.setFloat64(32, header.previousTerm, true);
  view.setFloat64(40, header.hardState.term, true);
  view.setFloat64(48, header.commitIndex, true);
  view.setFloat64(56, header.appendedAtMs, true);
  view.setUint32(64, header.belowSequence, true);
  view.setUint32(68, header.belowEnd, true);
  view.setUint32(72, header.belowCrc, true);
  view.setUint32(76, header.groupMaxBytes, true);
  bytes.set(vote, 80);
  const crc = crc32c(bytes.subarray(0, 252));
  view.setUint32(252, crc, true);
  return crc;
}

export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeaderResult {
  if (bytes.length < SEGMENT_HEADER_BYTES) {
    return { kind: isZero(bytes, 0, bytes.length) ? "empty" : "invalid" };
  }
  if (isZero(bytes, 0, SEGMENT_HEADER_BYTES)) return { kind: "empty" };
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== SEGMENT_MAGIC) return { kind: "invalid" };
  const crc = view.getUint32(252, true);
  if (crc32c(bytes.subarray(0, 252)) !== crc) return { kind: "invalid" };
  const version = view.getUint16(4, true);
  if (version !== FORMAT_VERSION) return { kind: "version", version };
  const voteBytes = Math.min(view.getUint16(6, true), VOTE_MAX_BYTES);
  const header: SegmentHeader = {
    sequence: view.getUint32(8, true),
    segmentBytes: view.getUint32(12, true),
    logId: bytes.slice(16, 16 + LOG_ID_BYTES),
    firstIndex: view.getFloat64(24, true),
    previousTerm: view.getFloat64(32, true),
    hardState: {
      term: view.getFloat64(40, true),
      vote: decoder.decode(bytes.subarray(80, 80 + voteBytes)),
    },
    commitIndex: view.getFloat64(48, true),
    appendedAtMs: view.getFloat64(56, true),
    belowSequence: view.getUint32(64, true),
    belowEnd: view.getUint32(68, true),
    belowCrc: view.getUint32(72, true),
    groupMaxBytes: view.getUint32(76, true),
    crc,
  };
  return areSafe(header.firstIndex, header.previousTerm, header.hardState.term, header.commitIndex)
    ? { kind: "ok", header }
    : { kind: "invalid" };
}

/** What of a frame header is known while its group is still being collected. */
export interface FrameContent {
  readonly kind: FrameKind;
  readonly bodyBytes: number;
  readonly count: number;
  readonly bodyCrc: number;
  readonly firstIndex: number;
  readonly term: number;
  readonly appendedAtMs: number;
}

/** Where a frame comes to lie: known when its group goes to the disk. */
export interface FramePlace {
  readonly sequence: number;
  readonly offset: number;
  readonly groupStart: number;
  readonly commitIndex: number;
  readonly previousCrc: number;
  readonly salt: number;
}

/** First half of a frame header: everything but its place. */
export function encodeFrameContent(view: DataView, at: number, content: FrameContent): void {
  view.setUint32(at, FRAME_MAGIC, true);
  view.setUint16(at + 4, FORMAT_VERSION, true);
  view.setUint16(at + 6, content.kind, true);
  view.setUint32(at + 8, content.bodyBytes, true);
  view.setUint32(at + 12, content.count, true);
  view.setUint32(at + 28, content.bodyCrc, true);
  view.setFloat64(at + 32, content.firstIndex, true);
  view.setFloat64(at + 40, content.term, true);
  view.setFloat64(at + 48, content.appendedAtMs, true);
}

/** Second half: the place and the CRC over all. Returns the CRC, the chain value of the next frame. */
export function encodeFramePlace(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  place: FramePlace,
): number {
  view.setUint32(at + 16, place.sequence, true);
  view.setUint32(at + 20, place.offset, true);
  view.setUint32(at + 24, place.groupStart, true);
  view.setFloat64(at + 56, place.commitIndex, true);
  view.setUint32(at + 64, place.previousCrc, true);
  const crc = crc32c(bytes.subarray(at, at + 68), place.salt);
  view.setUint32(at + 68, crc, true);
  return crc;
}

export function createFrameHeader(): FrameHeader {
  return {
    kind: FRAME_KIND.entries,
    bodyBytes: 0,
    count: 0,
    sequence: 0,
    offset: 0,
    groupStart: 0,
    bodyCrc: 0,
    firstIndex: 0,
    term: 0,
    appendedAtMs: 0,
    commitIndex: 0,
    previousCrc: 0,
    crc: 0,
  };
}

/**
 * Reads the frame header at bytes[at, ...) into `out`.
 *
 * Errors: false when the magic, the CRC, the version, the kind or a number is not what we write. A true answer says
 *   nothing about the body and the chain.
 */
export function tryDecodeFrameHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  salt: number,
  out: FrameHeader,
): boolean {
  if (at + FRAME_HEADER_BYTES > bytes.length) return false;
  if (view.getUint32(at, true) !== FRAME_MAGIC) return false;
  out.crc = view.getUint32(at + 68, true);
  if (crc32c(bytes.subarray(at, at + 68), salt) !== out.crc) return false;
  if (view.getUint16(at + 4, true) !== FORMAT_VERSION) return false;
  const kind = view.getUint16(at + 6, true);
  if (kind !== FRAME_KIND.entries && kind !== FRAME_KIND.hardState) return false;
  out.kind = kind;
  out.bodyBytes = view.getUint32(at + 8, true);
  out.count = view.getUint32(at + 12, true);
  out.sequence = view.getUint32(at + 16, true);
  out.offset = view.getUint32(at + 20, true);
  out.groupStart = view.getUint32(at + 24, true);
  out.bodyCrc = view.getUint32(at + 28, true);
  out.firstIndex = view.getFloat64(at + 32, true);
  out.term = view.getFloat64(at + 40, true);
  out.appendedAtMs = view.getFloat64(at + 48, true);
  out.commitIndex = view.getFloat64(at + 56, true);
  out.previousCrc = view.getUint32(at + 64, true);
  return out.bodyBytes % 8 === 0 && areSafe(out.firstIndex, out.term, out.commitIndex, 0);
}

/** Only where a frame says it lies, unchecked: for bytes whose salt is unknown. */
export function readFramePlace(view: DataView, at: number, out: FrameHeader): void {
  out.sequence = view.getUint32(at + 16, true);
  out.offset = view.getUint32(at + 20, true);
  out.groupStart = view.getUint32(at + 24, true);
}

/** Body of a hard state frame: u32 vote bytes, u32 0, the vote, zeros to a multiple of 8. */
export function encodeVoteBody(vote: string): Uint8Array {
  const text = encoder.encode(vote);
  assert(text.length <= VOTE_MAX_BYTES, `Vote of ${text.length} bytes does not fit`);
  const body = new Uint8Array(8 + Math.ceil(text.length / 8) * 8);
  viewOf(body).setUint32(0, text.length, true);
  body.set(text, 8);
  return body;
}

export function decodeVoteBody(body: Uint8Array): string {
  if (body.length < 8) return "";
  const voteBytes = Math.min(viewOf(body).getUint32(0, true), body.length - 8);
  return decoder.decode(body.subarray(8, 8 + voteBytes));
}

/** Bytes that the first `count` entries of a body take, or -1 when the body ends before. */
export function entriesByteLength(body: Uint8Array, count: number): number {
  let offset = 0;
  for (let i = 0; i < count; i++) {
    if (offset + ENTRY_HEADER_BYTES > body.length) return -1;
    // Byte by byte: a DataView per call would cost more than the usual body of one entry.
    const payloadBytes =
      (body[offset] as number) |
      ((body[offset + 1] as number) << 8) |
      ((body[offset + 2] as number) << 16) |
      ((body[offset + 3] as number) << 24);
    if (payloadBytes < 0) return -1;
    offset += ENTRY_HEADER_BYTES + Math.ceil(payloadBytes / 8) * 8;
  }
  return offset <= body.length ? offset : -1;
}

const ZEROS = new Uint8Array(64 * 1024);

/** Whether bytes[start, end) are all zero. Cost: a memory compare. */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += ZEROS.length) {
    const length = Math.min(ZEROS.length, end - at);
    if (Buffer.compare(bytes.subarray(at, at + length), ZEROS.subarray(0, length)) !== 0)
      return false;
  }
  return true;
}

function areSafe(a: number, b: number, c: number, d: number): boolean {
  return (
    Number.isSafeInteger(a) &&
    a >= 0 &&
    Number.isSafeInteger(b) &&
    b >= 0 &&
    Number.isSafeInteger(c) &&
    c >= 0 &&
    Number.isSafeInteger(d) &&
    d >= 0
  );
}
