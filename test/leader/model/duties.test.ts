/**
 * Retention and deletion of tenants together, over a real index and leaders as they are, against rules that a reader can check
 * at a glance: nothing inside its tenant's period is ever deleted, and nothing of a tenant that nobody deleted; what is past
 * period and grace, and all that is a deleted tenant's, is gone after a bounded number of passes.
 *
 * A case is a tenant: its own period or none, its blocks in random partitions and shards, alone or in segments with others',
 * objects that no index knows of, deleted at some time or not, under clocks, failures and changes of the leader that it has in
 * common with the others of its world.
 *
 * CI tries 110,000. DUTIES_CASES=2000000 tries more, DUTIES_SEED others; a failure prints what repeats it.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { CASES_PER_WORLD } from "./draw.ts";
import { noSums, type Sums, type Task, type TaskResult } from "./messages.ts";

const CASES = Number(process.env.DUTIES_CASES ?? 30_000);
const SEED = Number(process.env.DUTIES_SEED ?? 20_261_129);
const WORLDS = Math.ceil(CASES / CASES_PER_WORLD);
/** Then a fresh database: tombstones and reports of earlier ones stay in it. */
const WORLDS_PER_DATABASE = 200;
const THREADS = 2;

function* tasks(): Generator<Task> {
  for (let done = 0; done < WORLDS; done += WORLDS_PER_DATABASE) {
    const worlds = Math.min(WORLDS_PER_DATABASE, WORLDS - done);
    yield { seed: SEED + done / WORLDS_PER_DATABASE, worlds, verifies: done === 0 };
  }
}

/** Takes one after the other, until there is none left. */
async function work(left: Iterator<Task>, sums: Sums): Promise<void> {
  const thread = new Worker(new URL(`./play-thread${FILE_SUFFIX}`, import.meta.url));
  try {
    for (let next = left.next(); next.done !== true; next = left.next()) {
      thread.postMessage(next.value);
      const [result] = (await once(thread, "message")) as [TaskResult];
      if (result.error !== null) assert.fail(result.error);
      for (const [what, count] of Object.entries(result.sums)) sums[what as keyof Sums] += count;
    }
  } finally {
    await thread.terminate();
  }
}

const FILE_SUFFIX = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

describe("duties of a leader", { timeout: 3_600_000 }, () => {
  it(`${CASES} tenants: deletes what is past its period or of a deleted tenant, and nothing else`, async (context) => {
    const sums = noSums();
    const left = tasks();
    await Promise.all(Array.from({ length: THREADS }, () => work(left, sums)));
    context.diagnostic(`seed ${SEED}: ${JSON.stringify(sums)}`);
    // A model in which nothing happens would prove nothing.
    for (const [what, count] of Object.entries(sums)) assert.ok(count > WORLDS / 20, what);
  });
});
