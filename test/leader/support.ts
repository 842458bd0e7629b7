/** A scheduler whose time only a test moves. */
import type { Scheduler } from "../../src/base/index.ts";

export class TestScheduler implements Scheduler {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly task: () => void }[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  defer(task: () => void): void {
    setImmediate(task);
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs what is due on the way, in order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = this.#timers
        .filter(({ atMs }) => atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.task();
    }
    this.#nowMs = untilMs;
  }
}
