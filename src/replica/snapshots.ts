/**
 * Snapshots of one member: takes them by the bytes of log since the last one, hands chunks to peers, keeps chunks that
 * arrive, and installs what is complete. All of it beside the loop, in promises; what happened comes back as an input.
 */

import { assert, type HearthError, type Logger, toHearthError } from "../base/index.ts";
import type { DurableLog } from "../log/index.ts";
import type { ChunkWork, Message, Raft, SnapshotChunk, SnapshotMeta } from "../raft/index.ts";
import { installFailed } from "./errors.ts";
import type { ReplicaOptions } from "./options.ts";
import type { SnapshotErrorReason, SnapshotHead, SnapshotSource, SnapshotStore } from "./ports.ts";
import type { ReplicaStats, StateMachine } from "./types.ts";

export interface SnapshotModules {
  readonly core: Raft;
  readonly log: DurableLog;
  readonly store: SnapshotStore;
  readonly stateMachine: StateMachine;
  readonly logger: Logger;
  readonly stats: ReplicaStats;
  readonly send: (message: Message) => void;
  /** Something became known to the core: it may have work. */
  readonly onInput: () => void;
  /** The disk of the snapshots fails, or the state cannot be installed: final. */
  readonly onFailed: (error: HearthError) => void;
}

/** Chunks that may wait to be written; a leader never has that many under way. */
const CHUNKS_WAITING_MAX = 64;
/** The one before the newest stays for a peer that is receiving it. */
const SNAPSHOTS_KEPT = 2;

/** Reasons of the store (src/snapshot/errors.ts). */
const DISK_FULL = "snapshot_disk_full" satisfies SnapshotErrorReason;
const WRITE_FAILED = "snapshot_write_failed" satisfies SnapshotErrorReason;
/** Receiving has failed, and nothing is left of it; the store lives on. */
const NOT_KEPT: ReadonlySet<string> = new Set<SnapshotErrorReason>([
  DISK_FULL,
  "snapshot_bad_meta",
]);

export class Snapshots {
  readonly #options: ReplicaOptions;
  readonly #modules: SnapshotModules;
  #logBytes = 0;
  /** A peer needs a snapshot that turned out to be damaged: the next one does not wait for more log. */
  #isLost = false;
  #isTaking = false;
  #storing: Promise<void> = Promise.resolve();
  #storingCount = 0;
  #hasStopped = false;

