import assert from "node:assert/strict";
import { test } from "node:test";
import { TurnClock } from "../../src/server/index.ts";

/** A loop that turns when it is told to. */
function loop() {
  const deferred: (() => void)[] = [];
  const scheduler = {
    nowMs: 10,
    looks: 0,
    monotonicMs: () => {
      scheduler.looks++;
      return scheduler.nowMs;
    },
    defer: (task: () => void) => void deferred.push(task),
    after: () => () => {},
    turn: () => {
      for (const task of deferred.splice(0)) task();
    },
    deferred,
  };
  return scheduler;
}

test("the first request of a turn begins now, the next one where the last look was", () => {
  const scheduler = loop();
  const clock = new TurnClock(scheduler);
  assert.equal(clock.beganMs(), 10);
  scheduler.nowMs = 11;
  assert.equal(clock.nowMs(), 11, "a look is always a new one");
  scheduler.nowMs = 12;
  assert.equal(clock.beganMs(), 11);
  assert.equal(scheduler.looks, 2);
  assert.equal(scheduler.deferred.length, 1, "once per turn");
});

test("no look outlives its turn", () => {
  const scheduler = loop();
  const clock = new TurnClock(scheduler);
  clock.nowMs();
  scheduler.turn();
  scheduler.nowMs = 5_000;
  assert.equal(clock.beganMs(), 5_000);
  scheduler.turn();
  scheduler.nowMs = 6_000;
  assert.equal(clock.beganMs(), 6_000);
});
