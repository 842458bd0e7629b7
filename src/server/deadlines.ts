/**
 * One timer for the deadlines of all requests of a thread. It runs only while requests wait, and looks at all of them
 * every few milliseconds: cheaper than a timer per request (writes come by 100,000 a second, nearly all in time).
 */

import { DEADLINE_SWEEP_MS } from "./limits.ts";

/** Something that holds requests with deadlines. */
export interface Sweepable {
  /** Fails what is out of time; returns how many requests are left to watch. */
  sweep(nowMs: number): number;
}

export class DeadlineSweeper {
  readonly #nowMs: () => number;
  readonly #watched = new Set<Sweepable>();
  #timer: NodeJS.Timeout | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Looks at `owner` until it has nothing left. Repeating it is cheap. */
  watch(owner: Sweepable): void {
    this.#watched.add(owner);
    // Not a reason to stay alive: requests that wait have a connection or main that is one.
    this.#timer ??= setInterval(() => this.sweep(), DEADLINE_SWEEP_MS).unref();
  }

  /** One look at everything; called by the timer, and by tests. */
  sweep(): void {
    const nowMs = this.#nowMs();
    for (const owner of [...this.#watched]) {
      if (owner.sweep(nowMs) === 0) this.#watched.delete(owner);
    }
    if (this.#watched.size === 0) this.close();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#watched.clear();
  }
}
