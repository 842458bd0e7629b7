/**
 * Reads a segment's frames forward and judges what follows the last good one.
 *
 * The judgement decides whether we cut or refuse, so its argument is written out in DESIGN.md, "Torn or damaged".
 * In short: a group is written only after the group before it is durable. So anything bad *before* the start of a
 * later group was durable once and is damage; anything bad inside the last group may be a write that a crash ended.
 */

import { crc32c } from "@node-rs/crc32";
import { nextTurn, type Scheduler } from "../base/index.ts";
import {
  countZeroSectors,
  createFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  holdsEntries,
  isZero,
  readFramePlace,
  SEGMENT_HEADER_BYTES,
  tryDecodeFrameHeader,
  viewOf,
} from "./format.ts";
import { SECTOR_BYTES } from "./sectors.ts";

/** What the scanner has to know of the segment. */
export interface SegmentIdentity {
  readonly sequence: number;
  /** Null where no header is left that names the log; then frames are known by their place alone. */
  readonly salt: number | null;
  /** Bound of one write when the segment was written. */
  readonly groupMaxBytes: number;
}

/** A segment whose header was read. */
export type WrittenSegment = SegmentIdentity & { readonly salt: number };

export interface ScanStart {
  readonly firstIndex: number;
  /** CRC of the segment header: start of the chain. */
  readonly crc: number;
  /** Where a sealed segment ends: what lies behind does not count. */
  readonly end?: number;
}

/** Where the good frames end. */
export interface ScanEnd {
  /** Offset behind the last good frame. */
  readonly offset: number;
  /** Chain value: CRC of the last good frame or of the segment header. */
  readonly crc: number;
  /** Where the group of the last good frame began; 0 when there is none. */
  readonly groupStart: number;
}

export type TailVerdict =
  | { readonly kind: "clean" }
  /** Cut: zero bytes[end of scan, `end`). */
  | { readonly kind: "torn"; readonly end: number }
  | { readonly kind: "damaged"; readonly offset: number; readonly what: string };

/** Called per good frame; `frame` is reused for the next one. */
export type FrameVisitor = (frame: FrameHeader) => void;

/** Between pauses for the event loop: about 2 ms of checksums. */
const SLICE_BYTES = 4 * 1024 * 1024;
const SLICE_FRAMES = 2048;

/**
 * Visits the frames of image[504, limit) in order, up to the first that is not valid in every respect: header,
 * place, chain, index order, body.
 *
 * Cost: one checksum over the bytes, in slices with a turn of the event loop between them.
 */
export async function scanFrames(
  scheduler: Scheduler,
  image: Uint8Array,
  segment: WrittenSegment,
  start: ScanStart,
  visit: FrameVisitor,
): Promise<ScanEnd> {
  const view = viewOf(image);
  const frame = createFrameHeader();
  let end: ScanEnd = { offset: SEGMENT_HEADER_BYTES, crc: start.crc, groupStart: 0 };
  let nextIndex = start.firstIndex;
  let sliceEnd = SLICE_BYTES;
  let sliceFrames = 0;
  const limit = start.end ?? image.length;
  while (
    end.offset < limit &&
    isFrameInPlace(image, view, segment, end, frame) &&
    isInOrder(frame, start.firstIndex, nextIndex) &&
    isBodyIntact(image, frame)
  ) {
    visit(frame);
    if (holdsEntries(frame.kind)) nextIndex = frame.firstIndex + frame.count;
    const offset = frame.offset + FRAME_HEADER_BYTES + frame.bodyBytes;
    end = { offset, crc: frame.crc, groupStart: frame.groupStart };
    sliceFrames += 1;
    if (offset < sliceEnd && sliceFrames < SLICE_FRAMES) continue;
    await nextTurn(scheduler);
    sliceEnd = offset + SLICE_BYTES;
    sliceFrames = 0;
  }
  return end;
}

function isFrameInPlace(
  image: Uint8Array,
  view: DataView,
  segment: WrittenSegment,
  end: ScanEnd,
  frame: FrameHeader,
): boolean {
  return (
    tryDecodeFrameHeader(image, view, end.offset, segment.salt, frame) &&
    frame.sequence === segment.sequence &&
    frame.offset === end.offset &&
    frame.previousCrc === end.crc &&
    frame.groupStart <= frame.offset &&
    frame.offset + FRAME_HEADER_BYTES + frame.bodyBytes <= image.length
  );
}

