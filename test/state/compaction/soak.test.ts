import assert from "node:assert/strict";
import { test } from "node:test";
import { CompactionRun } from "./model.ts";
import { CompactionWorld } from "./world.ts";

/** Steps of all worlds together. */
const STEPS = Number(process.env.COMPACTION_STEPS ?? 40_000);
/** A world that grows old only grows large: nothing new happens in it. */
const STEPS_PER_WORLD = 5_000;
const TURNS_PER_COMMIT = 20;
const STEPS_PER_CHECK = 2_500;
const FIRST_SEED = Number(process.env.COMPACTION_SEED ?? 1);

async function runWorld(seed: number): Promise<CompactionRun> {
  const world = new CompactionWorld();
  try {
    const run = new CompactionRun(world, seed);
    let checkAt = STEPS_PER_CHECK;
    for (let i = 1; run.steps < STEPS_PER_WORLD; i++) {
      await run.turn();
      if (i % TURNS_PER_COMMIT === 0) world.commit();
      if (run.steps < checkAt) continue;
      checkAt += STEPS_PER_CHECK;
      run.verify();
    }
    run.drain();
    run.verify();
    return run;
  } finally {
    await world.close();
  }
}

test(`compaction does what its model does, ${STEPS} steps`, async () => {
  const worlds = Math.ceil(STEPS / STEPS_PER_WORLD);
  const seen = { completed: 0, reassigned: 0, refusedPlans: 0, repeats: 0 };
  for (let seed = FIRST_SEED; seed < FIRST_SEED + worlds; seed++) {
    const run = await runWorld(seed).catch((error: unknown) => {
      const text = error instanceof Error ? error.stack : String(error);
      throw new Error(`COMPACTION_SEED=${seed} COMPACTION_STEPS=1 replays it\n${text}`);
    });
    seen.completed += run.completed;
    seen.reassigned += run.reassigned;
    seen.refusedPlans += run.refusedPlans;
    seen.repeats += run.repeats;
  }
  assert.equal(seen.completed > STEPS / 100, true, `${seen.completed} jobs completed`);
  assert.equal(seen.reassigned > 0, true, "jobs changed hands");
  assert.equal(seen.refusedPlans > 0, true, "plans were outdated");
  assert.equal(seen.repeats > 0, true, "polls were repeated");
});
