/**
 * The newest segment, as a stop of any kind left it: what its frames say, and how its end is repaired.
 */

import type { Scheduler } from "../base/index.ts";
import { writeAll } from "../files/index.ts";
import { SegmentContent } from "./content.ts";
import { damaged } from "./errors.ts";
import { logSalt } from "./format.ts";
import { contentBytes } from "./sectors.ts";
import type { ActiveSegment } from "./segment.ts";
import type { SegmentFile } from "./segment-file.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { judgeTail, scanFrames } from "./segment-scan.ts";

export interface NewestSegment {
  readonly active: ActiveSegment;
  readonly content: SegmentContent;
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
  scheduler: Scheduler,
  file: SegmentFile,
  name: string,
  header: SegmentHeader,
): Promise<NewestSegment | null> {
  const image = await file.readAll();
  const capacityBytes = contentBytes(header.segmentBytes);
  if (image.length < capacityBytes) {
    const sizeBytes = await file.disk.sizeBytes();
    throw damaged(name, `it has ${sizeBytes} of ${header.segmentBytes} bytes`);
  }
  const { sequence, groupMaxBytes, firstIndex, previousTerm, segmentBytes } = header;
  const identity = { sequence, groupMaxBytes, salt: logSalt(header.logId) };
  const content = new SegmentContent(header, image);
  const { offset, crc, groupStart } = await scanFrames(
    scheduler,
    image,
    identity,
    header,
    (frame) => content.add(frame),
  );
  const verdict = judgeTail(image, identity, offset);
  if (verdict.kind === "damaged")
    throw damaged(`${name} at offset ${verdict.offset}`, verdict.what);
  if (content.isEmpty) return null;
  const tornEnd = verdict.kind === "torn" ? verdict.end : offset;
  const { table } = content;
  return {
    active: {
      sequence,
      file,
      firstIndex,
      previousTerm,
      segmentBytes,
      capacityBytes,
      table,
      position: offset,
      crc,
    },
    content,
    tornBytes: tornEnd - offset,
    repair: () => {
      image.fill(0, offset, tornEnd);
      return writeAll(file, image.subarray(groupStart, tornEnd), groupStart);
    },
  };
}
