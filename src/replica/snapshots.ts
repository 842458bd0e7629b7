/**
 * Snapshots of one member: takes them when they are due (snapshot-schedule.ts), hands chunks to peers, keeps chunks that
 * arrive, and installs what is complete. All of it beside the loop, in promises; what happened comes back as an input.
 */

import {
  assert,
  type Clock,
  type HearthError,
  type Logger,
  type Scheduler,
  toHearthError,
} from "../base/index.ts";
import type { DurableLog } from "../log/index.ts";
import type {
  ChunkWork,
  Message,
  Raft,
  RandomU32,
  SnapshotChunk,
  SnapshotMeta,
} from "../raft/index.ts";
import { refused } from "./errors.ts";
import { type Installer, installSnapshot } from "./install.ts";
import type { ReplicaOptions } from "./options.ts";
import type { SnapshotErrorReason, SnapshotHead, SnapshotSource, SnapshotStore } from "./ports.ts";
import { SnapshotSchedule } from "./snapshot-schedule.ts";
import type { ReplicaStats, StateMachine } from "./types.ts";

export interface SnapshotModules {
  readonly core: Raft;
  readonly log: DurableLog;
  readonly store: SnapshotStore;
  readonly stateMachine: StateMachine;
  readonly logger: Logger;
  readonly stats: ReplicaStats;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: RandomU32;
  readonly installer: Installer;
  readonly send: (message: Message) => void;
  /** Something became known to the core: it may have work. */
  readonly onInput: () => void;
  /** The disk of the snapshots fails, or the state cannot be installed: final. */
  readonly onFailed: (error: HearthError) => void;
}

/** Chunks that may wait to be written; a leader never has that many under way. */
const CHUNKS_WAITING_MAX = 64;
/** Heads of commits kept while an image is being opened: seconds of them. Of older ones no image is wanted. */
const HEADS_MAX = 1_024;

