/**
 * Opens what a stop of any kind left behind: decides what the log holds, repairs the end of it, and refuses when
 * the bytes contradict what was made durable. The argument is in DESIGN.md, "Recovery".
 *
 * Reads the header of every segment, and all of the newest one; sealed segments are checked when they are read.
 */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { damaged, foreignSegment, segmentMissing, versionUnsupported } from "./errors.ts";
import { type FileSystem, type LogFile, OPEN_MODE, readWhole, writeAll } from "./files.ts";
import {
  decodeSegmentHeader,
  decodeVoteBody,
  FRAME_HEADER_BYTES,
  FRAME_KIND,
  type FrameHeader,
  type HardState,
  LOG_ID_BYTES,
  logSalt,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from "./format.ts";
import type { LogOptions } from "./options.ts";
import type { Spare } from "./preallocator.ts";
import { type ActiveSegment, FrameTable, type SealedSegment, segmentSequence } from "./segment.ts";
import { judgeTail, type ScanEnd, scanFrames, type WrittenSegment } from "./segment-scan.ts";

export interface RecoveredLog {
  readonly logId: Uint8Array;
  /** Ascending; each one's entries end where the next one's begin. */
  readonly sealed: SealedSegment[];
  /** Null for a new log. */
  readonly active: ActiveSegment | null;
  readonly spare: Spare | null;
  readonly nextSequence: number;
  readonly hardState: HardState;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly commitIndex: number;
  readonly appendedAtMs: number;
  /** Whether the last frame is a hard state: then the entries before it are known to be durable. */
  readonly endsWithHardState: boolean;
  /** Bytes of an unfinished write that were cut. */
  readonly cutBytes: number;
}

interface FoundSegment {
  readonly name: string;
  readonly sequence: number;
  readonly header: SegmentHeader;
}

interface Survey {
  readonly written: FoundSegment[];
  /** Files that no group was ever acknowledged in: blank headers, newest last. */
  readonly blank: string[];
}

export async function recoverLog(options: LogOptions, files: FileSystem): Promise<RecoveredLog> {
  await files.createDirectory(options.directory);
  const { written, blank } = await surveySegments(options.directory, files);
  const unborn: string[] = [];
  for (let newest = written.at(-1); newest !== undefined; newest = written.at(-1)) {
    const active = await recoverActive(options, files, newest);
    if (active !== null) {
      const live = liveSegments(written);
      const spare = await recoverBlank(options, files, { blank, below: newest });
      const dead = written.filter((found) => !live.includes(found)).map((found) => found.name);
      await removeSegments(options.directory, files, [...unborn, ...dead]);
      const { logId } = newest.header;
      const nextSequence = newest.sequence + 1;
      return { logId, sealed: sealedSegments(live), spare, nextSequence, ...active };
    }
    // Its header is there and its first group is not: it never took over from the segment before it.
    unborn.push(newest.name);
    written.pop();
  }
  await recoverBlank(options, files, { blank, below: null });
  await removeSegments(options.directory, files, unborn);
  return emptyLog();
}

/** Reads every header. A blank one is allowed only above all written ones. */
async function surveySegments(directory: string, files: FileSystem): Promise<Survey> {
  const written: FoundSegment[] = [];
  const blank: string[] = [];
  for (const name of await files.list(directory)) {
    const sequence = segmentSequence(name);
    if (sequence === 0) continue;
    const result = await readHeader(join(directory, name), files);
    if (result.kind === "version") throw versionUnsupported(name, result.version);
    if (result.kind === "invalid") throw damaged(name, "its header has a wrong checksum");
    if (result.kind === "empty") {
      blank.push(name);
      continue;
    }
    const { header } = result;
    if (blank.length > 0) throw damaged(blank[0] as string, `its header is blank, but ${name} follows`);
    const first = written[0];
    const isForeign = first !== undefined && Buffer.compare(first.header.logId, header.logId) !== 0;
    if (isForeign || header.sequence !== sequence) throw foreignSegment(name);
    written.push({ name, sequence, header });
  }
  return { written, blank };
}

async function readHeader(path: string, files: FileSystem): Promise<ReturnType<typeof decodeSegmentHeader>> {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const file = await files.open(path, OPEN_MODE.read);
  try {
    const readBytes = await file.read(bytes, 0);
    return decodeSegmentHeader(bytes.subarray(0, readBytes));
  } finally {
    await file.close();
  }
}

/**
 * The segments that hold live entries, ascending: the newest, the one it stands on, and so on down. What is left
 * over was replaced or is older than what the log begins with. A segment that is gone although one below it is still
 * here is missing; without one, the log was truncated up to there.
 */
function liveSegments(written: readonly FoundSegment[]): FoundSegment[] {
  const live: FoundSegment[] = [];
  for (let top = written.at(-1); top !== undefined; ) {
    const { name, sequence, header } = top;
    live.unshift(top);
    top = written.find((found) => found.sequence === header.belowSequence);
    if (top !== undefined) continue;
    const isBelow = (found: FoundSegment): boolean =>
      found.sequence < sequence && found.header.firstIndex < header.firstIndex;
    if (written.some(isBelow)) throw segmentMissing(name, header.belowSequence);
  }
  return live;
}

function sealedSegments(live: readonly FoundSegment[]): SealedSegment[] {
  const sealed: SealedSegment[] = [];
  for (let i = 0; i + 1 < live.length; i++) {
    const { sequence, header } = live[i] as FoundSegment;
    const above = (live[i + 1] as FoundSegment).header;
    sealed.push({
      sequence,
      firstIndex: header.firstIndex,
      segmentBytes: header.segmentBytes,
      end: above.belowEnd,
      crc: above.belowCrc,
    });
  }
  return sealed;
}

function emptyLog(): RecoveredLog {
  return {
    logId: randomBytes(LOG_ID_BYTES),
    sealed: [],
    active: null,
    spare: null,
    nextSequence: 1,
    hardState: { term: 0, vote: "" },
    lastIndex: 0,
    lastTerm: 0,
    commitIndex: 0,
    appendedAtMs: 0,
    endsWithHardState: true,
    cutBytes: 0,
  };
}

/**
 * Files above the newest written segment: a spare, or one whose first group never became durable. The first group
 * may have left anything but the header; a second group proves that a header was there and is lost.
 */
async function recoverBlank(
  options: LogOptions,
  files: FileSystem,
  found: { blank: readonly string[]; below: FoundSegment | null },
): Promise<Spare | null> {
  let spare: Spare | null = null;
  const useless: string[] = [];
  for (const name of found.blank) {
    const sequence = segmentSequence(name);
    const file = await files.open(join(options.directory, name), OPEN_MODE.durable);
    const image = await readWhole(file);
    const header = found.below?.header;
    const salt = header === undefined ? null : logSalt(header.logId);
    const groupMaxBytes = header?.groupMaxBytes ?? options.groupMaxBytes;
    const verdict = judgeTail(image, { sequence, salt, groupMaxBytes }, 0);
    if (verdict.kind === "damaged") throw damaged(name, `its header is blank, but ${verdict.what}`);
    const isNext = found.below !== null && sequence === found.below.sequence + 1;
    const isUsable = verdict.kind === "clean" && isNext && image.length <= options.segmentBytes;
    if (isUsable && spare === null) {
      spare = { sequence, file, filledBytes: image.length };
    } else {
      await file.close();
      useless.push(name);
    }
  }
  await removeSegments(options.directory, files, useless);
  return spare;
}

type RecoveredActive = Omit<RecoveredLog, "logId" | "sealed" | "spare" | "nextSequence">;

/** Null when not even the first group of the segment became durable. */
async function recoverActive(
  options: LogOptions,
  files: FileSystem,
  found: FoundSegment,
): Promise<RecoveredActive | null> {
  const file = await files.open(join(options.directory, found.name), OPEN_MODE.durable);
  try {
    const active = await recoverTail(file, found);
    if (active === null) await file.close();
    return active;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function recoverTail(file: LogFile, found: FoundSegment): Promise<RecoveredActive | null> {
  const { header, name, sequence } = found;
  const image = await readWhole(file);
  if (image.length < header.segmentBytes) {
    throw damaged(name, `it has ${image.length} of ${header.segmentBytes} bytes`);
  }
  const identity = { sequence, salt: logSalt(header.logId), groupMaxBytes: header.groupMaxBytes };
  const content = new ActiveContent(header, image);
  const end = await scanFrames(image, identity, header, (frame) => content.add(frame));
  const isUnborn = end.offset === SEGMENT_HEADER_BYTES;
  const cutBytes = await repairTail({ file, image, name, identity, end });
  if (isUnborn) return null;
  return {
    active: {
      sequence,
      file,
      firstIndex: header.firstIndex,
      segmentBytes: header.segmentBytes,
      table: content.table,
      position: end.offset,
      crc: end.crc,
    },
    hardState: content.hardState,
    lastIndex: content.lastIndex,
    lastTerm: content.lastTerm,
    commitIndex: content.commitIndex,
    appendedAtMs: content.appendedAtMs,
    endsWithHardState: content.endsWithHardState,
    cutBytes,
  };
}

/** Folds the frames of the newest segment into the state of the log. */
class ActiveContent {
  readonly table = new FrameTable();
  hardState: HardState;
  lastIndex: number;
  lastTerm: number;
  commitIndex: number;
  appendedAtMs: number;
  endsWithHardState = false;
  readonly #image: Uint8Array;

  constructor(header: SegmentHeader, image: Uint8Array) {
    this.hardState = header.hardState;
    this.lastIndex = header.firstIndex - 1;
    this.lastTerm = header.previousTerm;
    this.commitIndex = header.commitIndex;
    this.appendedAtMs = header.appendedAtMs;
    this.#image = image;
  }

  add(frame: FrameHeader): void {
    this.commitIndex = Math.max(this.commitIndex, frame.commitIndex);
    this.endsWithHardState = frame.kind === FRAME_KIND.hardState;
    if (frame.kind === FRAME_KIND.hardState) {
      const start = frame.offset + FRAME_HEADER_BYTES;
      const vote = decodeVoteBody(this.#image.subarray(start, start + frame.bodyBytes));
      this.hardState = { term: frame.term, vote };
      return;
    }
    this.table.add(frame.firstIndex, frame.offset);
    this.lastIndex = frame.firstIndex + frame.count - 1;
    this.lastTerm = frame.term;
    this.appendedAtMs = Math.max(this.appendedAtMs, frame.appendedAtMs);
  }
}

interface Tail {
  readonly file: LogFile;
  readonly image: Uint8Array;
  readonly name: string;
  readonly identity: WrittenSegment;
  readonly end: ScanEnd;
}

/**
 * Makes the end of the log what it reads as. The last group is written again, because it may stand in the page cache
 * alone: after a crash between write and sync, or after a failed sync whose pages the kernel now calls clean. Behind
 * it, an unfinished write is overwritten with zeros, or parts of it could later read as frames again.
 */
async function repairTail(tail: Tail): Promise<number> {
  const { image, end } = tail;
  const verdict = judgeTail(image, tail.identity, end.offset);
  if (verdict.kind === "damaged") {
    throw damaged(`${tail.name} at offset ${verdict.offset}`, verdict.what);
  }
  const tailEnd = verdict.kind === "torn" ? verdict.end : end.offset;
  image.fill(0, end.offset, tailEnd);
  await writeAll(tail.file, image.subarray(end.groupStart, tailEnd), end.groupStart);
  return tailEnd - end.offset;
}

async function removeSegments(directory: string, files: FileSystem, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  for (const name of names) await files.remove(join(directory, name));
  await files.syncDirectory(directory);
}
