/**
 * Makes time of ticks. After a stall (a long pause of the process) the messages that arrived meanwhile are handled
 * before time goes on, and what was missed is not made up: a member that slept must not blame its leader for it.
 */

import type { Scheduler } from "../base/index.ts";

export class Ticker {
  readonly #scheduler: Scheduler;
  readonly #tickMs: number;
  readonly #onTick: () => void;
  #cancel: (() => void) | null = null;
  #dueAtMs = 0;
  #isRunning = false;

  constructor(scheduler: Scheduler, tickMs: number, onTick: () => void) {
    this.#scheduler = scheduler;
    this.#tickMs = tickMs;
    this.#onTick = onTick;
  }

  start(): void {
    this.#isRunning = true;
    this.#schedule();
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancel?.();
  }

  #schedule(): void {
    this.#dueAtMs = this.#scheduler.monotonicMs() + this.#tickMs;
    this.#cancel = this.#scheduler.after(this.#tickMs, () => this.#onTimer());
  }

  #onTimer(): void {
    const lateMs = this.#scheduler.monotonicMs() - this.#dueAtMs;
    if (lateMs <= this.#tickMs) this.#tick();
    else this.#scheduler.defer(() => this.#tick());
  }

  #tick(): void {
    if (!this.#isRunning) return;
    this.#schedule();
    this.#onTick();
  }
}
