/** Durable work that was not reported yet: the shape (work.ts has the rules). */

import type { Batch, HardState, Message, SnapshotMeta } from "./types.ts";

/** One piece. It is collected in `WorkState.open`, and from then on waits in `pending` for its report. */
export interface Piece {
  readonly sequence: number;
  readonly term: number;
  hardState: HardState | null;
  truncateFrom: { readonly fromIndex: number; readonly previousTerm: number } | null;
  install: { readonly meta: SnapshotMeta; readonly keepsLog: boolean } | null;
  readonly batches: Batch[];
  /** Released when the piece is durable. */
  readonly messages: Message[];
  /** With this piece, the log as it is now is durable up to here: falls when a later piece truncates below it. */
  durableThrough: number;
  /** Ticks since it was opened. */
  waitedTicks: number;
}

export interface WorkState {
  /** Sequence of the next piece that is opened. */
  nextSequence: number;
  durableSequence: number;
  /** Term of the newest durable hard state. */
  durableTerm: number;
  /** Sequence of the piece with the newest hard state; 0: the one found at the start. */
  hardStateSequence: number;
  open: Piece | null;
  /** Handed out or waiting for `drain`, ascending by sequence. */
  readonly pending: Piece[];
  /** Ticks that passed with something pending since the disk was last heard of. */
  stalledTicks: number;
}

export function createWork(term: number): WorkState {
  return {
    nextSequence: 1,
    durableSequence: 0,
    durableTerm: term,
    hardStateSequence: 0,
    open: null,
    pending: [],
    stalledTicks: 0,
  };
}
