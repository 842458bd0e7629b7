/**
 * Receiving a snapshot of a peer, chunk by chunk: steps R1 to R4 and C1 to C3 of DESIGN.md. One at a time; calls are
 * made one after the other by the owner.
 */

import { chunkLength, type Logger } from "../base/index.ts";
import type { SnapshotMeta } from "../raft/index.ts";
import { FILES, type Snapshot, type SnapshotDirectory, SUFFIX } from "./directory.ts";
import { encodeHashRecords, HASH_RECORD_BYTES, hashChunk } from "./hashes.ts";
import { compareMetas, encodeHead, equalMetas, nameOf } from "./meta.ts";

export class SnapshotReceiver {
  readonly #directory: SnapshotDirectory;
  readonly #logger: Logger;
  /** What is being received. Its hashes are those of the chunks that are durable. */
  #partial: Snapshot | null = null;

  constructor(directory: SnapshotDirectory, logger: Logger) {
    this.#directory = directory;
    this.#logger = logger;
  }

  /** The chunk that is missing next; 0 when this snapshot is not the one being received. */
  nextChunk(meta: SnapshotMeta): number {
    return this.#isReceiving(meta) ? (this.#partial?.hashes.length ?? 0) : 0;
  }

  /**
   * Takes up the newest of the directories that an earlier boot was receiving into, and removes the others.
   *
   * The last record may stand in the page cache alone: its write may have been cut off by the end of the process. It is
   * written again; every record before it was reported durable before the next chunk was written.
   */
  async resume(names: readonly string[]): Promise<void> {
    for (const name of names.toReversed()) {
      const expectedName = name.slice(0, -SUFFIX.receiving.length);
      const loaded = await this.#directory.loadPart(name, expectedName);
      const hashes = loaded.ok ? loaded.snapshot.hashes : [];
      if (this.#partial !== null || !loaded.ok || hashes.length === 0) {
        await this.#directory.discard(name);
        continue;
      }
      this.#partial = loaded.snapshot;
      await this.#writeRecord(name, hashes.length - 1, hashes.at(-1) as Uint8Array);
      const { index, id, chunkCount } = loaded.snapshot.meta;
      this.#logger.info("goes on receiving a snapshot", {
        index,
        id,
        chunks: hashes.length,
        chunkCount,
      });
    }
  }

  /** Keeps the chunk if it is the next one. Answers the chunk that is missing next. Durable when it resolves. */
  async store(meta: SnapshotMeta, chunk: number, bytes: Uint8Array): Promise<number> {
    if (!this.#isReceiving(meta)) {
      if (chunk !== 0 || bytes.length !== chunkLength(meta, 0)) return 0;
      await this.drop();
      await this.#begin(meta);
    }
    const { hashes } = this.#partial as Snapshot;
    if (chunk !== hashes.length || chunk === meta.chunkCount) return hashes.length;
    if (bytes.length !== chunkLength(meta, chunk)) return hashes.length;
    const name = nameOf(meta) + SUFFIX.receiving;
    const hash = hashChunk(bytes);
    await this.#orDrop(async () => {
      const position = chunk * meta.chunkBytes;
      await this.#directory.writeFile(name, FILES.data, bytes, position, "durable");
      await this.#writeRecord(name, chunk, hash);
    });
    hashes.push(hash);
    return hashes.length;
  }

  /** Verifies the whole and gives it its name; null, and everything is gone, when it is not what the meta says. */
  async complete(meta: SnapshotMeta): Promise<Snapshot | null> {
    if (!this.#isReceiving(meta)) return null;
    const name = nameOf(meta);
    const found = await this.#directory.readBack(name + SUFFIX.receiving, name);
    if (!found.ok) {
      const path = this.#directory.path(name + SUFFIX.receiving);
      this.#logger.error("a received snapshot is damaged", { path, problem: found.what });
      await this.drop();
      return null;
    }
    await this.#orDrop(() => this.#directory.rename(name + SUFFIX.receiving, name));
    this.#partial = null;
    return found.snapshot;
  }

  /** Gives up what is being received. */
  async drop(): Promise<void> {
    if (this.#partial === null) return;
    const name = nameOf(this.#partial.meta) + SUFFIX.receiving;
    this.#partial = null;
    await this.#directory.discardIfThere(name);
  }

  /** Gives up what can no longer be of use, since a complete snapshot covers as much of the log. */
  async dropIfNotAbove(meta: SnapshotMeta | null): Promise<void> {
    if (meta === null || this.#partial === null) return;
    if (compareMetas(this.#partial.meta, meta) <= 0) await this.drop();
  }

  #isReceiving(meta: SnapshotMeta): boolean {
    return this.#partial !== null && equalMetas(this.#partial.meta, meta);
  }

  /** The head comes last: without it the directory is nothing. */
  async #begin(meta: SnapshotMeta): Promise<void> {
    const name = nameOf(meta) + SUFFIX.receiving;
    this.#partial = { meta, hashes: [] };
    await this.#orDrop(async () => {
      await this.#directory.begin(name);
      await this.#directory.writeFile(name, FILES.head, encodeHead(meta), 0, "create");
      await this.#directory.sync(name);
    });
  }

  #writeRecord(name: string, chunk: number, hash: Uint8Array): Promise<void> {
    const record = encodeHashRecords([hash], chunk);
    const position = chunk * HASH_RECORD_BYTES;
    return this.#directory.writeFile(name, FILES.hashes, record, position, "durable");
  }

  /** On a full disk what was received makes room; on a failed one nothing can be done. */
  async #orDrop(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      await this.drop().catch(() => {});
      throw error;
    }
  }
}
