/**
 * The time of the log, as far as other terms wrote it: what the clock of a member that begins to lead is held against.
 * Its own entries say nothing about its clock.
 */
import type { Leadership } from "../../leader/index.ts";

export class LogTime {
  /** Unix ms; 0: the log holds nothing of terms before. */
  newestForeignAtMs: number;
  readonly #state: { readonly appliedAtMs: number };

  /** Made before the log is replayed. */
  constructor(state: { readonly appliedAtMs: number }) {
    this.#state = state;
    this.newestForeignAtMs = state.appliedAtMs;
  }

  /** Told of all progress of this member. */
  observe({ isLeader }: Pick<Leadership, "isLeader">): void {
    if (!isLeader) this.newestForeignAtMs = this.#state.appliedAtMs;
  }
}