  constructor(options: ReplicaOptions, modules: SnapshotModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** Counts what was applied. */
  noteApplied(bytes: number): void {
    this.#logBytes += bytes;
  }

  /** Enough log has gathered, or the newest one was lost, and none is on its way. */
  get isDue(): boolean {
    return (
      !this.#isTaking &&
      !this.#hasStopped &&
      (this.#isLost || this.#logBytes >= this.#options.snapshotLogBytes) &&
      this.#modules.stateMachine.openSnapshot !== undefined
    );
  }

  /** `head` describes the committed state as it is now. */
  take(head: SnapshotHead): void {
    const { stateMachine } = this.#modules;
    const source = stateMachine.openSnapshot?.();
    if (source === undefined) return;
    assert(
      source.index === head.index && source.term === head.term,
      `The image is of ${source.index}, the applied index is ${head.index}`,
    );
    this.#logBytes = 0;
    this.#isLost = false;
    this.#isTaking = true;
    void this.#take(head, source);
  }

  /** Puts the bytes into a chunk and sends it; a chunk of a snapshot that is gone is dropped. */
  send(chunk: SnapshotChunk): void {
    const { core, store } = this.#modules;
    void store
      .readChunk(chunk.meta.id, chunk.chunk)
      .then((bytes) => {
        if (this.#hasStopped) return;
        if (bytes === null) this.#noteGone(chunk.meta);
        else if (core.term === chunk.term) this.#modules.send({ ...chunk, bytes });
      })
      .catch((error: unknown) => this.#modules.onFailed(toHearthError(error)));
  }

  /** Older ones go when there are newer ones; but without the newest its peer would wait for the log to grow. */
  #noteGone(meta: SnapshotMeta): void {
    if ((this.#modules.store.latest?.index ?? 0) >= meta.index) return;
    this.#isLost = true;
    this.#modules.onInput();
  }

  /** Keeps a chunk that arrived; one after the other. */
  store(work: ChunkWork): void {
    if (this.#storingCount >= CHUNKS_WAITING_MAX) return;
    this.#storingCount += 1;
    this.#storing = this.#storing
      .then(() => (this.#hasStopped ? undefined : this.#store(work)))
      .catch((error: unknown) => this.#modules.onFailed(toHearthError(error)))
      .finally(() => {
        this.#storingCount -= 1;
      });
  }

  /** Resolves when the state is the snapshot. Rejects when it cannot be: final. */
  async install(meta: SnapshotMeta): Promise<void> {
    const { stateMachine, store, stats } = this.#modules;
    await installSnapshot(stateMachine, store, meta);
    stats.snapshotsInstalled += 1;
    this.#logBytes = 0;
  }

  async stop(): Promise<void> {
    this.#hasStopped = true;
    await this.#storing;
  }

  async #store(work: ChunkWork): Promise<void> {
    const { core, onInput } = this.#modules;
    const { nextChunk, isDamaged } = await this.#keep(work);
    if (this.#hasStopped) return;
    core.chunkStored(work.meta, nextChunk, isDamaged);
    onInput();
  }

  /** What the core is to hear. Rejects when the store is dead. */
  async #keep({
    meta,
    chunk,
    bytes,
  }: ChunkWork): Promise<{ nextChunk: number; isDamaged: boolean }> {
    const { store, logger } = this.#modules;
    try {
      const nextChunk = await store.storeChunk(meta, chunk, bytes);
      const isComplete = nextChunk === meta.chunkCount;
      return { nextChunk, isDamaged: isComplete && !(await store.completeReceived(meta)) };
    } catch (error) {
      const { reason, message } = toHearthError(error);
      if (!NOT_KEPT.has(reason)) throw error;
      // The core answers that it cannot be used; the leader begins again after a while.
      logger.warn("a snapshot cannot be received", { index: meta.index, reason, detail: message });
      return { nextChunk: 0, isDamaged: true };
    }
  }

  async #take(head: SnapshotHead, source: SnapshotSource): Promise<void> {
    const { store, onFailed } = this.#modules;
    let meta: SnapshotMeta | null = null;
    try {
      meta = await store.take(head, source);
    } catch (error) {
      this.#onTakeFailed(error);
    } finally {
      source.close();
      this.#isTaking = false;
    }
    if (meta === null || this.#hasStopped) return;
    await this.#onTaken(meta).catch((error: unknown) => onFailed(toHearthError(error)));
  }

  async #onTaken(meta: SnapshotMeta): Promise<void> {
    const { core, log, stats, logger, onInput } = this.#modules;
    stats.snapshotsTaken += 1;
    core.snapshotTaken(meta);
    const throughIndex = meta.index - this.#options.snapshotKeepEntries;
    if (throughIndex >= log.firstIndex) {
      core.compact(throughIndex);
      log.truncatePrefix(throughIndex);
    }
    logger.info("snapshot taken", { index: meta.index, sizeBytes: meta.sizeBytes });
    onInput();
    await this.#removeOld();
  }

  /** Removing needs a little room, too; the next attempt comes with the next snapshot. */
  async #removeOld(): Promise<void> {
    const { store, logger } = this.#modules;
    try {
      await store.retain(SNAPSHOTS_KEPT);
    } catch (error) {
      const { reason, message } = toHearthError(error);
      if (reason !== DISK_FULL) throw error;
      logger.warn("old snapshots stay", { reason, detail: message });
    }
  }

  /** The log still has everything: the next attempt comes with as many more bytes. */
  #onTakeFailed(error: unknown): void {
    if (this.#hasStopped) return;
    const { logger, onFailed } = this.#modules;
    const failure = toHearthError(error);
    logger.error("snapshot failed", { reason: failure.reason, detail: failure.message });
    if (failure.reason === WRITE_FAILED) onFailed(failure);
  }
}

/** Errors: HearthError internal "install_failed". */
export async function installSnapshot(
  stateMachine: StateMachine,
  store: SnapshotStore,
  meta: SnapshotMeta,
): Promise<void> {
  assert(stateMachine.install !== undefined, "The state machine cannot install snapshots");
  const source = store.open(meta);
  try {
    await stateMachine.install(meta, source);
  } catch (cause) {
    throw installFailed(meta.index, cause);
  } finally {
    source.close();
  }
  assert(
    stateMachine.appliedIndex === meta.index,
    `Installed ${meta.index}, but the state is at ${stateMachine.appliedIndex}`,
  );
}
