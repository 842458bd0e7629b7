/**
 * Makes the next segment before it is needed: a file in which every block is written, durable, so that an append changes no
 * metadata of the file system (a durable write into a growing file takes 1.3-1.5x as long). The file of a segment that is
 * not needed any more is one (sectors.ts); where there is none, a new one is filled with zeros.
 *
 * Filling goes a little faster than the active segment fills, one chunk at a time: a whole segment at once would stand in
 * the way of the log's own writes on the same disk.
 */

import { assert, type Logger, type Scheduler } from "../base/index.ts";
import { type FileSystem, OPEN_MODE, writeAll } from "../files/index.ts";
import type { LogOptions } from "./options.ts";
import { freePath, segmentPath } from "./segment-names.ts";
import { openSegment, type SegmentFile } from "./segment-file.ts";

export interface Spare {
  readonly sequence: number;
  readonly file: SegmentFile;
  /** Of the file: what is allocated. */
  filledBytes: number;
  /** It was a segment before, and was taken since the start. */
  readonly isReused: boolean;
}

/** What a start found. */
export interface FoundFiles {
  readonly nextSequence: number;
  readonly spare: Spare | null;
  /** Sequences of the free files (`freePath`), below `nextSequence`. */
  readonly free: readonly number[];
}

export type PreallocatorOptions = Pick<
  LogOptions,
  "directory" | "segmentBytes" | "spaceRetryMs" | "reuseMaxBytes"
>;

export interface PreallocatorModules {
  readonly files: FileSystem;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
  /** Called when a spare that `take` did not find has become ready. */
  readonly onReady: () => void;
  /** Called once, when such a spare cannot be made and the wait for it is over (`limitRoomWait`). */
  readonly onGivenUp: (where: string, error: Error) => void;
}

/**
 * How long a log that is about to end waits for room. Good enough: whoever makes room while a node stops has had the
 * time, and the stop has most of its own (`hearth.shutdown-timeout`, 30 s) left for what comes behind the log.
 */
export const ROOM_WAIT_MS = 5_000;

/**
 * Steps of the fill. Measured beside log writes of 160 KiB: steps of 1 MiB took their p99 from 11 to 40 ms, steps of
 * 256 KiB left it where it was. But a step takes a turn of the event loop, and turns are long under load: who is behind takes
 * larger ones, and the largest are for when the log waits for the segment and writes nothing. With 1 MiB there, a log under
 * 40 MB/s on two busy processors waited 1.9 and 3.4 s, which is what a leader gives way for.
 */
const CHUNK_BYTES = {
  beside: 256 * 1024,
  behind: 2 * 1024 * 1024,
  alone: 8 * 1024 * 1024,
} as const;
/** Takes address space alone: nobody writes to it. */
const ZEROS = new Uint8Array(CHUNK_BYTES.alone);

/** A quarter of what is missing, in whole chunks. */
function stepBytes(missingBytes: number): number {
  const chunks = Math.max(1, Math.floor(missingBytes / 4 / CHUNK_BYTES.beside));
  return Math.min(CHUNK_BYTES.behind, chunks * CHUNK_BYTES.beside);
}

export class Preallocator {
  readonly #options: PreallocatorOptions;
  readonly #modules: PreallocatorModules;
  #nextSequence: number;
  #spare: Spare | null;
  /** Sequences of files that wait to be written again. */
  readonly #free: number[];
  #targetBytes = 0;
  #isWanted = false;
  #running: Promise<void> | null = null;
  #cancelRetry: (() => void) | null = null;
  #isClosed = false;
  #giveUpAtMs = Number.POSITIVE_INFINITY;
  /** Why the last attempt failed, or null: the log then still has room in its active segment only. */
  error: Error | null = null;

  constructor(options: PreallocatorOptions, modules: PreallocatorModules, found: FoundFiles) {
    this.#options = options;
    this.#modules = modules;
    this.#nextSequence = found.nextSequence;
    this.#spare = found.spare;
    this.#free = found.free.slice();
  }

