/**
 * Room for the index: on its disk, and in the address space that is reserved for it (hearth.index-map-size). Its file grows
 * with what is applied and never shrinks, and a commit that finds no room ends the node: nothing may be tried again over it.
 * That moment must not come. So people are told while there is time, and before there is none a leader takes no more blocks
 * and goes on with everything else. Members hold the same data: their disks fill alike.
 */
import { statfs } from "node:fs/promises";
import { formatBytes } from "../../base/index.ts";

export interface IndexSpaceOptions {
  readonly directory: string;
  /** Less than that is little; on a small disk `SHARE` of it. 0: never. */
  readonly freeMinBytes: number;
}

/** What the index takes of its address space. */
export interface IndexMap {
  readonly liveBytes: number;
  readonly sizeBytes: number;
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
/** Of the bound on free bytes: below it no more blocks are taken. Seconds at full speed are left then. */
const LAST_PART = 0.5;
/** Free address space that is kept: what is written anew takes pages of its own, and seconds at full speed hundreds of MiB. */
const MAP_KEPT_SHARE = 0.05;
const MAP_KEPT_MIN_BYTES = 256 * 1024 * 1024;
/** Of a small one at most that, and there is little at twice as much. */
const MAP_KEPT_MAX_SHARE = 0.25;
const MAP_LITTLE_FACTOR = 2;

/** The two shortages: little room, and none for more blocks. */
type Level = "little" | "none";

export class IndexSpace {
  readonly #options: IndexSpaceOptions;
  readonly #volumeOf: (directory: string) => Promise<Volume>;
  #mapOf: () => IndexMap | null = () => null;
  #freeBytes: number | null = null;
  readonly #problems: Record<Level, string | null> = { little: null, none: null };

  constructor(options: IndexSpaceOptions, volumeOf = volumeOfDirectory) {
    this.#options = options;
    this.#volumeOf = volumeOf;
  }

  /** The index is open. */
  attachMap(mapOf: () => IndexMap | null): void {
    this.#mapOf = mapOf;
  }

  /** At the last look; null: not known. */
  get freeBytes(): number | null {
    return this.#freeBytes;
  }

  /** Why there is little room, in words; null: there is enough, or nobody knows. */
  get problem(): string | null {
    return this.#problems.little;
  }

  /** The same where there is so little that no more blocks may be taken. */
  get fullProblem(): string | null {
    return this.#problems.none;
  }

  /** Never rejects for what the system says. To be awaited: a mount that hangs shall keep one thread of the system's pool, not all. */
  async look(): Promise<void> {
    // First: when the system has answered, the index may be closed.
    const map = this.#mapOf();
    const volume = await this.#volumeOf(this.#options.directory).catch(() => null);
    this.#freeBytes = volume?.freeBytes ?? null;
    for (const level of ["little", "none"] as const) {
      const wasShort = this.#problems[level] !== null;
      this.#problems[level] =
        this.#ofVolume(volume, level, wasShort) ?? ofMap(map, level, wasShort);
    }
  }

  /** Null also where the system does not say. */
  #ofVolume(volume: Volume | null, level: Level, wasShort: boolean): string | null {
    if (volume === null) return null;
    const { directory, freeMinBytes } = this.#options;
    const part = level === "little" ? 1 : LAST_PART;
    const minBytes = part * Math.min(freeMinBytes, SHARE * volume.sizeBytes);
    if (volume.freeBytes >= (wasShort ? RELIEF * minBytes : minBytes)) return null;
    return `${formatBytes(volume.freeBytes)} free on the disk of ${directory}, below ${formatBytes(minBytes)}`;
  }
}

function ofMap(map: IndexMap | null, level: Level, wasShort: boolean): string | null {
  if (map === null) return null;
  const { liveBytes, sizeBytes } = map;
  const keptBytes = Math.max(
    MAP_KEPT_SHARE * sizeBytes,
    Math.min(MAP_KEPT_MIN_BYTES, MAP_KEPT_MAX_SHARE * sizeBytes),
  );
  const minBytes = level === "little" ? MAP_LITTLE_FACTOR * keptBytes : keptBytes;
  if (sizeBytes - liveBytes >= (wasShort ? RELIEF * minBytes : minBytes)) return null;
  const size = formatBytes(sizeBytes);
  return `the index takes ${formatBytes(liveBytes)} of the ${size} of hearth.index-map-size`;
}

async function volumeOfDirectory(directory: string): Promise<Volume> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
}
