/** How the next segment grows: gently beside the log's own writes, in few steps when the log is behind or waits for it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SILENT_LOGGER, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import { Preallocator } from "../../src/log/preallocator.ts";
import { untilTrue } from "../support/until.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const SEGMENT_BYTES = 20 * MIB;

function rig(): { disk: MemoryDisk; preallocator: Preallocator; steps: () => number[] } {
  const disk = new MemoryDisk();
  const options = { directory: "log", segmentBytes: SEGMENT_BYTES, spaceRetryMs: 1_000 };
  const modules = {
    files: disk,
    logger: SILENT_LOGGER,
    scheduler: SYSTEM_SCHEDULER,
    onReady: (): void => {},
    onGivenUp: (): void => assert.fail("there is room"),
  };
  const preallocator = new Preallocator(options, modules, {
    nextSequence: 1,
    spare: null,
    free: [],
  });
  const steps = (): number[] =>
    disk.operations.flatMap((one) => (one.kind === "write" ? [one.bytes.length] : []));
  return { disk, preallocator, steps };
}

test("beside the log's writes the next segment grows in small steps", async () => {
  const { disk, preallocator, steps } = rig();
  for (const target of [200 * KIB, 500 * KIB, 1_000 * KIB]) {
    preallocator.advance(target);
    await untilTrue(() => (disk.files.values().next().value?.length ?? 0) >= target);
  }
  assert.deepEqual(steps(), [256 * KIB, 256 * KIB, 256 * KIB, 256 * KIB]);
  await preallocator.close();
});

test("far behind it grows in larger ones", async () => {
  const { disk, preallocator, steps } = rig();
  preallocator.advance(SEGMENT_BYTES / 2);
  await untilTrue(() => (disk.files.values().next().value?.length ?? 0) >= SEGMENT_BYTES / 2);
  await preallocator.close();
  assert.equal(steps()[0], 2 * MIB);
  assert.equal(steps().at(-1), 256 * KIB);
});

test("a log that waits for it gets it in few steps, since each takes a turn of a busy event loop", async () => {
  const { preallocator, steps } = rig();
  assert.equal(preallocator.take(), null);
  await preallocator.prepare();
  assert.deepEqual(steps(), [8 * MIB, 8 * MIB, 4 * MIB]);
  const spare = preallocator.take();
  assert.equal(spare?.filledBytes, SEGMENT_BYTES);
  await spare?.file.close();
});
