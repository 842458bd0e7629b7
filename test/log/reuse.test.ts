/** Files of segments that are not needed any more become the next ones. What they held must never come back. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isHearthError, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import { type FileSystem, type LogOptions, NODE_FILES } from "../../src/log/index.ts";
import { untilTrue } from "../support/until.ts";
import { LogUnderTest, SMALL_LOG } from "./support/log-harness.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

const FREE = /^free-\d{10}\.bin$/;
const KEPT = 3;
const OPTIONS: LogOptions = { ...SMALL_LOG, reuseMaxBytes: KEPT * SMALL_LOG.segmentBytes };

function freeFiles(disk: MemoryDisk): string[] {
  return [...disk.files.keys()].filter((name) => FREE.test(name)).sort();
}

/** Appends until so many more segments have been begun. */
async function roll(under: LogUnderTest, times: number): Promise<void> {
  const { log } = under;
  const until = log.stats.rolls + times;
  while (log.stats.rolls < until) await under.append(1, { payloadBytes: 1000 });
}

async function rolled(disk: MemoryDisk, times: number, options = OPTIONS): Promise<LogUnderTest> {
  const under = await LogUnderTest.open(disk, options);
  await roll(under, times);
  return under;
}

/** Cuts everything that is durable, and waits for the files. */
async function cut(disk: MemoryDisk, { log }: LogUnderTest): Promise<void> {
  log.truncatePrefix(log.durableIndex);
  const isDone = (): boolean =>
    [...disk.files.keys()].filter((name) => name.endsWith(".log")).length <= 2;
  await untilTrue(isDone);
}

test("a log that is cut goes on in the files it has, and writes no more zeros", async () => {
  const disk = new MemoryDisk();
  const under = await rolled(disk, 3);
  await cut(disk, under);
  assert.equal(freeFiles(disk).length, 2);
  // The next segment had been begun before.
  await roll(under, 1);
  disk.operations.length = 0;
  for (let round = 0; round < 10; round++) {
    await roll(under, 1);
    await cut(disk, under);
  }
  const creates = disk.operations.filter(({ kind }) => kind === "create");
  const zeros = disk.operations.filter(
    (one) => one.kind === "write" && one.bytes.every((byte) => byte === 0),
  );
  assert.deepEqual([creates.length, zeros.length], [0, 0]);
  assert.ok(under.log.stats.reuses >= 9, `${under.log.stats.reuses} of ${under.log.stats.rolls}`);
  const entries = await under.entries();
  assert.ok(entries.every(({ index, value }) => value === index * 1000));
  const { firstIndex, lastIndex } = under.log;
  await under.log.close();
  const again = await LogUnderTest.open(disk, OPTIONS);
  assert.deepEqual([again.log.firstIndex, again.log.lastIndex], [firstIndex, lastIndex]);
  assert.deepEqual(await again.entries(), entries);
  await again.log.close();
});

test("no more files are kept than the bound allows, and none without one", async () => {
  for (const [options, kept] of [
    [OPTIONS, KEPT],
    [{ ...OPTIONS, reuseMaxBytes: KEPT * SMALL_LOG.segmentBytes - 1 }, KEPT - 1],
    [SMALL_LOG, 0],
  ] as const) {
    const disk = new MemoryDisk();
    const under = await rolled(disk, 9, options);
    await cut(disk, under);
    assert.equal(freeFiles(disk).length, kept);
    await under.log.close();
  }
});

test("on a disk that runs out of room files are not kept, and those that are there are given back", async () => {
  const disk = new MemoryDisk();
  let hasRoom = true;
  const under = await LogUnderTest.open(disk, OPTIONS, SYSTEM_SCHEDULER, () => hasRoom);
  await roll(under, 5);
  await cut(disk, under);
  assert.ok(freeFiles(disk).length > 0);
  hasRoom = false;
  await under.append(1);
  await untilTrue(() => freeFiles(disk).length === 0);
  await roll(under, 5);
  await cut(disk, under);
  assert.deepEqual(freeFiles(disk), []);
  await under.log.close();
});

