/**
 * Images of the state of one node: taken beside it, and put in its place. The driver asks (src/replica/snapshots.ts);
 * the work is done by threads, and main only changes over.
 *
 * Installing: fill the next generation -> change the trust mark and go over (one step on main) -> tell the readers ->
 * remove the old one when they have left it. DESIGN.md says what a crash leaves at each step.
 */

import { assert, type HearthError, type Logger, toHearthError } from "../../base/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import type { TaskThreads } from "../../tasks/index.ts";
import { INDEX_LAYOUT_VERSION } from "../counters.ts";
import { imageCancelled, imageDamaged, type ImageErrorReason } from "./errors.ts";
import { fillGeneration, type ImageBytes } from "./filler.ts";
import { ImageSource } from "./image-source.ts";
import { assertImageOptions, type ImageOptions } from "./options.ts";

/** An index may grow to five times its size for a snapshot, with the default ratio, before the log is left to grow. */
const PATIENCE_MAX = 8;

export interface StateSnapshotModules {
  /** The writer's handle. */
  readonly db: IndexDatabase;
  readonly mapSizeBytes: number;
  /** Reads counters and position anew, and forgets what it remembered. */
  readonly stateMachine: { reload(): void };
  readonly threads: TaskThreads;
  readonly logger: Logger;
  /**
   * Another generation is in force: readers are told. Resolves when none of them uses another one any more. Called
   * before the driver publishes an index that the generation holds.
   */
  readonly onGeneration: (generation: number) => Promise<void>;
}

/** Where an image stands for. */
export interface ImagePosition {
  readonly index: number;
  readonly term: number;
}

export class StateSnapshots {
  readonly #options: ImageOptions;
  readonly #modules: StateSnapshotModules;
  #lastGeneration: number;
  #taking: ImageSource | null = null;
  #removing: Promise<void> = Promise.resolve();
  /** How much more growth than usual the next image is allowed. */
  #patience = 1;
  #hasStopped = false;

  constructor(options: ImageOptions, modules: StateSnapshotModules) {
    assertImageOptions(options);
    this.#options = options;
    this.#modules = modules;
    this.#lastGeneration = modules.db.generation;
  }

  /**
   * An image of a state that was committed between this call and the answer; its index says which.
   *
   * One at a time: the one before has been read to its end, has failed or was closed. Cost on main: a message. Errors:
   * what keeps the thread from opening the database; later ones come from `next`.
   */
  async open(): Promise<ImageSource> {
    if (this.#taking !== null) {
      assert(this.#taking.isOver, "One image at a time");
      // Its thread is about to let go of the database.
      await this.#taking.ended;
    }
    if (this.#hasStopped) throw imageCancelled();
    const { db, mapSizeBytes, threads } = this.#modules;
    const database = { directory: db.directory, mapSizeBytes, generation: db.generation };
    const { growthRatio, growthMinBytes } = this.#options;
    const growth = {
      growthRatio: growthRatio * this.#patience,
      growthMinBytes: growthMinBytes * this.#patience,
    };
    const request = { database, layout: INDEX_LAYOUT_VERSION, ...this.#options, ...growth };
    const source = new ImageSource(request, threads);
    this.#taking = source;
    void source.ended.then(() => {
      if (this.#taking === source) this.#taking = null;
      this.#adjustPatience(source.failure);
    });
    await source.opened;
    return source;
  }

  /**
   * Puts an image in the place of the state. Errors: those of the image and of the disk; the state is as it was then.
   * Nothing may be applied meanwhile.
   */
  async install(position: ImagePosition, source: ImageBytes): Promise<void> {
    const { db, mapSizeBytes, stateMachine, threads, logger, onGeneration } = this.#modules;
    // An image of a state that is going away; whoever takes it tries again later.
    this.#taking?.close();
    const startedAtMs = performance.now();
    // Not used before in this process, also not by an attempt that failed: LMDB remembers environments by path.
    const generation = Math.max(this.#lastGeneration, db.generation) + 1;
    this.#lastGeneration = generation;
    const place = { directory: db.directory, mapSizeBytes, generation };
    try {
      const wanted = { next: () => (this.#hasStopped ? cancelled() : source.next()) };
      const { head, rows } = await fillGeneration(place, INDEX_LAYOUT_VERSION, wanted, threads);
      if (head.index !== position.index || head.term !== position.term) {
        throw imageDamaged(`it is of log index ${head.index}, not of ${position.index}`);
      }
      logger.info("index filled from a snapshot", {
        index: head.index,
        rows,
        generation,
        ms: Math.round(performance.now() - startedAtMs),
      });
    } catch (error) {
      await db.removeGeneration(generation);
      throw error;
    }
    const before = db.generation;
    const closed = db.useGeneration(generation);
    stateMachine.reload();
    const left = onGeneration(generation);
    this.#removing = this.#removeOld(before, [closed, left]);
  }

  /**
   * Gives up what is being taken or installed, and resolves when old generations are gone. The threads are the owner's.
   */
  async stop(): Promise<void> {
    this.#hasStopped = true;
    this.#taking?.close();
    await this.#removing;
  }

  /** A log that is never cut grows without end, and that is worse than an index file that grows: the bound gives way. */
  #adjustPatience(failure: HearthError | null): void {
    const isGrowth = failure?.reason === ("image_growth" satisfies ImageErrorReason);
    if (failure === null) this.#patience = 1;
    else if (isGrowth) this.#patience = Math.min(PATIENCE_MAX, 2 * this.#patience);
  }

  async #removeOld(generation: number, left: readonly Promise<void>[]): Promise<void> {
    const { db, logger } = this.#modules;
    try {
      await Promise.all(left);
      await db.removeGeneration(generation);
    } catch (error) {
      // It takes room until the next start removes it; nothing else depends on it.
      const { message } = toHearthError(error);
      logger.warn("an old index stays on the disk", { generation, detail: message });
    }
  }
}

function cancelled(): Promise<never> {
  return Promise.reject(imageCancelled());
}
