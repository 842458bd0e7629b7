/** What the owner of snapshot files sees. The driver builds on these (src/replica/ports.ts hands them on). */

import type { MembershipAt, SnapshotMeta } from "../raft/index.ts";

/** A consistent image of the state, handed out in pieces. */
export interface SnapshotSource {
  readonly index: number;
  readonly term: number;
  /** The next piece, of any size above 0; null at the end. The piece is the caller's until it asks again. */
  next(): Promise<Uint8Array | null>;
  /** Closing twice is harmless. Also while a piece is waited for: `next` settles soon then. */
  close(): void;
}

/** Known before the first byte of a snapshot. */
export interface SnapshotHead {
  readonly index: number;
  readonly term: number;
  readonly membership: MembershipAt;
  readonly appendedAtMs: number;
}

/**
 * Snapshot files of one member (src/snapshot). Every promise rejects with a HearthError when the disk fails; which of
 * them are final is said in src/snapshot/errors.ts.
 */
export interface SnapshotStore {
  /** The newest complete, verified one. */
  readonly latest: SnapshotMeta | null;
  /** Complete, verified ones, oldest first. */
  readonly complete: readonly SnapshotMeta[];
  /** Writes, syncs, reads back and verifies; only then it has a name and is `latest`. Closes the source. */
  take(head: SnapshotHead, source: SnapshotSource): Promise<SnapshotMeta>;
  /** Bytes of one chunk, or null when the snapshot is gone. */
  readChunk(id: string, chunk: number): Promise<Uint8Array | null>;
  /** Keeps a chunk that has arrived; answers the chunk missing next. Chunks out of order are not kept. `bytes` are borrowed. */
  storeChunk(meta: SnapshotMeta, chunk: number, bytes: Uint8Array): Promise<number>;
  /** All chunks are here: verifies the whole against meta. False: damaged, and what was received is gone. */
  completeReceived(meta: SnapshotMeta): Promise<boolean>;
  /** Chunks in order, each verified, for installing. */
  open(meta: SnapshotMeta): SnapshotSource;
  /** Takes one out of use whose bytes are what they were and whose content is not: kept for people, with `what` in the log. */
  setAside(meta: SnapshotMeta, what: string): Promise<void>;
  /**
   * Of the complete ones up to `throughIndex` keeps the newest `count`, and drops partial ones that nobody is receiving. Those
   * above are not in the state yet, and take nobody's place. Left out: all count.
   */
  retain(count: number, throughIndex?: number): Promise<void>;
  /**
   * Gives up what takes long, and resolves when this store changes nothing on the disk any more: within about a chunk,
   * or a removal. What is under way, and what is asked for later, rejects with `snapshot_closed`. Repeating it is harmless.
   */
  close(): Promise<void>;
}
