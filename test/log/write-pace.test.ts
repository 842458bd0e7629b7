/** When the log waits for the disk itself. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { WritePace } from "../../src/log/write-pace.ts";

const LIMIT_MS = 0.5;
const SMALL_BYTES = 1000;

/** A pace and a clock: each write takes `tookMs`, in the way that was chosen for it. Counts those in place. */
class Disk {
  readonly pace: WritePace;
  nowMs = 0;
  /** Whether anything comes in while a write is under way. */
  isQuiet = false;

  constructor(limitMs = LIMIT_MS) {
    this.pace = new WritePace(limitMs);
  }

  write(count: number, tookMs: number, bytes = SMALL_BYTES): number {
    let inPlace = 0;
    for (let i = 0; i < count; i++) {
      const isInPlace = this.pace.isInPlace(bytes);
      if (isInPlace) inPlace += 1;
      this.nowMs += tookMs;
      const { nowMs, isQuiet } = this;
      this.pace.note(bytes, { tookMs, nowMs, inPlace: isInPlace, isQuiet: isInPlace || isQuiet });
    }
    return inPlace;
  }
}

test("a quick disk is waited for in place, after it has shown that it is quick", () => {
  const disk = new Disk();
  assert.equal(disk.write(32, 0.4), 0);
  assert.equal(disk.write(1000, 0.2), 1000);
});

test("waking threads may make a write look slow: it is tried in place all the same", () => {
  const disk = new Disk();
  assert.equal(disk.write(32, 1.2), 0);
  assert.equal(disk.write(100, 0.2), 100);
});

const GROUP_BYTES = 40 * 1024;

test("larger groups are while all callers wait for them", () => {
  const disk = new Disk();
  disk.write(32, 0.2);
  assert.equal(disk.pace.isInPlace(4096), true);
  assert.equal(disk.pace.isInPlace(4097), false);
  assert.equal(disk.write(100, 0.2, GROUP_BYTES), 0, "something comes in meanwhile");
  disk.isQuiet = true;
  assert.equal(disk.write(8, 0.2, GROUP_BYTES), 0);
  assert.equal(disk.write(20, 0.2, GROUP_BYTES), 20);
  assert.equal(disk.pace.isInPlace(64 * 1024), true);
  assert.equal(disk.pace.isInPlace(64 * 1024 + 1), false);
});

test("now and then one is left to another thread, to see whether something comes in", () => {
  const disk = new Disk();
  disk.isQuiet = true;
  disk.write(40, 0.2, GROUP_BYTES);
  assert.equal(disk.write(33 * 10, 0.2, GROUP_BYTES), 32 * 10);
  disk.isQuiet = false;
  assert.ok(disk.write(33, 0.2, GROUP_BYTES) <= 32);
  assert.equal(disk.write(100, 0.2, GROUP_BYTES), 0);
  assert.equal(disk.write(100, 0.2), 100, "small ones as before");
});

test("what another thread writes meanwhile says nothing of what a write in place takes", () => {
  const disk = new Disk();
  disk.write(40, 0.2);
  assert.equal(disk.write(100, 3, GROUP_BYTES), 0);
  assert.equal(disk.write(100, 0.2), 100);
});

test("a disk that is slow with groups is not waited for, nor with small ones for a while", () => {
  const disk = new Disk();
  disk.isQuiet = true;
  disk.write(64, 0.2, GROUP_BYTES);
  assert.ok(disk.write(100, 2, GROUP_BYTES) < 20);
  assert.equal(disk.pace.isInPlace(SMALL_BYTES), false);
});

test("what is larger says nothing about the disk", () => {
  const disk = new Disk();
  disk.write(1000, 0.1, 65 * 1024);
  assert.equal(disk.pace.isInPlace(SMALL_BYTES), false);
  disk.write(32, 0.1);
  disk.write(1000, 30, 1_000_000);
  assert.equal(disk.pace.isInPlace(SMALL_BYTES), true);
});

test("one outlier changes nothing, several do", () => {
  const disk = new Disk();
  disk.write(64, 0.1);
  assert.equal(disk.write(1, 2), 1);
  assert.equal(disk.write(50, 0.1), 50);
  disk.write(4, 2);
  assert.equal(disk.pace.isInPlace(SMALL_BYTES), false);
  assert.equal(disk.write(32, 0.1), 0, "for a while");
  assert.equal(disk.write(50, 0.1), 50);
});

test("a disk a little above the limit is waited for in place in few writes, and a slow one in none", () => {
  assert.ok(new Disk().write(1000, 0.75) < 1000 / 3);
  assert.equal(new Disk().write(1000, 3), 0);
});

test("a disk that stood still is left to other threads for ten seconds", () => {
  const disk = new Disk();
  disk.write(64, 0.1);
  assert.equal(disk.write(1, 60), 1);
  const stalledAtMs = disk.nowMs;
  const untilInPlace = (): number => {
    while (disk.write(1, 0.1) === 0);
    return disk.nowMs - stalledAtMs;
  };
  const waitedMs = untilInPlace();
  assert.ok(waitedMs >= 10_000 && waitedMs < 10_010, `${waitedMs} ms`);
});

test("a stall that another thread has met counts, too", () => {
  const disk = new Disk();
  disk.write(10, 0.1);
  disk.write(1, 60);
  assert.equal(disk.write(1000, 0.1), 0);
});

test("a limit of 0 is never", () => {
  assert.equal(new Disk(0).write(1000, 0), 0);
});
