/**
 * The snapshot files of one member: taken here, received from peers, read for sending and for installing.
 *
 * What changes files runs one after the other (`#serially`), except that taking a snapshot, which is slow, runs beside
 * it in a directory of its own. A snapshot has its name, and is `latest`, only after it was read back.
 */

import { join } from "node:path";
import { assert, type Logger } from "../base/index.ts";
import type { FileTree } from "../files/index.ts";
import type { SnapshotMeta } from "../raft/index.ts";
import { type Snapshot, SnapshotDirectory, SUFFIX } from "./directory.ts";
import { badMeta, busy } from "./errors.ts";
import { compareMetas, equalMetas, isName, nameOf, problemOf } from "./meta.ts";
import { assertSnapshotOptions, type SnapshotOptions } from "./options.ts";
import { SnapshotReader } from "./reader.ts";
import { SnapshotReceiver } from "./receive.ts";
import { takeSnapshot } from "./take.ts";
import type { SnapshotHead, SnapshotSource, SnapshotStore } from "./types.ts";

export interface SnapshotModules {
  readonly files: FileTree;
  readonly logger: Logger;
  /** A new name at every call, 1 to 64 characters 0-9 a-z; random outside of the simulator. */
  readonly newId: () => string;
}

export class SnapshotFiles implements SnapshotStore {
  readonly #options: SnapshotOptions;
  readonly #directory: SnapshotDirectory;
  readonly #receiver: SnapshotReceiver;
  readonly #logger: Logger;
  readonly #newId: () => string;
  /** Complete ones, oldest first. */
  #snapshots: Snapshot[] = [];
  /** Readers of a snapshot by its id: it is not removed under them. */
  readonly #pins = new Map<string, number>();
  /** What is being written of the own state. */
  #taking: { readonly source: SnapshotSource; readonly ended: Promise<unknown> } | null = null;
  #waitingChunks = 0;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Looks at what is there: complete snapshots are verified but for their data, which is verified whenever it is read;
   * an unfinished receive is taken up; what is damaged gets another name and a line in the log.
   *
   * Errors: HearthError when the directory cannot be read or written.
   */
  static async open(options: SnapshotOptions, modules: SnapshotModules): Promise<SnapshotFiles> {
    assertSnapshotOptions(options);
    const opened = new SnapshotFiles(options, modules);
    await opened.#start();
    return opened;
  }

  private constructor(options: SnapshotOptions, modules: SnapshotModules) {
    this.#options = options;
    this.#logger = modules.logger;
    this.#newId = modules.newId;
    const root = join(options.directory, "snapshots");
    this.#directory = new SnapshotDirectory(root, modules.files);
    this.#receiver = new SnapshotReceiver(this.#directory, modules.logger);
  }

  get latest(): SnapshotMeta | null {
    return this.#snapshots.at(-1)?.meta ?? null;
  }

  get complete(): readonly SnapshotMeta[] {
    return this.#snapshots.map(({ meta }) => meta);
  }

  async take(head: SnapshotHead, source: SnapshotSource): Promise<SnapshotMeta> {
    assert(
      source.index === head.index && source.term === head.term,
      `The snapshot head says ${head.index}, its source ${source.index}`,
    );
    try {
      this.#directory.assertAlive();
      this.#directory.assertOpen();
      if (this.#taking !== null) throw busy(this.#directory.root);
      const id = this.#newId();
      const taken = takeSnapshot(this.#directory, this.#options, { ...head, id }, source);
      this.#taking = { source, ended: taken.catch(() => {}) };
      try {
        const snapshot = await taken;
        this.#add(snapshot);
        return snapshot.meta;
      } finally {
        this.#taking = null;
      }
    } finally {
      source.close();
    }
  }

  async readChunk(id: string, chunk: number): Promise<Uint8Array | null> {
    this.#directory.assertAlive();
    const snapshot = this.#snapshots.find(({ meta }) => meta.id === id);
    if (snapshot === undefined || chunk >= snapshot.meta.chunkCount) return null;
    const reader = this.#readerOf(snapshot, chunk);
    try {
      return await reader.next();
    } catch (error) {
      this.#directory.assertAlive();
      // Damaged: it is no longer offered, so for the asking peer it is gone.
      if (!this.#snapshots.includes(snapshot)) return null;
      throw error;
    } finally {
      reader.close();
    }
  }

  /**
   * Errors, besides those of the disk: `snapshot_bad_meta` (invalid_argument), and the store lives on: the peer says
   *   something impossible, or offers chunks that are larger than we take.
   */
  async storeChunk(meta: SnapshotMeta, chunk: number, bytes: Uint8Array): Promise<number> {
    const problem = problemOf(meta);
    if (problem !== null) throw badMeta(problem);
    if (this.#waitingChunks >= this.#options.waitingChunksMax) {
      return this.#receiver.nextChunk(meta);
    }
    this.#waitingChunks++;
    try {
      return await this.#serially(async () => {
        if (this.#findEqual(meta) !== undefined) return meta.chunkCount;
        return this.#receiver.store(meta, chunk, bytes);
      });
    } finally {
      this.#waitingChunks--;
    }
  }

  completeReceived(meta: SnapshotMeta): Promise<boolean> {
    return this.#serially(async () => {
      if (this.#findEqual(meta) !== undefined) return true;
      const snapshot = await this.#receiver.complete(meta);
      if (snapshot === null) return false;
      this.#add(snapshot);
      return true;
    });
  }

  /** Errors, from `next`: `snapshot_gone`, or `snapshot_damaged`, after which the snapshot is no longer offered. */
  open(meta: SnapshotMeta): SnapshotSource {
    const snapshot = this.#snapshots.find((each) => equalMetas(each.meta, meta));
    return snapshot === undefined ? SnapshotReader.ofNothing(meta) : this.#readerOf(snapshot, 0);
  }

  async setAside(meta: SnapshotMeta, what: string): Promise<void> {
    const snapshot = this.#snapshots.find((each) => equalMetas(each.meta, meta));
    if (snapshot !== undefined) await this.#condemn(snapshot, what);
  }

  /** A snapshot that is being read stays until a later call. */
  retain(count: number, throughIndex = Number.MAX_SAFE_INTEGER): Promise<void> {
    assert(count > 0, `retain(${count}) would remove every snapshot`);
    return this.#serially(async () => {
      const surplus = this.#snapshots
        .filter(({ meta }) => meta.index <= throughIndex)
        .slice(0, -count)
        .filter(({ meta }) => !this.#pins.has(meta.id));
      for (const snapshot of surplus) {
        this.#forget(snapshot);
        await this.#directory.discard(nameOf(snapshot.meta));
      }
      await this.#receiver.dropIfNotAbove(this.latest);
    });
  }

