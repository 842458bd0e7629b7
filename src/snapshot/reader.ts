/** Reading a complete snapshot chunk by chunk, for a peer or for installing. */

import { chunkLength } from "../base/index.ts";
import type { DiskFile } from "../files/index.ts";
import type { SnapshotMeta } from "../raft/index.ts";
import {
  damagedChunk,
  FILES,
  readChunk,
  type Snapshot,
  type SnapshotDirectory,
} from "./directory.ts";
import { damaged, gone } from "./errors.ts";
import { nameOf } from "./meta.ts";
import type { SnapshotSource } from "./types.ts";

export interface ReaderOwner {
  /** Once. */
  onClosed(): void;
  /** A chunk does not fit its hash. */
  onDamaged(what: string): Promise<void>;
}

export class SnapshotReader implements SnapshotSource {
  readonly index: number;
  readonly term: number;
  readonly #directory: SnapshotDirectory;
  readonly #snapshot: Snapshot;
  readonly #owner: ReaderOwner;
  #chunk: number;
  #file: DiskFile | null = null;
  #isReading = false;
  #isClosed = false;

  constructor(
    directory: SnapshotDirectory,
    snapshot: Snapshot,
    firstChunk: number,
    owner: ReaderOwner,
  ) {
    this.index = snapshot.meta.index;
    this.term = snapshot.meta.term;
    this.#directory = directory;
    this.#snapshot = snapshot;
    this.#chunk = firstChunk;
    this.#owner = owner;
  }

  /** A source of a snapshot that is not here. */
  static ofNothing({ index, term, id }: SnapshotMeta): SnapshotSource {
    return { index, term, next: () => Promise.reject(gone(id)), close: () => {} };
  }

  /** Every chunk in memory of its own: peers keep it until it is sent. */
  async next(): Promise<Uint8Array | null> {
    const { meta } = this.#snapshot;
    if (this.#isClosed) throw gone(meta.id);
    this.#directory.assertOpen();
    if (this.#chunk === meta.chunkCount) return null;
    const chunk = this.#chunk++;
    const path = this.#directory.path(nameOf(meta), FILES.data);
    this.#isReading = true;
    try {
      const bytes = await this.#directory.look(path, async () => {
        this.#file ??= await this.#directory.files.open(path, "read");
        const buffer = new Uint8Array(chunkLength(meta, chunk));
        return readChunk(this.#file, this.#snapshot, chunk, buffer);
      });
      if (bytes !== null) return bytes;
    } finally {
      this.#isReading = false;
      if (this.#isClosed) this.#release();
    }
    await this.#owner.onDamaged(damagedChunk(chunk));
    throw damaged(path, damagedChunk(chunk));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.#isReading) this.#release();
  }

  /** A file that was only read has nothing to lose when closing it fails. */
  #release(): void {
    this.#file?.close().catch(() => {});
    this.#file = null;
    this.#owner.onClosed();
  }
}
