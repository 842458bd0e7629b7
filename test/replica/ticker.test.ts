/** Time of the driver: late ticks. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Scheduler } from "../../src/base/index.ts";
import { Ticker } from "../../src/replica/ticker.ts";

/** Time and turns by hand. */
class HandScheduler implements Scheduler {
  nowMs = 0;
  readonly turns: (() => void)[] = [];
  #timers: { readonly atMs: number; readonly task: () => void }[] = [];

  monotonicMs(): number {
    return this.nowMs;
  }

  defer(task: () => void): void {
    this.turns.push(task);
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** Time passes without a turn, and then whatever is due runs, like the first timers after a stall. */
  pass(ms: number): void {
    this.nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { task } of due) task();
  }

  get timers(): number {
    return this.#timers.length;
  }
}

function ticking(): {
  readonly scheduler: HandScheduler;
  readonly ticker: Ticker;
  readonly happened: string[];
} {
  const scheduler = new HandScheduler();
  const happened: string[] = [];
  const ticker = new Ticker(scheduler, 50, () => happened.push("tick"));
  ticker.start();
  return { scheduler, ticker, happened };
}

test("a tick in time comes at once, one per period", () => {
  const { scheduler, happened } = ticking();
  scheduler.pass(49);
  assert.deepEqual(happened, []);
  scheduler.pass(1);
  assert.deepEqual(happened, ["tick"]);
  // A little late is in time: timers are never exact.
  scheduler.pass(90);
  assert.deepEqual([happened.length, scheduler.turns.length], [2, 0]);
});

test("after a stall there is one tick, however long it was, and what has arrived goes first", () => {
  const { scheduler, happened } = ticking();
  scheduler.pass(5_000);
  assert.equal(happened.length, 0, "not in the turn of the timer");
  // Arrived during the stall, so its turn is earlier.
  scheduler.turns.unshift(() => {
    happened.push("message");
  });
  for (const turn of scheduler.turns.splice(0)) turn();
  assert.deepEqual(happened, ["message", "tick"]);
  scheduler.pass(49);
  assert.equal(happened.length, 2, "nothing is made up");
  scheduler.pass(1);
  assert.deepEqual(happened, ["message", "tick", "tick"]);
});

test("a stop ends it, also between a late timer and its tick", () => {
  const { scheduler, ticker, happened } = ticking();
  scheduler.pass(5_000);
  ticker.stop();
  for (const turn of scheduler.turns.splice(0)) turn();
  assert.deepEqual([happened, scheduler.timers], [[], 0]);
  const other = ticking();
  other.ticker.stop();
  other.scheduler.pass(50);
  assert.deepEqual([other.happened, other.scheduler.timers], [[], 0]);
});
