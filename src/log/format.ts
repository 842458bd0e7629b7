/**
 * Bytes of a frame. Little-endian, 8-byte aligned. The header of a segment: segment-header.ts. Offsets are of content,
 * without the stamps of the sectors: sectors.ts.
 *
 *   frame header, 80 B, then the body, whose length is a multiple of 8
 *     0 u32 magic "HFRM"             4 u16 version            6 u16 kind (FRAME_KIND)
 *     8 u32 body bytes              12 u32 entries in the body
 *    16 u32 segment sequence        20 u32 offset of this frame in its segment
 *    24 u32 offset where the group (the one durable write) began: 0 for the first of a segment
 *    28 u32 CRC32C of the body
 *    32 f64 first index             40 f64 term              48 f64 appended-at, Unix ms
 *    56 f64 commit index known when the frame was appended
 *    64 u32 chain: header CRC of the frame before, or of the segment header
 *    68 u32 hard states of this log up to and including this frame
 *    72 u32 sectors of the body that are all zero as they should be
 *    76 u32 CRC32C of bytes 0..76, seeded with the salt of the log
 *
 *   body of a hard state: u32 vote bytes, u32 flags (bit 0: abstains), the vote, zeros to a multiple of 8
 *
 * Terms and indexes are doubles like `applied` in the database: exact to 2^53, and the reader refuses anything that
 * is not a safe integer. Why each field exists: DESIGN.md, "Format".
 */

import { crc32c } from "@node-rs/crc32";
import { assert } from "../base/index.ts";
import type { BATCH_KIND, BatchKind, HardState } from "../raft/index.ts";
import { SECTOR_BYTES } from "./sectors.ts";

export const FRAME_MAGIC = 0x4d524648;
/** 1: before there were members. 2: sectors without stamps. Neither is read any more. */
export const FORMAT_VERSION = 3;
/** One sector, so that a crash leaves all of the segment header or nothing. */
export const SEGMENT_HEADER_BYTES = SECTOR_BYTES;
export const FRAME_HEADER_BYTES = 80;
export const LOG_ID_BYTES = 8;
/** A vote is a node id; ids are far shorter. */
export const VOTE_MAX_BYTES = 128;

export const FRAME_KIND = {
  entries: 1,
  hardState: 2,
  /** One entry that carries a configuration; alone in its frame. */
  membership: 3,
  /** Nothing: moves the next frame into a sector of its own (log.ts, `close`). */
  padding: 4,
} as const;
export type FrameKind = (typeof FRAME_KIND)[keyof typeof FRAME_KIND];

/** Whether a frame of this kind carries log entries. */
export function holdsEntries(kind: FrameKind): boolean {
  return kind === FRAME_KIND.entries || kind === FRAME_KIND.membership;
}

/** Raft's kinds of batches; the compiler compares them with raft/types.ts, which is imported for types only. */
export const LOG_BATCH_KIND: typeof BATCH_KIND = { entries: 1, membership: 2 };

export function batchKindOf(kind: FrameKind): BatchKind {
  return kind === FRAME_KIND.membership ? LOG_BATCH_KIND.membership : LOG_BATCH_KIND.entries;
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
  /** Hard states of this log up to and including this frame. */
  hardStateCount: number;
  zeroSectors: number;
  crc: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Seed of the frame CRCs: frames of another log, or bytes that a client chose, do not read as ours. */
export function logSalt(logId: Uint8Array): number {
  return crc32c(logId);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
  readonly hardStateCount: number;
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
  view.setUint32(at + 68, place.hardStateCount, true);
  const bodyBytes = view.getUint32(at + 8, true);
  view.setUint32(at + 72, countZeroSectors(bytes, at, place.offset, bodyBytes), true);
  const crc = crc32c(bytes.subarray(at, at + 76), place.salt);
  view.setUint32(at + 76, crc, true);
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
    hardStateCount: 0,
    zeroSectors: 0,
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
  out.crc = view.getUint32(at + 76, true);
  if (crc32c(bytes.subarray(at, at + 76), salt) !== out.crc) return false;
  if (view.getUint16(at + 4, true) !== FORMAT_VERSION) return false;
  const kind = view.getUint16(at + 6, true);
  if (kind < FRAME_KIND.entries || kind > FRAME_KIND.padding) return false;
  out.kind = kind as FrameKind;
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
  out.hardStateCount = view.getUint32(at + 68, true);
  out.zeroSectors = view.getUint32(at + 72, true);
  return out.bodyBytes % 8 === 0 && areSafe(out.firstIndex, out.term, out.commitIndex, 0);
}

/** Only where a frame says it lies, unchecked: for bytes whose salt is unknown. */
export function readFramePlace(view: DataView, at: number, out: FrameHeader): void {
  out.sequence = view.getUint32(at + 16, true);
  out.offset = view.getUint32(at + 20, true);
  out.groupStart = view.getUint32(at + 24, true);
}

/** Body of a hard state frame; its term stands in the header. */
export function encodeHardStateBody(hardState: HardState): Uint8Array {
  const text = encodeVote(hardState.vote);
  const body = new Uint8Array(8 + Math.ceil(text.length / 8) * 8);
  const view = viewOf(body);
  view.setUint32(0, text.length, true);
  view.setUint32(4, hardState.abstains ? 1 : 0, true);
  body.set(text, 8);
  return body;
}

export function decodeHardStateBody(term: number, body: Uint8Array): HardState {
  if (body.length < 8) return { term, vote: "", abstains: false };
  const view = viewOf(body);
  const voteBytes = Math.min(view.getUint32(0, true), body.length - 8);
  const vote = decoder.decode(body.subarray(8, 8 + voteBytes));
  return { term, vote, abstains: (view.getUint32(4, true) & 1) !== 0 };
}

export function encodeVote(vote: string): Uint8Array {
  const text = encoder.encode(vote);
  assert(text.length <= VOTE_MAX_BYTES, `Vote of ${text.length} bytes does not fit`);
  return text;
}

/** Portions of a body, as sectors of the file divide it, that are all zero. `offset`: of the frame in its file. */
export function countZeroSectors(
  bytes: Uint8Array,
  at: number,
  offset: number,
  bodyBytes: number,
): number {
  const shift = at - offset;
  const end = offset + FRAME_HEADER_BYTES + bodyBytes;
  let zeroSectors = 0;
  for (let start = offset + FRAME_HEADER_BYTES; start < end; ) {
    const sectorEnd = Math.min(end, (Math.floor(start / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    // Most sectors show a byte that is not zero at once; the call below would cost more than the rest.
    let probe = start + shift;
    const probeEnd = Math.min(probe + 8, sectorEnd + shift);
    while (probe < probeEnd && bytes[probe] === 0) probe += 1;
    if (probe === probeEnd && isZero(bytes, start + shift, sectorEnd + shift)) zeroSectors += 1;
    start = sectorEnd;
  }
  return zeroSectors;
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

export function areSafe(a: number, b: number, c: number, d: number): boolean {
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