  async close(): Promise<void> {
    this.#directory.close();
    this.#taking?.source.close();
    await this.#taking?.ended;
    await this.#last;
  }

  // -- start -------------------------------------------------------------------------------------------------------

  async #start(): Promise<void> {
    const { root, files } = this.#directory;
    await this.#directory.change(root, () => files.createDirectory(root));
    // A name may stand in the page cache alone when the process was killed; nothing is built on it before it is durable.
    await this.#directory.sync();
    const receiving: string[] = [];
    for (const name of await this.#directory.list()) {
      if (isName(name)) await this.#load(name);
      else if (name.endsWith(SUFFIX.removed)) await this.#directory.purge(name);
      else if (name.endsWith(SUFFIX.taking)) await this.#directory.discard(name);
      else if (name.endsWith(SUFFIX.receiving)) receiving.push(name);
      else if (!name.endsWith(SUFFIX.damaged)) {
        this.#logger.warn("unknown name among the snapshots", { path: this.#directory.path(name) });
      }
    }
    this.#snapshots.sort((a, b) => compareMetas(a.meta, b.meta));
    await this.#receiver.resume(receiving);
    await this.#trimDamaged();
  }

  async #load(name: string): Promise<void> {
    const loaded = await this.#directory.load(name);
    if (loaded.ok) this.#snapshots.push(loaded.snapshot);
    else await this.#setAside(name, loaded.what);
  }

  // -- helpers -----------------------------------------------------------------------------------------------------

  #findEqual(meta: SnapshotMeta): Snapshot | undefined {
    const found = this.#snapshots.find((each) => each.meta.id === meta.id);
    if (found !== undefined && !equalMetas(found.meta, meta)) {
      throw badMeta(`snapshot ${meta.id} is here already and is another one`);
    }
    return found;
  }

  /** Above all of its log index: it is the one that its owner goes on with, and not the one that has to go. */
  #add(snapshot: Snapshot): void {
    const { index, term } = snapshot.meta;
    const above = this.#snapshots.findIndex(
      ({ meta }) => meta.index > index || (meta.index === index && meta.term > term),
    );
    this.#snapshots.splice(above < 0 ? this.#snapshots.length : above, 0, snapshot);
  }

  #forget(snapshot: Snapshot): void {
    this.#snapshots = this.#snapshots.filter((each) => each !== snapshot);
  }

  #readerOf(snapshot: Snapshot, firstChunk: number): SnapshotReader {
    const { id } = snapshot.meta;
    this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1);
    return new SnapshotReader(this.#directory, snapshot, firstChunk, {
      onClosed: () => {
        const left = (this.#pins.get(id) ?? 1) - 1;
        if (left === 0) this.#pins.delete(id);
        else this.#pins.set(id, left);
      },
      onDamaged: (what) => this.#condemn(snapshot, what),
    });
  }

  /** From now on the snapshot is not offered to anybody. */
  #condemn(snapshot: Snapshot, what: string): Promise<void> {
    if (!this.#snapshots.includes(snapshot)) return Promise.resolve();
    this.#forget(snapshot);
    return this.#serially(async () => {
      await this.#setAside(nameOf(snapshot.meta), what);
      await this.#trimDamaged();
    });
  }

  async #setAside(name: string, problem: string): Promise<void> {
    const path = this.#directory.path(name);
    this.#logger.error("a snapshot is damaged and will not be used", { path, problem });
    await this.#directory.rename(name, name + SUFFIX.damaged);
  }

  async #trimDamaged(): Promise<void> {
    const names = (await this.#directory.list()).filter((name) => name.endsWith(SUFFIX.damaged));
    const surplus = Math.max(0, names.length - this.#options.damagedMax);
    for (const name of names.slice(0, surplus)) await this.#directory.discard(name);
  }

  #serially<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => {
      this.#directory.assertAlive();
      this.#directory.assertOpen();
      return task();
    });
    this.#last = result.catch(() => {});
    return result;
  }
}
