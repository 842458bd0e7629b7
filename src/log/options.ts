/** Settings of the durable log, and what they must satisfy. */

import { assert } from "../base/index.ts";
import { FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from "./format.ts";
import type { LogBase } from "./group-buffer.ts";
import { contentBytes, SECTOR_BYTES } from "./sectors.ts";
import type { LogOwnerName } from "./segment-header.ts";

/** What a start does about bytes that changed on the disk: DESIGN.md, "Damage". */
export type DamagePolicy = "refuse" | "abstain";

export interface LogOptions {
  /** Where the segments live; created when missing. Nothing else may live there. */
  readonly directory: string;
  /**
   * Size of a segment file, bytes, multiple of 4096. Larger: fewer rolls, but recovery reads one whole segment and
   * prefix truncation frees whole segments. At least one group and both headers must fit.
   */
  readonly segmentBytes: number;
  /** Most bytes of frames in one durable write; also bounds one append. Multiple of 8. */
  readonly groupMaxBytes: number;
  /**
   * Files of segments that are not needed any more are kept for the next ones, up to that many bytes: writing them again
   * takes half of what a new file takes from the disk. Left out, or 0: none.
   */
  readonly reuseMaxBytes?: number;
  /** Wait before another attempt to prepare a segment after one failed (most often: disk full), ms. */
  readonly spaceRetryMs: number;
  /**
   * Small writes are waited for by the calling thread while the disk takes less than this on average, ms: write-pace.ts.
   * Left out, or 0: never.
   */
  readonly inPlaceMaxMs?: number;
  /**
   * Least bytes of a group that is handed to the disk while another one is written, where the disk takes it (`DiskFile.queues`).
   * Left out: write-queue.ts.
   */
  readonly queueMinBytes?: number;
  /** Whose log it is: another one's is refused by name. Left out, or "" in it: not known, anything goes. */
  readonly owner?: LogOwnerName;
  /** Ids that the owner's cluster had before a recovery gave it a new one: segments that carry them are its own. */
  readonly formerClusterIds?: readonly string[];
  /**
   * Left out: refuse. "abstain", only for a member that has peers: the log is cut before the damage, and the hard
   * state abstains until Raft has made up for it.
   */
  readonly damagePolicy?: DamagePolicy;
  /** The newest verified snapshot: a log that would end before it begins behind it instead. For "abstain" only. */
  readonly snapshot?: LogBase | null;
}

export const LOG_DEFAULTS = {
  // Good enough: 64 MiB are read in about 30 ms at a start, and fill in 1.6 s at the fastest measured rate.
  segmentBytes: 64 * 1024 * 1024,
  // The largest client frame (16 MiB) has to fit into one group as a log entry.
  groupMaxBytes: 17 * 1024 * 1024,
  // Good enough: what 3 MB/s write between two snapshots of the default interval.
  reuseMaxBytes: 512 * 1024 * 1024,
  // Good enough: a full disk does not empty in milliseconds.
  spaceRetryMs: 1000,
  // Above it, waking two threads is a small part of a write. Local flash takes 0.05 to 0.3 ms, a disk in a network more.
  inPlaceMaxMs: 0.5,
} as const;

/** Offsets inside a segment are u32. */
const SEGMENT_LIMIT_BYTES = 1024 * 1024 * 1024;

/** Most body bytes that one append may carry under these options. */
export function bodyMaxBytes(options: LogOptions): number {
  return options.groupMaxBytes - FRAME_HEADER_BYTES;
}

/** The mark of a clean stop begins at a multiple of this: the largest sector in use, where groups are that large. */
const MARK_ALIGN_BYTES = { large: 8 * SECTOR_BYTES, small: SECTOR_BYTES } as const;

/** Bytes of the padding frame that moves a frame at `position` into sectors of its own. */
export function markPaddingBytes(position: number, options: LogOptions): number {
  const isLarge = options.groupMaxBytes >= 2 * MARK_ALIGN_BYTES.large;
  const align = isLarge ? MARK_ALIGN_BYTES.large : MARK_ALIGN_BYTES.small;
  return Math.ceil((position + FRAME_HEADER_BYTES) / align) * align - position;
}

export function assertLogOptions(options: LogOptions): void {
  const { segmentBytes, groupMaxBytes } = options;
  assert(segmentBytes % 4096 === 0, `segmentBytes ${segmentBytes} must be a multiple of 4096`);
  assert(segmentBytes <= SEGMENT_LIMIT_BYTES, `segmentBytes ${segmentBytes} is above 1 GiB`);
  assert(groupMaxBytes % 8 === 0, `groupMaxBytes ${groupMaxBytes} must be a multiple of 8`);
  assert(groupMaxBytes > FRAME_HEADER_BYTES, `groupMaxBytes ${groupMaxBytes} holds no frame`);
  assert(
    groupMaxBytes + SEGMENT_HEADER_BYTES <= contentBytes(segmentBytes),
    `groupMaxBytes ${groupMaxBytes} does not fit into a segment of ${segmentBytes} bytes`,
  );
}
