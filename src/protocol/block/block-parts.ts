/**
 * Where the parts of a hand-written wire Block stand:
 *
 * ```
 * prelude and head | datasets | toc | labels | string ends | string bytes | zeros to 8
 * ```
 */

import { HearthError } from "../../base/index.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { BLOCK_PRELUDE, DATASET } from "../layout.ts";
import { LIMITS } from "../limits.ts";

export interface BlockCounts {
  readonly datasets: number;
  /** Elements of all tables of contents. */
  readonly sections: number;
  readonly labels: number;
  readonly strings: number;
}

/** Offsets in the sink, bytes. */
export interface BlockParts {
  readonly datasets: number;
  readonly toc: number;
  readonly labels: number;
  readonly stringEnds: number;
  readonly stringBytes: number;
}

/**
 * Makes room for a block of these parts at `start`, a multiple of 8, and writes everything that is between them.
 *
 * Shape: the sink ends where the string bytes begin; write them, then call `endBlock`.
 * Errors: HearthError invalid_argument, `block_too_large`, before anything is reserved.
 */
export function beginBlock(sink: ByteSink, start: number, counts: BlockCounts): BlockParts {
  checkCounts(counts);
  const { datasets: count, sections, labels: labelsCount, strings } = counts;
  const datasets = start + BLOCK_PRELUDE.bytes + 4;
  const toc = datasets + count * DATASET.bytes + 8;
  const labels = toc + 8 * sections + 4;
  const stringEnds = labels + 4 * labelsCount + 4;
  const stringBytes = stringEnds + 4 * strings + 4;
  sink.reserve(stringBytes - start);
  const { words } = BLOCK_PRELUDE;
  for (let i = 0; i < words.length; i++) sink.i32[(start >>> 2) + i] = words[i] as number;
  sink.i32[(toc - 8) >>> 2] = 0;
  vector(sink, start + BLOCK_PRELUDE.slotDatasets, datasets - 4, count);
  vector(sink, start + BLOCK_PRELUDE.slotToc, toc - 4, sections);
  vector(sink, start + BLOCK_PRELUDE.slotLabels, labels - 4, labelsCount);
  vector(sink, start + BLOCK_PRELUDE.slotStringEnds, stringEnds - 4, strings);
  sink.length = stringBytes;
  return { datasets, toc, labels, stringEnds, stringBytes };
}

/** Closes the block that begins at `start`, with the string bytes written; returns its length, a multiple of 8. */
export function endBlock(sink: ByteSink, start: number, parts: BlockParts): number {
  const { stringBytes } = parts;
  vector(sink, start + BLOCK_PRELUDE.slotStringBytes, stringBytes - 4, sink.length - stringBytes);
  sink.align8();
  return sink.length - start;
}

/** Writes a vector's length at `offset` and points the slot at it. */
function vector(sink: ByteSink, slot: number, offset: number, count: number): void {
  sink.i32[slot >>> 2] = offset - slot;
  sink.i32[offset >>> 2] = count;
}

function checkCounts({ datasets, sections, labels, strings }: BlockCounts): void {
  checkCount("datasets", datasets, LIMITS.datasetsMax);
  checkCount("table of contents elements", sections, LIMITS.sectionsPerBlockMax);
  checkCount("label numbers", labels, LIMITS.labelIntsPerBlockMax);
  checkCount("strings", strings, LIMITS.stringsMax);
}

function checkCount(what: string, count: number, countMax: number): void {
  if (count <= countMax) return;
  throw new HearthError(
    "invalid_argument",
    `Cannot encode block: ${count} ${what}, limit is ${countMax}`,
    { reason: "block_too_large" },
  );
}

/** What a block id must be. */
export function blockIdError(id: string): HearthError {
  const shown = JSON.stringify(id.slice(0, 64));
  return new HearthError(
    "invalid_argument",
    `Cannot encode block: id ${shown}, allowed is an upper-case ULID of 26 characters`,
    { reason: "bad_block_id" },
  );
}
