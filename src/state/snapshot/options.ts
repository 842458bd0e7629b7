/** Settings of images of the state. None of them changes what an image says, only what it costs. */

import { assert } from "../../base/index.ts";

export const COMPRESSIONS = ["zstd", "none"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export interface ImageOptions {
  readonly compression: Compression;
  /** Bytes per second of the finished image; 0: as fast as it goes. */
  readonly rateBytesPerSec: number;
  /**
   * By how much the database file may grow while the image pins its old pages: at least `growthMinBytes`, or this part
   * of the file. Beyond it the image is given up. From half of it on the rate is not limited any more: a file does not
   * shrink again.
   */
  readonly growthRatio: number;
  readonly growthMinBytes: number;
  /** How long the read transaction may last. */
  readonly deadlineMs: number;
}

export const IMAGE_DEFAULTS: ImageOptions = {
  compression: "zstd",
  // Of the reference: log writes on the same disk shall not starve.
  rateBytesPerSec: 15_000_000,
  growthRatio: 0.5,
  growthMinBytes: 512 * 1024 * 1024,
  // 64 GiB of state at the rate above, compressed 5:1, take 15 minutes.
  deadlineMs: 30 * 60_000,
};

export function assertImageOptions(options: ImageOptions): void {
  const { rateBytesPerSec, growthRatio, growthMinBytes, deadlineMs } = options;
  assert(rateBytesPerSec >= 0, `rateBytesPerSec ${rateBytesPerSec} is negative`);
  assert(
    growthRatio >= 0 && growthMinBytes > 0,
    "The growth of the file must have a bound above 0",
  );
  assert(deadlineMs > 0, `deadlineMs ${deadlineMs} leaves no time`);
}
