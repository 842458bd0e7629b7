/** What the log remembers of its segments: extents, and where frames begin. */

import type { SegmentFile } from "./segment-file.ts";
import type { SegmentHeader } from "./segment-header.ts";

/** A segment that is written no more. Its frames end where the segment above it says. */
export interface SealedSegment {
  readonly sequence: number;
  readonly firstIndex: number;
  /** Term of the entry before `firstIndex`; 0: none. */
  readonly previousTerm: number;
  readonly segmentBytes: number;
  readonly end: number;
  readonly crc: number;
}

/** The segment that takes the next group. */
export interface ActiveSegment {
  readonly sequence: number;
  readonly file: SegmentFile;
  readonly firstIndex: number;
  readonly previousTerm: number;
  /** Of the file. */
  readonly segmentBytes: number;
  /** Of content that fits in. */
  readonly capacityBytes: number;
  readonly table: FrameTable;
  /** Offset of the next group. */
  position: number;
  /** Chain value: CRC of the last frame, or of the header. */
  crc: number;
}

/** The header fields that lead from one segment to the one below it. */
export type BelowLink = Pick<SegmentHeader, "belowSequence" | "belowEnd" | "belowCrc">;

/**
 * First index and offset of the frames that hold the live entries of one segment, ascending in both.
 *
 * A frame that replaces a suffix drops the frames it replaces; a frame that it cuts into stays, and ends where the
 * next one begins. Plain arrays of numbers: 16 bytes a frame.
 */
export class FrameTable {
  readonly firstIndexes: number[] = [];
  readonly offsets: number[] = [];

  add(firstIndex: number, offset: number): void {
    while ((this.firstIndexes.at(-1) ?? -1) >= firstIndex) {
      this.firstIndexes.pop();
      this.offsets.pop();
    }
    this.firstIndexes.push(firstIndex);
    this.offsets.push(offset);
  }

  /** Position of the frame that holds `index`, or -1 when it lies before the first. */
  find(index: number): number {
    let low = 0;
    let high = this.firstIndexes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.firstIndexes[middle] as number) <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
