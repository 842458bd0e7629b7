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
import { loseSectors } from "./support/segment-image.ts";

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
  disk.files.set(second, (disk.files.get(first) as Uint8Array).slice(0, 4096));
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

test("a file that was given away proves that a newer segment was durable: a lost one does not pass for an unfinished write", async () => {
  for (const keptFiles of [0, KEPT]) {
    const disk = new MemoryDisk();
    const options = { ...OPTIONS, reuseMaxBytes: keptFiles * SMALL_LOG.segmentBytes };
    const under = await rolled(disk, 2, options);
    await under.setHardState(4, "b");
    // Takes the place of all segments, by one group of one frame.
    await under.resetTo(under.log.lastIndex + 100, 4);
    const isSettled = (): boolean =>
      !disk.files.has("0000000002.log") && disk.files.has("0000000004.log");
    await untilTrue(isSettled);
    const newest = "0000000003.log";
    const tries: string[] = [];
    for (const sector of [0, 1])
      for (const damagePolicy of ["refuse", "abstain"] as const) {
        const files = new Map(disk.files);
        const bytes = (files.get(newest) as Uint8Array).slice();
        loseSectors(bytes, sector);
        files.set(newest, bytes);
        const again = new MemoryDisk(files);
        const opened = LogUnderTest.open(again, { ...options, damagePolicy });
        tries.push(
          await opened.then(
            ({ log }) => `open at ${log.lastIndex}, ${log.hardState.term}`,
            (error: unknown) => (isHearthError(error) ? error.reason : String(error)),
          ),
        );
      }
    assert.deepEqual(
      tries,
      keptFiles === 0
        ? // Without its frame the segment never took over, as far as anybody can tell: src/log/DESIGN.md, "Torn or damaged".
          ["log_segment_missing", "log_promises_lost", "open at 0, 0", "open at 0, 0"]
        : ["log_segment_missing", ...Array.from({ length: 3 }, () => "log_promises_lost")],
    );
    await under.log.close();
  }
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