  /** Whether a file of that size is to be kept when its segment is not needed any more. */
  wants(segmentBytes: number): boolean {
    const { reuseMaxBytes = 0 } = this.#options;
    const bytesWithIt = (this.#free.length + 1) * segmentBytes;
    return segmentBytes === this.#options.segmentBytes && bytesWithIt <= reuseMaxBytes;
  }

  /** The file of that former segment has its free name, durably. */
  addFree(sequence: number): void {
    this.#free.push(sequence);
  }

  get hasFree(): boolean {
    return this.#free.length > 0;
  }

  /** Gives what is kept back to the disk. Errors: the raw one of the disk; a file that stays is judged by the next start. */
  async removeFree(): Promise<void> {
    const { files } = this.#modules;
    const { directory } = this.#options;
    if (this.#free.length === 0) return;
    for (let sequence = this.#free.pop(); sequence !== undefined; sequence = this.#free.pop())
      await files.remove(freePath(directory, sequence));
    await files.syncDirectory(directory);
  }

  /** The finished spare, now the caller's, or null: then `onReady` will tell. */
  take(): Spare | null {
    const spare = this.#spare;
    if (spare === null || spare.filledBytes < this.#options.segmentBytes) {
      this.#isWanted = true;
      this.advance(this.#options.segmentBytes);
      return null;
    }
    this.#spare = null;
    this.#targetBytes = 0;
    this.#nextSequence = spare.sequence + 1;
    return spare;
  }

  /** Asks for the spare to be filled up to `targetBytes`, in the background. */
  advance(targetBytes: number): void {
    this.#targetBytes = Math.max(
      this.#targetBytes,
      Math.min(targetBytes, this.#options.segmentBytes),
    );
    if (this.#running !== null || this.#cancelRetry !== null || this.#isClosed) return;
    if (this.#targetBytes <= (this.#spare?.filledBytes ?? 0)) return;
    this.#running = this.#fill()
      .catch((error: unknown) => this.#onFailed(error))
      .finally(() => {
        this.#running = null;
        if (this.#isWanted && this.#isReady()) {
          this.#isWanted = false;
          this.#modules.onReady();
        } else {
          this.advance(0);
        }
      });
  }

  /**
   * From now on, attempts for a spare that the log waits for end after `ROOM_WAIT_MS`, with the first one that fails
   * then: at most `spaceRetryMs` later. Repeating it changes nothing.
   */
  limitRoomWait(): void {
    const giveUpAtMs = this.#modules.scheduler.monotonicMs() + ROOM_WAIT_MS;
    this.#giveUpAtMs = Math.min(this.#giveUpAtMs, giveUpAtMs);
  }

  /** Fills a whole spare and waits for it. Errors: the raw one of the disk. */
  async prepare(): Promise<void> {
    this.#isWanted = true;
    this.advance(this.#options.segmentBytes);
    while (this.#running !== null) await this.#running;
    if (this.error !== null) throw this.error;
  }

  /** Stops after the chunk in progress. What is filled stays for the next start. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry?.();
    await this.#running;
    await this.#spare?.file.close();
    this.#spare = null;
  }

  #isReady(): boolean {
    return this.#spare !== null && this.#spare.filledBytes >= this.#options.segmentBytes;
  }

  async #fill(): Promise<void> {
    this.#spare ??= await this.#create();
    const spare = this.#spare;
    while (spare.filledBytes < this.#targetBytes && !this.#isClosed) {
      const missingBytes = this.#targetBytes - spare.filledBytes;
      const wantedBytes = this.#isWanted ? CHUNK_BYTES.alone : stepBytes(missingBytes);
      const chunkBytes = Math.min(wantedBytes, this.#options.segmentBytes - spare.filledBytes);
      await writeAll(spare.file.disk, ZEROS.subarray(0, chunkBytes), spare.filledBytes);
      spare.filledBytes += chunkBytes;
    }
    this.error = null;
  }

  async #create(): Promise<Spare> {
    const { directory, segmentBytes } = this.#options;
    const { files } = this.#modules;
    const path = segmentPath(directory, this.#nextSequence);
    const former = this.#free.shift();
    // Sectors are told apart by sequences (sectors.ts): a file never becomes one that it has been.
    assert(former === undefined || former < this.#nextSequence, `File ${former} is not older`);
    if (former !== undefined) await files.rename(freePath(directory, former), path);
    const mode = former === undefined ? OPEN_MODE.create : OPEN_MODE.durable;
    const file = await openSegment(files, path, mode);
    let sizeBytes = 0;
    try {
      // The name has to be durable before a frame in it is promised.
      await files.syncDirectory(directory);
      sizeBytes = await file.disk.sizeBytes();
    } catch (error) {
      // It is tried again and again: no attempt may keep a file open.
      await file.close().catch(() => {});
      throw error;
    }
    // A former segment that has lost its end is filled like a new one.
    const filledBytes = sizeBytes === segmentBytes ? segmentBytes : 0;
    const isReused = filledBytes > 0;
    return { sequence: this.#nextSequence, file, filledBytes, isReused };
  }

  /** After a failed durable write nothing is known of the file: it goes, and another one is made later. */
  async #onFailed(error: unknown): Promise<void> {
    this.error = error instanceof Error ? error : new Error(String(error));
    this.#modules.logger.warn("cannot preallocate a log segment", { reason: this.error.message });
    const spare = this.#spare;
    this.#spare = null;
    await spare?.file.close().catch(() => {});
    const path = segmentPath(this.#options.directory, this.#nextSequence);
    const { files, scheduler, onGivenUp } = this.#modules;
    await files.remove(path).catch(() => {});
    if (this.#isClosed) return;
    if (this.#isWanted && scheduler.monotonicMs() >= this.#giveUpAtMs) {
      // A log that has failed asks for nothing more.
      this.#isClosed = true;
      return onGivenUp(path, this.error);
    }
    this.#cancelRetry = scheduler.after(this.#options.spaceRetryMs, () => {
      this.#cancelRetry = null;
      this.advance(0);
    });
  }
}
