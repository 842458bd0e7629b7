import assert from "node:assert/strict";
import { test } from "node:test";
import { randomRun, type RunCounts } from "./support/random-run.ts";

/** More of them, or one again: RAFT_SEED=17 RAFT_SEEDS=1 node --test test/raft/random.test.ts */
const FIRST_SEED = Number(process.env.RAFT_SEED ?? 1);
const SEEDS = Number(process.env.RAFT_SEEDS ?? 1_000);

test("random runs keep every promise, and end with one state on a healed cluster", () => {
  const total: RunCounts = {};
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      for (const [name, count] of Object.entries(randomRun(seed, { steps: 400 }))) {
        total[name] = (total[name] ?? 0) + count;
      }
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  if (process.env.RAFT_COUNTS !== undefined) console.log(total);
  if (SEEDS < 500) return;
  for (const name of MUST_HAPPEN) assert.ok((total[name] ?? 0) > 0, `${name} never happened`);
});

const MUST_HAPPEN = [
  "proposed",
  "reads granted",
  "leaders",
  "truncations",
  "snapshots",
  "snapshots installed",
  "crashes",
  "damaged",
  "changes",
  "transfers",
  "cuts",
  "dropped",
  "duplicated",
  "follower to candidate",
  "leader to follower",
  "transferring",
  "uncommitted_bytes",
];
