import assert from "node:assert/strict";
import { test } from "node:test";
import { StateFixture } from "../support.ts";
import { CompactionRun } from "./model.ts";

const STEPS = Number(process.env.COMPACTION_STEPS ?? 10_000);
const SEEDS = [1, 2];

for (const seed of SEEDS) {
  test(`compaction does what its model does, seed ${seed}`, async () => {
    const fixture = new StateFixture();
    try {
      const run = new CompactionRun(fixture, seed);
      for (let i = 0; i < STEPS; i++) {
        await run.step();
        if (i % 500 === 499) run.verify();
      }
      run.verify();
      run.drain();
      run.verify();
      assert.equal(run.completed > STEPS / 20, true, `${run.completed} jobs completed`);
      assert.equal(run.reassigned > 0, true, "jobs changed hands");
      assert.equal(run.refusedPlans > 0, true, "plans were outdated");
      assert.equal(run.repeats > 0, true, "polls were repeated");
    } finally {
      await fixture.close();
    }
  });
}