test("a start keeps the files that fit, and removes the others", async () => {
  const disk = new MemoryDisk();
  const under = await rolled(disk, 9);
  await cut(disk, under);
  await under.log.close();
  const [first, second, third] = freeFiles(disk) as [string, string, string];
  const highest = Math.max(...[...disk.files.keys()].map((name) => Number.parseInt(name, 10) || 0));
  const tooNew = `free-${String(highest + 1).padStart(10, "0")}.bin`;
  const bytes = disk.files.get(first) as Uint8Array;
  disk.files.set(second, bytes.slice(0, 4096));
  disk.files.set(tooNew, bytes.slice());
  const again = await LogUnderTest.open(disk, OPTIONS);
  assert.deepEqual(freeFiles(disk), [first, third]);
  await roll(again, 3);
  assert.equal(again.log.stats.reuses, 2);
  await again.log.close();
  const smaller = { ...OPTIONS, reuseMaxBytes: 0 };
  const none = await LogUnderTest.open(disk, smaller);
  assert.deepEqual(freeFiles(disk), []);
  await none.log.close();
});

test("a kept file that has lost its end is filled like a new one", async () => {
  const disk = new MemoryDisk();
  const under = await rolled(disk, 4);
  await cut(disk, under);
  for (const name of freeFiles(disk))
    disk.files.set(name, (disk.files.get(name) as Uint8Array).slice(0, 8192));
  await roll(under, 4);
  assert.equal(under.log.stats.reuses, 0);
  const { lastIndex } = under.log;
  await under.log.close();
  const again = await LogUnderTest.open(disk, OPTIONS);
  assert.equal(again.log.lastIndex, lastIndex);
  await again.log.close();
});

test("a disk that does not give a file its new name costs that file, not the log", async () => {
  const disk = new MemoryDisk();
  const under = await rolled(disk, 4);
  await cut(disk, under);
  const rename = disk.rename.bind(disk);
  let failures = 0;
  disk.rename = (from, to) => {
    if (!to.endsWith(".log")) return rename(from, to);
    failures += 1;
    return Promise.reject(new Error("EIO: i/o error"));
  };
  await roll(under, 4);
  assert.ok(failures > 0);
  assert.equal(under.failure, null);
  await under.log.close();
});

test("who reads a segment while its file becomes another one hears that it is gone, not that it is damaged", async () => {
  const directory = await mkdtemp(join(tmpdir(), "hearth-reuse-"));
  try {
    let gate: Promise<void> | null = null;
    const files: FileSystem = {
      ...NODE_FILES,
      open: async (path, mode) => {
        const file = await NODE_FILES.open(path, mode);
        if (mode === "read") {
          const read = file.read.bind(file);
          file.read = async (target, position) => {
            await gate;
            return read(target, position);
          };
        }
        return file;
      },
    };
    const under = await LogUnderTest.open(files, {
      ...OPTIONS,
      directory,
      damagePolicy: "abstain",
    });
    await roll(under, 2);
    let release = (): void => {};
    gate = new Promise((resolve) => {
      release = resolve;
    });
    const reading = under.log.read(1, 4096);
    await new Promise((resolve) => setTimeout(resolve, 20));
    under.log.truncatePrefix(under.log.durableIndex);
    const { reuses } = under.log.stats;
    while (under.log.stats.reuses === reuses) await under.append(1, { payloadBytes: 1000 });
    for (let i = 0; i < 5; i++) await under.append(1, { payloadBytes: 1000 });
    release();
    await assert.rejects(
      reading,
      (error) => isHearthError(error) && error.reason === "log_compacted",
    );
    assert.deepEqual(
      (await files.list(directory)).filter((name) => name === "suspect"),
      [],
    );
    await under.log.close();
  } finally {
    await rm(directory, { recursive: true });
  }
});
