/** Bounds of images. Lengths in them come from files and peers, and are checked against these before memory is taken. */

import { VALUE_MAX_BYTES } from "../../db/index.ts";

export const IMAGE_LIMITS = {
  /** A piece is closed before it grows beyond this; one larger row has a piece of its own. */
  pieceBytes: 1024 * 1024,
  /** Content of the largest piece: one row with the longest key and value. */
  pieceMaxBytes: VALUE_MAX_BYTES + 64 * 1024,
  /** zstd adds less than this to what it cannot make smaller; we store that uncompressed anyway. */
  storedMaxBytes: VALUE_MAX_BYTES + 128 * 1024,
  /** Head and end are a few numbers. */
  textMaxBytes: 4_096,
  /** Longest key of any table: a tenant name. */
  keyMaxBytes: 1_024,
  /** Pieces that main may have in hand or on their way, so at most so many MiB in memory. */
  piecesInFlight: 4,
} as const;
