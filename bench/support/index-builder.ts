/** Builds indexes of any size for the benchmarks: real entries through the real state machine, without the log. */

import { SILENT_LOGGER } from "../../src/base/index.ts";
import { IndexDatabase } from "../../src/db/index.ts";
import {
  appendAddBlockEntry,
  type BlockMeta,
  ByteSink,
  encodeBlock,
} from "../../src/protocol/index.ts";
import { STATE_DEFAULTS, StateMachine } from "../../src/state/index.ts";

const MAP_SIZE_BYTES = 64 * 1024 ** 3;
const BATCH_BLOCKS = 512;

export class IndexBuilder {
  readonly db: IndexDatabase;
  readonly state: StateMachine;
  readonly #body = new ByteSink(1024 * 1024);
  readonly #block = new ByteSink(64 * 1024);
  #count = 0;
  #appendedAtMs = Date.UTC(2026, 10, 22);

  constructor(directory: string) {
    this.db = IndexDatabase.open({ directory, mapSizeBytes: MAP_SIZE_BYTES, role: "writer" });
    this.state = new StateMachine(STATE_DEFAULTS, { db: this.db, logger: SILENT_LOGGER });
  }

  add(block: BlockMeta): void {
    this.#block.reset();
    const length = encodeBlock(block, this.#block);
    this.addEncoded(this.#block.u8, length);
  }

  /** Adds a wire block; applies when a batch is full. */
  addEncoded(bytes: Uint8Array, length: number): void {
    appendAddBlockEntry(this.#body, bytes, 0, length);
    this.#count++;
    if (this.#count === BATCH_BLOCKS) this.finish();
  }

  /** Applies what was added; throws when an entry was refused, since a benchmark must not measure refusals. */
  finish(): void {
    if (this.#count === 0) return;
    const firstIndex = this.state.appliedIndex + 1;
    const { rejections } = this.state.apply([
      {
        firstIndex,
        term: 1,
        appendedAtMs: this.#appendedAtMs++,
        count: this.#count,
        body: this.#body.u8,
        bodyBytes: this.#body.length,
      },
    ]);
    if (rejections.size > 0)
      throw new Error(`Entries were refused: ${[...rejections.values()][0]}`);
    this.#body.reset();
    this.#count = 0;
  }

  async close(): Promise<void> {
    await this.db.close();
  }
}
