/** Reads the log by index while it goes on: finds the segment, and reads again when entries were given up meanwhile. */

import type { Logger, Scheduler } from "../base/index.ts";
import type { FileSystem } from "../files/index.ts";
import type { Batch } from "../raft/index.ts";
import { compacted } from "./errors.ts";
import type { LogOptions } from "./options.ts";
import { SegmentReader } from "./reader.ts";
import type { SegmentSet } from "./segment-set.ts";
import { noteSuspect } from "./suspect.ts";

/** What may be read at the moment. */
export interface ReadBounds {
  readonly firstIndex: number;
  readonly endIndex: number;
  /** Grows when entries are given up. */
  readonly epoch: number;
}

export interface LogReaderModules {
  readonly files: FileSystem;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
  readonly segments: SegmentSet;
  readonly bounds: () => ReadBounds;
  readonly salt: number;
}

export class LogReader {
  readonly #options: LogOptions;
  readonly #modules: LogReaderModules;
  readonly #reader: SegmentReader;

  constructor(options: LogOptions, modules: LogReaderModules) {
    this.#options = options;
    this.#modules = modules;
    this.#reader = new SegmentReader({ ...modules, directory: options.directory });
  }

  /** See DurableLog.read. */
  async read(
    fromIndex: number,
    maxBytes: number,
    buffer: Uint8Array | undefined,
  ): Promise<Batch[]> {
    for (;;) {
      const { firstIndex, endIndex, epoch } = this.#modules.bounds();
      if (fromIndex < firstIndex) throw compacted(fromIndex, firstIndex);
      try {
        const batches = await this.#readOnce({ fromIndex, endIndex, maxBytes, buffer });
        // What was read may have been given up meanwhile.
        if (epoch === this.#modules.bounds().epoch) return batches;
      } catch (error) {
        const now = this.#modules.bounds();
        if (fromIndex < now.firstIndex || epoch !== now.epoch) continue;
        if (this.#options.damagePolicy === "abstain")
          await noteSuspect(this.#options.directory, this.#modules, error);
        throw error;
      }
    }
  }

  async #readOnce(range: Parameters<SegmentReader["readActive"]>[1]): Promise<Batch[]> {
    const { segments } = this.#modules;
    const { active } = segments;
    const { fromIndex, endIndex } = range;
    if (active === null || fromIndex >= endIndex) return [];
    if (fromIndex >= active.firstIndex) return this.#reader.readActive(active, range);
    const found = segments.findSealed(fromIndex);
    const sealedEnd = Math.min(endIndex, found.endIndex);
    return this.#reader.readSealed(found.segment, { ...range, endIndex: sealedEnd });
  }
}
