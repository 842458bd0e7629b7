/**
 * Batches that are staged although the disk of the log still has them: a leader who is the only voter knows that they will be
 * committed (DESIGN.md, "Ahead of the disk"). In log order, whole batches.
 */

import { assert } from "../base/index.ts";
import type { Batch } from "../raft/index.ts";
import type { ApplyOutcome } from "./types.ts";

export interface StagedPiece {
  readonly batch: Batch;
  readonly result: ApplyOutcome;
}

export class Ahead {
  #pieces: StagedPiece[] = [];

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Index behind the last entry; `appliedIndex` is that of the last one that is known to be committed. */
  nextIndex(appliedIndex: number): number {
    const last = this.#pieces.at(-1);
    return last === undefined ? appliedIndex + 1 : endOf(last);
  }

  push(piece: StagedPiece): void {
    this.#pieces.push(piece);
  }

  /** Takes out what ends with `throughIndex` at the latest. */
  takeThrough(throughIndex: number): readonly StagedPiece[] {
    const count = this.#pieces.findIndex((piece) => endOf(piece) > throughIndex + 1);
    return this.#pieces.splice(0, count === -1 ? this.#pieces.length : count);
  }

  /** The log gives up its entries from `fromIndex` on. What is staged cannot be among them: its leader had no rival. */
  checkCut(fromIndex: number): void {
    const last = this.#pieces.at(-1);
    assert(
      last === undefined || fromIndex >= endOf(last),
      `Entries from ${fromIndex} on are given up, and staged already`,
    );
  }

  clear(): void {
    this.#pieces = [];
  }
}

function endOf({ batch }: StagedPiece): number {
  return batch.firstIndex + batch.count;
}
