/**
 * The newest segment, as a stop of any kind left it: what its frames say, and how its end is repaired.
 */

import { damaged } from "./errors.ts";
import { type LogFile, readWhole, writeAll } from "./files.ts";
import {
  decodeVoteBody,
  FRAME_HEADER_BYTES,
  FRAME_KIND,
  type FrameHeader,
  type HardState,
  logSalt,
  type SegmentHeader,
} from "./format.ts";
import { type ActiveSegment, FrameTable } from "./segment.ts";
import { judgeTail, scanFrames } from "./segment-scan.ts";

/** State of the log after the last good frame. */
export interface LogEnd {
  readonly hardState: HardState;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly commitIndex: number;
  readonly appendedAtMs: number;
  /** Whether the last frame is a hard state: then the entries before it are known to be durable. */
  readonly endsWithHardState: boolean;
}

export interface NewestSegment {
  readonly active: ActiveSegment;
  readonly end: LogEnd;
  /** Bytes of an unfinished write behind the last good frame. */
  readonly tornBytes: number;
  /**
   * Makes the end of the log what it reads as. The last group is written again, because it may stand in the page
   * cache alone: after a crash between write and sync, or after a failed sync whose pages the kernel now calls clean.
   * Behind it, an unfinished write is overwritten with zeros, or parts of it could later read as frames again.
   */
  repair(): Promise<void>;
}

/** Reads and judges; writes nothing. Null when not even the first group of the segment became durable. */
export async function readNewestSegment(
  file: LogFile,
  name: string,
  header: SegmentHeader,
): Promise<NewestSegment | null> {
  const image = await readWhole(file);
  if (image.length < header.segmentBytes) {
    throw damaged(name, `it has ${image.length} of ${header.segmentBytes} bytes`);
  }
  const { sequence, groupMaxBytes, firstIndex, segmentBytes } = header;
  const identity = { sequence, groupMaxBytes, salt: logSalt(header.logId) };
  const content = new SegmentContent(header, image);
  const { offset, crc, groupStart } = await scanFrames(image, identity, header, (frame) =>
    content.add(frame),
  );
  const verdict = judgeTail(image, identity, offset);
  if (verdict.kind === "damaged")
    throw damaged(`${name} at offset ${verdict.offset}`, verdict.what);
  if (content.isEmpty) return null;
  const tornEnd = verdict.kind === "torn" ? verdict.end : offset;
  const { table } = content;
  return {
    active: { sequence, file, firstIndex, segmentBytes, table, position: offset, crc },
    end: content,
    tornBytes: tornEnd - offset,
    repair: () => {
      image.fill(0, offset, tornEnd);
      return writeAll(file, image.subarray(groupStart, tornEnd), groupStart);
    },
  };
}

/** Folds the frames of the newest segment into the state of the log. */
class SegmentContent implements LogEnd {
  readonly table = new FrameTable();
  isEmpty = true;
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
    this.isEmpty = false;
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
