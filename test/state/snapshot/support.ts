/** Images of small states, and states with threads beside them. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SILENT_LOGGER } from "../../../src/base/index.ts";
import { IndexDatabase } from "../../../src/db/index.ts";
import {
  IMAGE_DEFAULTS,
  type ImageOptions,
  STATE_DEFAULTS,
  StateMachine,
  StateSnapshots,
} from "../../../src/state/index.ts";
import { INDEX_LAYOUT_VERSION } from "../../../src/state/counters.ts";
import { imageFrames, readHead } from "../../../src/state/snapshot/image-writer.ts";
import type { Zstd } from "../../../src/state/snapshot/zstd.ts";
import { TaskThreads } from "../../../src/tasks/index.ts";

export const MAP_SIZE_BYTES = 4 * 1024 ** 3;

/** An unlimited image of the committed state, taken on this thread. */
export function imageOf(db: IndexDatabase, zstd: Zstd | null): Uint8Array {
  db.beginRead();
  try {
    const head = readHead(db, INDEX_LAYOUT_VERSION);
    return Buffer.concat([...imageFrames(db, head, zstd)]);
  } finally {
    db.endRead();
  }
}

/** Bytes as a source, in pieces of one size. */
export function sourceOf(image: Uint8Array, pieceBytes = 1024 * 1024) {
  let at = 0;
  return {
    next: async (): Promise<Uint8Array | null> => {
      if (at >= image.length) return null;
      const piece = image.subarray(at, at + pieceBytes);
      at += piece.length;
      return piece;
    },
  };
}

/** A state with everything that images need, in a directory of its own. */
export class ImageRig {
  readonly directory = mkdtempSync(join(tmpdir(), "hearth-image-"));
  readonly db: IndexDatabase;
  readonly state: StateMachine;
  readonly threads = new TaskThreads();
  readonly snapshots: StateSnapshots;
  readonly generations: number[] = [];
  /** What readers answer when they are told of a generation. */
  onGeneration = (generation: number): Promise<void> => {
    this.generations.push(generation);
    return Promise.resolve();
  };

  constructor(options: Partial<ImageOptions> = {}) {
    this.db = IndexDatabase.open({
      directory: this.directory,
      mapSizeBytes: MAP_SIZE_BYTES,
      role: "writer",
    });
    this.state = new StateMachine(STATE_DEFAULTS, { db: this.db, logger: SILENT_LOGGER });
    this.snapshots = new StateSnapshots(
      { ...IMAGE_DEFAULTS, rateBytesPerSec: 0, ...options },
      {
        db: this.db,
        mapSizeBytes: MAP_SIZE_BYTES,
        stateMachine: this.state,
        threads: this.threads,
        logger: SILENT_LOGGER,
        onGeneration: (generation) => this.onGeneration(generation),
      },
    );
  }

  read<T>(ask: (db: IndexDatabase) => T): T {
    this.db.beginRead();
    try {
      return ask(this.db);
    } finally {
      this.db.endRead();
    }
  }

  async close(): Promise<void> {
    await this.snapshots.stop();
    await this.threads.close();
    await this.db.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export async function withRigs(
  count: number,
  body: (...rigs: ImageRig[]) => Promise<void>,
  options: Partial<ImageOptions> = {},
): Promise<void> {
  const rigs = Array.from({ length: count }, () => new ImageRig(options));
  try {
    await body(...rigs);
  } finally {
    for (const rig of rigs) await rig.close();
  }
}
