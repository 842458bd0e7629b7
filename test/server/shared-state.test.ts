import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { SharedState } from "../../src/read/index.ts";

const NOTHING = { term: 0, commitIndex: 0, appliedIndex: 0, isLeader: false, canGrantReads: false };

test("a new state grants nothing", () => {
  const state = SharedState.create();
  assert.equal(state.tryGrantRead(), -1);
  assert.equal(state.isLeader, false);
  assert.equal(state.commitIndex, 0);
});

test("another view of the same memory reads what was published", () => {
  const main = SharedState.create();
  const reader = SharedState.attach(main.buffer);
  const progress = {
    term: 7,
    commitIndex: 12,
    appliedIndex: 11,
    isLeader: true,
    canGrantReads: true,
  };
  main.publish(progress);
  assert.equal(reader.term, 7);
  assert.equal(reader.appliedIndex, 11);
  assert.equal(reader.isLeader, true);
  assert.equal(reader.tryGrantRead(), 12);
  main.publish({ ...progress, canGrantReads: false });
  assert.equal(reader.tryGrantRead(), -1);
});

test("indexes are exact up to 2^53", () => {
  const state = SharedState.create();
  for (const index of [
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 40 + 3,
    Number.MAX_SAFE_INTEGER,
  ]) {
    state.publish({ ...NOTHING, commitIndex: index, appliedIndex: index });
    assert.equal(state.commitIndex, index);
    assert.equal(state.appliedIndex, index);
  }
});

test("what is not an index is a bug of the publisher", () => {
  const state = SharedState.create();
  for (const commitIndex of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => state.publish({ ...NOTHING, commitIndex }), /not an index/);
  }
});

test("an applied index counts as committed", () => {
  const state = SharedState.create();
  state.publish({ ...NOTHING, appliedIndex: 5, canGrantReads: true });
  assert.equal(state.tryGrantRead(), 5);
});

test("a waiter wakes at the next publish, and at once when it came before", async () => {
  const state = SharedState.create();
  const seen = state.wakeCount;
  let woken = 0;
  const waiting = state.waitForPublish(seen).then(() => woken++);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(woken, 0);
  state.publish(NOTHING);
  await waiting;
  await state.waitForPublish(seen);
});

test("a reader never sees a torn or falling index while the low word wraps", async () => {
  const state = SharedState.create();
  const start = 2 ** 32 - 200_000;
  state.publish({ ...NOTHING, commitIndex: start });
  const reader = new Worker(READER, { eval: true, workerData: { buffer: state.buffer, start } });
  try {
    const result = new Promise<string>((resolve, reject) => {
      reader.once("message", resolve);
      reader.once("error", reject);
    });
    await new Promise((resolve) => reader.once("online", resolve));
    for (let index = start; index <= start + 400_000; index++) {
      state.publish({ ...NOTHING, commitIndex: index });
    }
    assert.equal(await result, "fine");
  } finally {
    await reader.terminate();
  }
});

const READER = `
  const { parentPort, workerData } = require("node:worker_threads");
  import(${JSON.stringify(new URL("../../src/read/shared-state.js", import.meta.url).href)}).then(({ SharedState }) => {
    const state = SharedState.attach(workerData.buffer);
    const end = workerData.start + 400_000;
    for (let last = 0; last < end; ) {
      const index = state.commitIndex;
      if (index < last || index > end) { parentPort.postMessage("read " + index + " after " + last); return; }
      last = index;
    }
    parentPort.postMessage("fine");
  });
`;
