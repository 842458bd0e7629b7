/** Small runs of `npm run crashpoints` and `npm run bitrot`; the commands do more. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runBitRot, unmoved } from "./bit-rot.ts";
import { runCrashPoints, uncovered } from "./crashpoints.ts";
import { SUBJECTS } from "./subjects.ts";

test("every crash point of a run keeps what was promised", async () => {
  const report = await runCrashPoints(SUBJECTS, { seed: 1, images: 1000, operations: 350 });
  assert.deepEqual(report.violations, []);
  assert.deepEqual(uncovered(report), []);
  assert.equal(report.recovered, report.images);
  assert.ok(report.images >= 1000 * SUBJECTS.length, `${report.images} images`);
});

test("a storage that forgets a promise is found", async () => {
  const [subject] = SUBJECTS;
  assert.ok(subject !== undefined);
  const forgetful = {
    ...subject,
    // Promises one operation too early, as a log does that answers before its write ends.
    record: async (...settings: Parameters<typeof subject.record>) => {
      const history = await subject.record(...settings);
      return {
        check: (disk: Parameters<typeof history.check>[0], promised: number) =>
          history.check(disk, promised + 1),
      };
    },
  };
  const report = await runCrashPoints([forgetful], { seed: 3, images: 100, operations: 60 });
  assert.ok(report.violationCount > 0);
});

test("a flipped byte or a lost sector takes nothing away in silence", async () => {
  const report = await runBitRot({ seed: 5, flips: 1500 });
  assert.deepEqual(report.violations, []);
  assert.deepEqual(unmoved(report), []);
});
