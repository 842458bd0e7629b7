/**
 * Plays worlds in a thread: the hooks that the test runner puts around every promise of its own thread would be a fifth of
 * the work.
 */
import assert from "node:assert/strict";
import { parentPort } from "node:worker_threads";
import { Prng } from "../../../src/base/index.ts";
import { verifyIndex } from "../../../src/state/index.ts";
import { DeletionRig } from "../../support/deletion.ts";
import { CASES_PER_WORLD } from "./draw.ts";
import { noSums, type Sums, type Task, type TaskResult } from "./messages.ts";
import { DutiesWorld } from "./world.ts";

async function play({ seed, worlds, verifies }: Task): Promise<Sums> {
  // Rows of what is deleted are left lying: removing them is most of the work, and is tried elsewhere.
  const rig = new DeletionRig({ sweepRowsPerTransaction: 1 });
  rig.fixture.commitsEach = false;
  const sums = noSums();
  let world = 0;
  try {
    for (let serial = 1; world < worlds; world++)
      serial = await new DutiesWorld(rig, new Prng(seed, world), { serial, sums }).play();
    rig.fixture.state.commit();
    if (verifies) assert.deepEqual(rig.fixture.read(verifyIndex).problems, []);
    return sums;
  } catch (error) {
    const again = `DUTIES_SEED=${seed} DUTIES_CASES=${(world + 1) * CASES_PER_WORLD}`;
    throw new Error(`${again} repeats it`, { cause: error });
  } finally {
    await rig.close();
  }
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined
    ? String(error.stack)
    : `${error.message}: ${textOf(error.cause)}`;
}

parentPort?.on("message", (task: Task) => {
  const answer = (result: TaskResult): void => parentPort?.postMessage(result);
  play(task).then(
    (sums) => answer({ sums, error: null }),
    (error: unknown) => answer({ sums: null, error: textOf(error) }),
  );
});
