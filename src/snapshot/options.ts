/** Settings of the snapshot files, and their bounds. */

import { assert } from "../base/index.ts";

export interface SnapshotOptions {
  /** `<directory>/snapshots/` is created and used; nothing else may live there. */
  readonly directory: string;
  /** Bytes of a chunk of snapshots taken here: the piece that is hashed, sent and acknowledged. */
  readonly chunkBytes: number;
  /** Damaged snapshots kept for people to look at; older ones go. */
  readonly damagedMax: number;
  /** Chunks that may wait to be stored; above it they are not kept and the sender has to send them again. */
  readonly waitingChunksMax: number;
}

export const SNAPSHOT_DEFAULTS = {
  // From reliability.md (d) 18. SHA-256 of 1 MiB is the longest job on the main thread, 1 to 3 ms.
  chunkBytes: 1024 * 1024,
  // One is worth a look, the rest only takes room.
  damagedMax: 1,
  // Above what a sender keeps under way (inflightMaxChunks), so that only a broken peer meets it.
  waitingChunksMax: 64,
} as const;

export const SNAPSHOT_LIMITS = {
  /** Largest chunk taken from a peer: it is held in memory while it is verified. */
  chunkMaxBytes: 16 * 1024 * 1024,
  /** Hashes are held in memory, 32 B each: 8 MiB for 256 GiB of 1 MiB chunks. */
  chunkCountMax: 262_144,
  /** Head of a snapshot: names and addresses of the members. */
  headMaxBytes: 1024 * 1024,
} as const;

export function assertSnapshotOptions(options: SnapshotOptions): void {
  const { chunkBytes, damagedMax, waitingChunksMax } = options;
  assert(
    Number.isInteger(chunkBytes) && chunkBytes > 0 && chunkBytes <= SNAPSHOT_LIMITS.chunkMaxBytes,
    `chunkBytes ${chunkBytes} must lie in 1..${SNAPSHOT_LIMITS.chunkMaxBytes}`,
  );
  assert(damagedMax >= 0, `damagedMax ${damagedMax} is negative`);
  assert(waitingChunksMax > 0, `waitingChunksMax ${waitingChunksMax} lets nothing in`);
}
