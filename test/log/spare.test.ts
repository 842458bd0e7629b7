/** The segment in the making, when the process or the disk fails around the moment at which it gets its name. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { LogUnderTest } from "./support/log-harness.ts";
import { imageAfterCrash, MemoryDisk } from "./support/memory-disk.ts";

test("a segment that a killed process has made has a durable name before anything in it is promised", async () => {
  const first = new MemoryDisk();
  const under = await LogUnderTest.open(first);
  await under.append(3);
  await under.log.close();
  // As if it had been killed between making the next file and syncing its name.
  const spare = "0000000002.log";
  const durable = new Map(first.files);
  durable.delete(spare);
  const disk = new MemoryDisk(durable);
  disk.files.set(spare, new Uint8Array(0));
  disk.operations.push({ kind: "create", name: spare });
  const again = await LogUnderTest.open(disk);
  while (again.log.stats.rolls === 0) await again.append(20);
  const { lastIndex } = again.log;
  // The power goes when the first group in it is durable. Its header is the first write there that is not of zeros.
  const group = disk.operations.findIndex(
    (each) => each.kind === "write" && each.name === spare && each.bytes[0] !== 0,
  );
  const count =
    1 + disk.operations.findIndex((each) => each.kind === "written" && each.operation === group);
  assert.ok(group > 0 && count > group);
  await again.log.close();
  const style = { inFlight: "lost", random: () => 0 } as const;
  const image = imageAfterCrash(durable, disk.operations, count, style);
  const { log } = await LogUnderTest.open(new MemoryDisk(image));
  assert.equal(log.lastIndex, lastIndex);
  await log.close();
});

test("a segment whose name cannot be made durable does not stay open", async () => {
  const disk = new MemoryDisk();
  let syncs = 0;
  // The first one is of the start.
  disk.syncDirectory = () => (syncs++ === 0 ? Promise.resolve() : Promise.reject(new Error("EIO")));
  await assert.rejects(LogUnderTest.open(disk), /EIO/);
  assert.ok(syncs > 1);
  assert.equal(disk.openFiles, 0);
});