/** A frame continues the log or replaces a suffix of this segment; it never leaves a gap. */
function isInOrder(frame: FrameHeader, firstIndex: number, nextIndex: number): boolean {
  if (!holdsEntries(frame.kind)) return true;
  return frame.count > 0 && frame.firstIndex >= firstIndex && frame.firstIndex <= nextIndex;
}

/** Whether the body that follows a frame header at its offset in `image` has the checksum it was written with. */
export function isBodyIntact(image: Uint8Array, frame: FrameHeader, base = 0): boolean {
  const start = frame.offset - base + FRAME_HEADER_BYTES;
  return crc32c(image.subarray(start, start + frame.bodyBytes)) === frame.bodyCrc;
}

/**
 * Judges image[end, image length), where `end` is the end of the good frames.
 *
 * `end` is 0 for a file whose header is blank: then even the first group is in question.
 */
export function judgeTail(image: Uint8Array, segment: SegmentIdentity, end: number): TailVerdict {
  const last = lastNonZero(image, end);
  if (last < end) return { kind: "clean" };
  const later = findLaterGroup(image, segment, end);
  if (later >= 0) {
    const what = `a group that was written later, at offset ${later}, is intact`;
    return { kind: "damaged", offset: end, what };
  }
  // A written frame leaves more than one byte in every place that it could have lost the rest from.
  if (isZero(image, end, last)) return { kind: "torn", end: last + 1 };
  const reach = end + segment.groupMaxBytes + SEGMENT_HEADER_BYTES;
  if (last >= reach) {
    const what = `unknown bytes at offset ${last}, beyond the reach of one write`;
    return { kind: "damaged", offset: end, what };
  }
  if (!hasLostSector(image, segment, end)) {
    const what = "a frame is complete, no sector of it is missing, and its checksum is wrong";
    return { kind: "damaged", offset: end, what };
  }
  return { kind: "torn", end: last + 1 };
}

/** Offset of a frame behind `end` whose group began behind `end`, or -1. */
function findLaterGroup(image: Uint8Array, segment: SegmentIdentity, end: number): number {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length);
  const view = viewOf(image);
  const frame = createFrameHeader();
  for (let at = bytes.indexOf("HFRM", end); at >= 0; at = bytes.indexOf("HFRM", at + 1)) {
    if (at % 8 !== 0 || at + FRAME_HEADER_BYTES > image.length) continue;
    if (segment.salt === null) readFramePlace(view, at, frame);
    else if (!tryDecodeFrameHeader(image, view, at, segment.salt, frame)) continue;
    const isHere = frame.sequence === segment.sequence && frame.offset === at;
    if (isHere && frame.groupStart > end) return at;
  }
  return -1;
}

/**
 * Whether the first bad frame misses a sector, which is what a crash does to a write into zeros. Without one the
 * write was complete, and something changed the bytes afterwards.
 */
function hasLostSector(image: Uint8Array, segment: SegmentIdentity, end: number): boolean {
  if (end === 0) return isZero(image, 0, SEGMENT_HEADER_BYTES);
  const frame = createFrameHeader();
  const { salt } = segment;
  const view = viewOf(image);
  if (salt === null || !tryDecodeFrameHeader(image, view, end, salt, frame))
    return hasZeroSector(image, end, end + FRAME_HEADER_BYTES);
  // A body may have zeros of its own: those were counted when it was written.
  const bodyBytes = Math.min(frame.bodyBytes, image.length - end - FRAME_HEADER_BYTES);
  return countZeroSectors(image, end, end, bodyBytes) > frame.zeroSectors;
}

function hasZeroSector(image: Uint8Array, start: number, end: number): boolean {
  const stop = Math.min(end, image.length);
  for (let at = start; at < stop; ) {
    const sectorEnd = Math.min(stop, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (isZero(image, at, sectorEnd)) return true;
    at = sectorEnd;
  }
  return false;
}

/** Position of the last byte of image[start, ...) that is not zero, or start - 1. */
function lastNonZero(image: Uint8Array, start: number): number {
  const step = 64 * 1024;
  for (let end = image.length; end > start; end -= step) {
    const begin = Math.max(start, end - step);
    if (isZero(image, begin, end)) continue;
    for (let at = end - 1; at >= begin; at--) if (image[at] !== 0) return at;
  }
  return start - 1;
}
