/** The segment in the making, when the process or the disk fails around the moment at which it gets its name. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isHearthError, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import { ROOM_WAIT_MS } from "../../src/log/preallocator.ts";
import { untilTrue } from "../support/until.ts";
import { batchOf, LogUnderTest, SMALL_LOG } from "./support/log-harness.ts";
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

test("a log that is closed on a full disk waits for room, and not for ever", async () => {
  for (const comes of ["room", "no room"]) {
    const disk = new MemoryDisk();
    let nowMs = 0;
    const scheduler = { ...SYSTEM_SCHEDULER, monotonicMs: () => nowMs };
    const under = await LogUnderTest.open(disk, SMALL_LOG, scheduler);
    disk.fault = (_, name) => (name === "0000000001.log" ? "none" : "error");
    while (under.log.stats.stalls === 0) {
      under.log.append(batchOf(under.log.lastIndex + 1, 4));
      under.log.flush();
      await untilTrue(() => under.log.isIdle || under.log.stats.stalls > 0);
    }
    const { durableIndex, lastIndex } = under.log;
    let outcome = "";
    const closed = under.log.close().then(
      () => (outcome = "closed"),
      (error: unknown) => (outcome = isHearthError(error) ? error.reason : String(error)),
    );
    nowMs = ROOM_WAIT_MS - 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(outcome, "");
    if (comes === "room") disk.fault = () => "none";
    else nowMs = ROOM_WAIT_MS;
    await closed;
    assert.equal(outcome, comes === "room" ? "closed" : "log_write_failed");
    assert.equal(under.failure === null, comes === "room");
    assert.equal(disk.openFiles, 0);
    const again = await LogUnderTest.open(new MemoryDisk(disk.files));
    assert.equal(again.log.lastIndex, comes === "room" ? lastIndex : durableIndex);
    await again.log.close();
  }
});