/** Who waits for a snapshot of their own. */
interface Waiter {
  readonly resolve: (meta: SnapshotMeta) => void;
  readonly reject: (error: HearthError) => void;
}

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
  readonly #schedule: SnapshotSchedule;
  #isTaking = false;
  /** What was committed since an image was asked for: the image is of one of them. Null: none is being opened. */
  #heads: SnapshotHead[] | null = null;
  /** For the next one; and for the one that is being taken. */
  #waiting: Waiter[] = [];
  #served: Waiter[] = [];
  #storing: Promise<void> = Promise.resolve();
  #storingCount = 0;
  /** Work on a file of the own state, and on an image that comes into the state. Neither rejects. */
  #taking: Promise<void> = Promise.resolve();
  #installing: Promise<unknown> = Promise.resolve();
  #hasStopped = false;

  constructor(options: ReplicaOptions, modules: SnapshotModules) {
    this.#options = options;
    this.#modules = modules;
    this.#schedule = new SnapshotSchedule(options, modules);
  }

  /** Counts what was applied. */
  noteApplied(entries: number, bytes: number): void {
    this.#schedule.noteApplied(entries, bytes);
  }

  /** The committed state is that of `head` now. */
  noteVisible(head: SnapshotHead): void {
    if (this.#heads === null) return;
    this.#heads.push(head);
    if (this.#heads.length > HEADS_MAX) this.#heads = this.#heads.slice(HEADS_MAX / 2);
  }

  /** One is due, and none is on its way. */
  get isDue(): boolean {
    return (
      !this.#isTaking &&
      !this.#hasStopped &&
      this.#schedule.isDue &&
      this.#modules.stateMachine.openSnapshot !== undefined
    );
  }

  /**
   * Takes one of the state as it is now or later, and resolves when it was verified. Errors: what the attempt failed
   * with; `shutting_down`.
   */
  takeNow(): Promise<SnapshotMeta> {
    if (this.#hasStopped) return Promise.reject(refused("shutting_down", ""));
    const taken = new Promise<SnapshotMeta>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
    this.#schedule.want();
    this.#modules.onInput();
    return taken;
  }

  /** `head` describes the committed state as it is now. */
  take(head: SnapshotHead): void {
    const source = this.#modules.stateMachine.openSnapshot?.();
    if (source === undefined) return;
    this.#schedule.started();
    this.#isTaking = true;
    this.#served = this.#waiting;
    this.#waiting = [];
    if (source instanceof Promise) {
      this.#heads = [head];
      void this.#takeOpening(source);
      return;
    }
    assert(
      source.index === head.index && source.term === head.term,
      `The image is of ${source.index}, the applied index is ${head.index}`,
    );
    this.#taking = this.#take(head, source);
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
      .catch((error: unknown) => this.#failed(error));
  }

  /**
   * Older ones go when there are newer ones, of which the core knows. But without the newest its peer would wait for the log to
   * grow: another one of the same log index takes its place, or one that is taken now.
   */
  #noteGone(meta: SnapshotMeta): void {
    const { store, core, onInput } = this.#modules;
    const { latest } = store;
    if (latest !== null && latest.index > meta.index) return;
    if (latest?.index === meta.index) core.snapshotTaken(latest);
    else this.#schedule.want();
    onInput();
  }

  /** Keeps a chunk that arrived; one after the other. */
  store(work: ChunkWork): void {
    if (this.#storingCount >= CHUNKS_WAITING_MAX) return;
    this.#storingCount += 1;
    this.#storing = this.#storing
      .then(() => (this.#hasStopped ? undefined : this.#store(work)))
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#storingCount -= 1;
      });
  }

  /** Resolves when the state is the snapshot. Rejects when it cannot be: final. */
  install(meta: SnapshotMeta): Promise<void> {
    const installed = this.#install(meta);
    this.#installing = installed.catch(() => {});
    return installed;
  }

  async #install(meta: SnapshotMeta): Promise<void> {
    const { stats, installer } = this.#modules;
    try {
      await installSnapshot(installer, meta);
    } catch (error) {
      stats.snapshotFailures.install += 1;
      throw error;
    }
    stats.snapshotsInstalled += 1;
    this.#schedule.installed();
  }

  /** Resolves when nothing is written any more: whoever comes next finds files and state as they are. */
  async stop(): Promise<void> {
    this.#hasStopped = true;
    this.#rejectAll(refused("shutting_down", ""));
    await Promise.all([this.#modules.store.close(), this.#storing, this.#taking, this.#installing]);
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
      if (this.#hasStopped) throw error;
      const { reason, message } = toHearthError(error);
      this.#modules.stats.snapshotFailures.receive += 1;
      if (!NOT_KEPT.has(reason)) throw error;
      // The core answers that it cannot be used; the leader begins again after a while.
      logger.warn("a snapshot cannot be received", { index: meta.index, reason, detail: message });
      return { nextChunk: 0, isDamaged: true };
    }
  }

  async #takeOpening(opening: Promise<SnapshotSource>): Promise<void> {
    let source: SnapshotSource;
    try {
      source = await opening;
    } catch (error) {
      this.#heads = null;
      this.#onTakeFailed(error);
      this.#endTaking();
      return;
    }
    const { index, term } = source;
    const head = this.#heads?.find((each) => each.index === index && each.term === term);
    this.#heads = null;
    if (head !== undefined && !this.#hasStopped) {
      this.#taking = this.#take(head, source);
      return;
    }
    source.close();
    this.#onTakeFailed(new Error(`The image is of log index ${index}, which is too old by now`));
    this.#endTaking();
  }

  async #take(head: SnapshotHead, source: SnapshotSource): Promise<void> {
    const { store, stats, clock, scheduler } = this.#modules;
    const startedAtMs = scheduler.monotonicMs();
    let meta: SnapshotMeta | null = null;
    try {
      meta = await store.take(head, source);
      stats.lastSnapshotMs = scheduler.monotonicMs() - startedAtMs;
      stats.lastSnapshotAtMs = clock.nowMs();
    } catch (error) {
      this.#onTakeFailed(error);
    } finally {
      source.close();
      this.#endTaking();
    }
    if (meta === null || this.#hasStopped) return;
    await this.#onTaken(meta).catch((error: unknown) => this.#failed(error));
  }

  /** Whoever waits for one that failed has been told. */
  #endTaking(): void {
    this.#isTaking = false;
    this.#schedule.ended();
    if (!this.#hasStopped && this.#waiting.length > 0) {
      this.#schedule.want();
      this.#modules.onInput();
    }
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
    for (const { resolve } of this.#served) resolve(meta);
    this.#served = [];
    logger.info("snapshot taken", { index: meta.index, sizeBytes: meta.sizeBytes });
    onInput();
    await this.#removeOld(meta.index);
  }

  /** Removing needs a little room, too; the next attempt comes with the next snapshot. */
  async #removeOld(throughIndex: number): Promise<void> {
    const { store, logger } = this.#modules;
    try {
      await store.retain(this.#options.snapshotsRetain, throughIndex);
    } catch (error) {
      const { reason, message } = toHearthError(error);
      if (reason !== DISK_FULL) throw error;
      logger.warn("old snapshots stay", { reason, detail: message });
    }
  }

  /** The log still has everything: the next attempt comes as if this one had succeeded. */
  #onTakeFailed(error: unknown): void {
    const failure = toHearthError(error);
    for (const { reject } of this.#served) reject(failure);
    this.#served = [];
    if (this.#hasStopped) return;
    const { logger, stats } = this.#modules;
    stats.snapshotFailures.take += 1;
    logger.error("snapshot failed", { reason: failure.reason, detail: failure.message });
    if (failure.reason === WRITE_FAILED) this.#failed(failure);
  }

  /** Of what a stop has cut short nobody is to hear. */
  #failed(error: unknown): void {
    if (!this.#hasStopped) this.#modules.onFailed(toHearthError(error));
  }

  #rejectAll(error: HearthError): void {
    for (const { reject } of [...this.#waiting, ...this.#served]) reject(error);
    this.#waiting = [];
    this.#served = [];
  }
}
