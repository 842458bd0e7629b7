/**
 * Room on the disk of the index. Its file grows with what is applied and never shrinks, and a commit that finds no room
 * ends the node: nothing may be tried again over it. A log without room refuses writes and goes on reading; here that
 * moment must not come, so people are told while there is time. Members hold the same data: their disks fill alike.
 */
import { statfs } from "node:fs/promises";
import { formatBytes } from "../../base/index.ts";

export interface IndexSpaceOptions {
  readonly directory: string;
  /** Less than that is little; on a small disk `SHARE` of it. 0: never. */
  readonly freeMinBytes: number;
}

export interface Volume {
  /** For this process: without what is kept for the superuser. */
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

/** A disk of 4 GiB is not nearly full because 1 GiB is free. */
const SHARE = 0.05;
/** The shortage is over a little above its bound: it is not said again and again. */
const RELIEF = 1.25;

export class IndexSpace {
  readonly #options: IndexSpaceOptions;
  readonly #volumeOf: (directory: string) => Promise<Volume>;
  #freeBytes: number | null = null;
  #problem: string | null = null;

  constructor(options: IndexSpaceOptions, volumeOf = volumeOfDirectory) {
    this.#options = options;
    this.#volumeOf = volumeOf;
  }

  /** At the last look; null: not known. */
  get freeBytes(): number | null {
    return this.#freeBytes;
  }

  /** Why there is little room, in words; null: there is enough, or nobody knows. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Never rejects. To be awaited: a mount that hangs shall keep one thread of the system's pool, not all. */
  async look(): Promise<void> {
    try {
      this.#judge(await this.#volumeOf(this.#options.directory));
    } catch {
      // Not there yet, or its system does not say: then nothing is known.
      this.#freeBytes = null;
      this.#problem = null;
    }
  }

  #judge({ freeBytes, sizeBytes }: Volume): void {
    const { directory, freeMinBytes } = this.#options;
    const minBytes = Math.min(freeMinBytes, SHARE * sizeBytes);
    const isLittle = freeBytes < (this.#problem === null ? minBytes : RELIEF * minBytes);
    this.#freeBytes = freeBytes;
    this.#problem = isLittle
      ? `${formatBytes(freeBytes)} free on the disk of ${directory}, below ${formatBytes(minBytes)}`
      : null;
  }
}

async function volumeOfDirectory(directory: string): Promise<Volume> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
}
