/** Threads for tasks, over real threads: they end behind their tasks, never inside one. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { TaskThreads, type TaskThreadsOptions } from "../../src/tasks/index.ts";
import { SLOW_WORDS } from "./slow-task.ts";

const ENTRY = new URL(
  `./slow-task${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`,
  import.meta.url,
);

/** A task that runs when this resolves. */
async function begin(options: Partial<TaskThreadsOptions> = {}) {
  const threads = new TaskThreads({ threadsMax: 1, ...options });
  const words = new Int32Array(new SharedArrayBuffer(4 * SLOW_WORDS.count));
  const { port1, port2 } = new MessageChannel();
  const running = once(port1, "message");
  const task = threads.run<string>(ENTRY, { words: words.buffer, port: port2 }, [port2]);
  task.catch(() => {});
  await running;
  port1.close();
  return {
    threads,
    task,
    hasEnded: () => Atomics.load(words, SLOW_WORDS.ended) === 1,
    tell: () => {
      Atomics.store(words, SLOW_WORDS.told, 1);
      Atomics.notify(words, SLOW_WORDS.told);
    },
  };
}

test("a task that is told to end does, before its thread goes", async () => {
  const { threads, task, hasEnded, tell } = await begin();
  const closed = threads.close();
  // A thread that is ended by force ends within this time.
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(hasEnded(), false);
  tell();
  await closed;
  assert.equal(hasEnded(), true);
  assert.equal(await task, "done");
});

test("a task that does not listen is ended in the end", async () => {
  const { threads, task, hasEnded } = await begin({ endMaxMs: 100 });
  await threads.close();
  assert.equal(hasEnded(), false);
  await assert.rejects(task);
});

test("closed threads take no task, and close once more", async () => {
  const threads = new TaskThreads();
  await threads.close();
  await assert.rejects(threads.run(ENTRY, {}, []), /closed/);
  await threads.close();
});
