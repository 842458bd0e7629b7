import assert from "node:assert/strict";
import { test } from "node:test";
import { isHearthError, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import { batchOf, LogUnderTest, SMALL_LOG } from "./support/log-harness.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

async function reopen(disk: MemoryDisk, under: LogUnderTest): Promise<LogUnderTest> {
  await under.log.close();
  return LogUnderTest.open(disk);
}

/** Closes the log, and demands that all of its entries are there after a start. */
async function assertKept(disk: MemoryDisk, under: LogUnderTest): Promise<void> {
  const { lastIndex } = under.log;
  const again = await reopen(disk, under);
  assert.equal((await again.entries()).length, lastIndex);
  await again.log.close();
}

function isLogWriteFailed(error: unknown): boolean {
  return isHearthError(error) && error.reason === "log_write_failed";
}

test("a new log is empty and begins at index 1", async () => {
  const { log } = await LogUnderTest.open(new MemoryDisk());
  assert.equal(log.firstIndex, 1);
  assert.equal(log.lastIndex, 0);
  assert.equal(log.lastTerm, 0);
  assert.deepEqual(log.hardState, { term: 0, vote: "", abstains: false });
  await log.close();
});

test("entries and hard state are there after a restart", async () => {
  const disk = new MemoryDisk();
  let under = await LogUnderTest.open(disk);
  await under.setHardState(3, "node-a");
  await under.append(2, { term: 3, appendedAtMs: 1111 });
  await under.append(1, { term: 3, appendedAtMs: 2222, tag: 7 });
  under = await reopen(disk, under);
  assert.deepEqual(under.log.hardState, { term: 3, vote: "node-a", abstains: false });
  assert.equal(under.log.lastIndex, 3);
  assert.equal(under.log.lastTerm, 3);
  assert.equal(under.log.lastAppendedAtMs, 2222);
  assert.deepEqual(await under.entries(), [
    { index: 1, term: 3, appendedAtMs: 1111, kind: 1, value: 1000 },
    { index: 2, term: 3, appendedAtMs: 1111, kind: 1, value: 2000 },
    { index: 3, term: 3, appendedAtMs: 2222, kind: 1, value: 3007 },
  ]);
  await under.log.close();
});

test("everything that waits while the disk is busy goes in one write", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  const before = under.log.stats.writes;
  const first = under.append(1);
  const rest: Promise<void>[] = [];
  for (let i = 0; i < 50; i++) rest.push(under.append(1));
  await Promise.all([first, ...rest]);
  assert.equal(under.log.stats.writes - before, 2);
  assert.equal(under.log.stats.frames, 2, "appends of one term and time form one frame");
  assert.equal((await under.entries()).length, 51);
  await under.log.close();
});

test("entries of another term or another time begin a new frame", async () => {
  const under = await LogUnderTest.open(new MemoryDisk());
  under.log.append(batchOf(1, 1, { term: 1, appendedAtMs: 10 }));
  under.log.append(batchOf(2, 1, { term: 1, appendedAtMs: 11 }));
  await under.append(1, { term: 2, appendedAtMs: 11 });
  assert.equal(under.log.stats.frames, 3);
  assert.equal(under.log.stats.writes, 1);
  await under.log.close();
});

test("what does not fit into one group waits for the next, in order", async () => {
  const disk = new MemoryDisk();
  let under = await LogUnderTest.open(disk);
  const writes: Promise<void>[] = [];
  for (let i = 0; i < 30; i++) writes.push(under.append(1, { payloadBytes: 1000 }));
  const hardState = under.setHardState(9, "x");
  for (let i = 0; i < 3; i++) writes.push(under.append(1, { term: 9 }));
  await Promise.all([...writes, hardState]);
  assert.ok(
    under.log.stats.writes >= 4,
    `30 KB in groups of 8 KiB took ${under.log.stats.writes} writes`,
  );
  under = await reopen(disk, under);
  assert.deepEqual(
    (await under.entries()).map((entry) => entry.value),
    Array.from({ length: 33 }, (_, i) => (i + 1) * 1000),
  );
  assert.equal(under.log.hardState.term, 9);
  await under.log.close();
});

test("the log rolls over many segments and reads across them from any index", async () => {
  const disk = new MemoryDisk();
  let under = await LogUnderTest.open(disk);
  for (let i = 0; i < 300; i++)
    await under.append(1 + (i % 3), { payloadBytes: 100 + (i % 7) * 50, term: 1 + (i >> 6) });
  const lastIndex = under.log.lastIndex;
  assert.ok(disk.files.size > 4, `${disk.files.size} files`);
  const whole = await under.entries();
  assert.equal(whole.length, lastIndex);
  under = await reopen(disk, under);
  assert.deepEqual(await under.entries(), whole);
  for (const from of [2, 5, 100, 101, 333, lastIndex]) {
    assert.deepEqual(await under.entries(from, 700), whole.slice(from - 1), `from ${from}`);
  }
  await under.log.close();
});

test("a restart reads the newest segment and only the headers of the others", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 0; i < 200; i++) await under.append(1, { payloadBytes: 1000 });
  await under.log.close();
  const reads = new Map<string, number>();
  const open = disk.open.bind(disk);
  disk.open = async (path, mode) => {
    const file = await open(path, mode);
    const read = file.read.bind(file);
    file.read = (target, position) => {
      reads.set(path, (reads.get(path) ?? 0) + target.length);
      return read(target, position);
    };
    return file;
  };
  const again = await LogUnderTest.open(disk);
  const whole = [...reads.values()].filter((bytes) => bytes > 512).length;
  assert.ok(reads.size >= 6);
  // In the first segment the term changes, from none to 1.
  assert.ok(
    whole <= 3,
    `${whole} of ${reads.size} files were read as a whole: first, newest and spare`,
  );
  await again.log.close();
});

test("durable sequence numbers cover exactly what a write carried", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  disk.fault = () => "hold";
  const first = under.log.append(batchOf(1, 1));
  under.log.flush();
  const second = under.log.append(batchOf(2, 1));
  under.log.flush();
  assert.equal(disk.held.length, 1, "one write in flight");
  disk.held.shift()?.();
  assert.equal(under.durableSequence, first);
  assert.equal(under.log.durableIndex, 1);
  assert.equal(under.log.lastIndex, 2);
  assert.equal(disk.held.length, 1, "the next write has begun");
  disk.held.shift()?.();
  assert.equal(under.durableSequence, second);
  disk.fault = () => "none";
  await under.log.close();
});

/** A log whose disk takes a second write, and holds what it is asked for. */
async function openQueuing(disk: MemoryDisk): Promise<LogUnderTest> {
  disk.queuesWrites = true;
  const under = await LogUnderTest.open(disk, { ...SMALL_LOG, queueMinBytes: 1000 });
  await under.append(1);
  disk.fault = () => "hold";
  return under;
}

/** Appends that many entries of 500 bytes, and flushes. Returns the write sequence number. */
function hand(under: LogUnderTest, count: number): number {
  const batch = batchOf(under.log.lastIndex + 1, count, { payloadBytes: 500 });
  const sequence = under.log.append(batch);
  under.log.flush();
  return sequence;
}

/** Writes to the first segment; zeros go to the next one. */
function writesOf(disk: MemoryDisk): number {
  return disk.operations.filter((one) => one.kind === "write" && one.name === "0000000001.log")
    .length;
}

test("a large group is at hand when the write before it ends, and begins then", async () => {
  const disk = new MemoryDisk();
  const under = await openQueuing(disk);
  const { log } = under;
  const before = writesOf(disk);
  const first = hand(under, 4);
  const second = hand(under, 2);
  assert.equal(log.stats.writesQueued, 1);
  const third = hand(under, 4);
  assert.equal(log.stats.writesQueued, 1, "one is at hand, not two");
  assert.equal(writesOf(disk) - before, 1, "the disk has one write in the works");
  disk.held.shift()?.();
  assert.equal(under.durableSequence, first);
  assert.equal(log.durableIndex, 5);
  assert.equal(log.lastIndex, 11);
  assert.equal(writesOf(disk) - before, 2);
  disk.held.shift()?.();
  assert.equal(under.durableSequence, second);
  assert.equal(log.durableIndex, 7);
  disk.fault = () => "none";
  disk.held.shift()?.();
  assert.equal(under.durableSequence, third);
  const again = await reopen(disk, under);
  assert.equal((await again.entries()).length, 11);
  await again.log.close();
});

test("small groups, and what begins anew, wait until the disk has nothing to do", async () => {
  const disk = new MemoryDisk();
  const under = await openQueuing(disk);
  const { log } = under;
  hand(under, 10);
  hand(under, 4);
  assert.equal(log.stats.writesQueued, 0, "less than half of what is under way");
  hand(under, 2);
  assert.equal(log.stats.writesQueued, 1);
  disk.held.shift()?.();
  disk.held.shift()?.();
  hand(under, 1);
  hand(under, 1);
  assert.equal(log.stats.writesQueued, 1, "less than the least");
  disk.held.shift()?.();
  disk.held.shift()?.();
  hand(under, 4);
  log.truncateSuffix({ fromIndex: log.lastIndex - 1, previousTerm: 1 });
  hand(under, 6);
  assert.equal(log.stats.writesQueued, 1, "a cut");
  disk.fault = () => "none";
  disk.held.shift()?.();
  await assertKept(disk, under);
});

test("a group for the next segment waits until the disk has nothing to do", async () => {
  const disk = new MemoryDisk();
  const under = await openQueuing(disk);
  const { log } = under;
  disk.fault = () => "none";
  const rounds = 60;
  for (let i = 0; i < rounds; i++) {
    hand(under, 2);
    await under.durable(hand(under, 5));
  }
  const { rolls, writesQueued } = log.stats;
  assert.ok(rolls >= 8, `${rolls}`);
  assert.ok(writesQueued < rounds && writesQueued >= rounds - rolls, `${writesQueued}`);
  await assertKept(disk, under);
});

test("what is at hand behind a failed write fails with it", async () => {
  const disk = new MemoryDisk();
  const under = await openQueuing(disk);
  const { log } = under;
  const before = writesOf(disk);
  disk.fault = () => "error";
  const failed = under.durable(log.append(batchOf(2, 4, { payloadBytes: 500 })));
  const behind = under.durable(log.append(batchOf(6, 4, { payloadBytes: 500 })));
  assert.equal(log.stats.writesQueued, 1);
  await assert.rejects(failed, isLogWriteFailed);
  await assert.rejects(behind, isLogWriteFailed);
  assert.equal(writesOf(disk) - before, 1);
  assert.equal(log.durableIndex, 1);
  await log.close();
});

/** A log whose disk has shown that it is quick: time stands still while it writes. */
async function openQuick(disk: MemoryDisk): Promise<LogUnderTest> {
  const scheduler = { ...SYSTEM_SCHEDULER, monotonicMs: () => 0 };
  const under = await LogUnderTest.open(disk, { ...SMALL_LOG, inPlaceMaxMs: 0.5 }, scheduler);
  while (under.log.stats.writesInPlace === 0) await under.append(1);
  return under;
}

test("small writes on a quick disk are durable when the flush returns", async () => {
  const disk = new MemoryDisk();
  const under = await openQuick(disk);
  const { log } = under;
  for (let i = 0; i < 100; i++) {
    const sequence = log.append(batchOf(log.lastIndex + 1, 2, { payloadBytes: 300 }));
    assert.ok(under.durableSequence < sequence);
    log.flush();
    // The segment may be full, and the next one not ready.
    if (under.durableSequence < sequence) await under.durable(sequence);
    assert.equal(log.durableIndex, log.lastIndex);
    assert.ok(log.isIdle);
  }
  assert.ok(log.stats.writesInPlace > 80, `${log.stats.writesInPlace}`);
  const large = log.append(batchOf(log.lastIndex + 1, 1, { payloadBytes: 5000 }));
  log.flush();
  assert.ok(under.durableSequence < large, "a large one is on its way");
  const behind = log.append(batchOf(log.lastIndex + 1, 1));
  log.flush();
  assert.equal(under.durableSequence, large - 1, "there is never more than one write");
  await under.durable(behind);
  await assertKept(disk, under);
});

test("short writes and errors in place are what they are elsewhere", async () => {
  const disk = new MemoryDisk();
  const under = await openQuick(disk);
  disk.fault = () => "short";
  const sequence = under.log.append(batchOf(under.log.lastIndex + 1, 1));
  under.log.flush();
  assert.ok(under.durableSequence < sequence, "the rest of it follows later");
  disk.fault = () => "none";
  await under.durable(sequence);
  disk.fault = () => "error";
  const failed = under.append(1);
  assert.equal(under.failure, null, "told later: not within the flush");
  await assert.rejects(failed, isLogWriteFailed);
  assert.equal(under.log.durableIndex, under.log.lastIndex - 1);
  await under.log.close();
});

test("short writes are continued until everything is on the disk", async () => {
  const disk = new MemoryDisk();
  let under = await LogUnderTest.open(disk);
  let writes = 0;
  disk.fault = () => (writes++ % 3 === 2 ? "none" : "short");
  for (let i = 0; i < 40; i++) await under.append(2, { payloadBytes: 300 });
  disk.fault = () => "none";
  under = await reopen(disk, under);
  assert.equal((await under.entries()).length, 80);
  await under.log.close();
});

test("a failed write is final: nothing later is acknowledged and the owner is told once", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.append(1);
  disk.fault = () => "error";
  const failed = under.append(1);
  const waiting = under.append(1);
  await assert.rejects(failed, isLogWriteFailed);
  await assert.rejects(waiting);
  disk.fault = () => "none";
  assert.equal(under.log.durableIndex, 1);
  assert.ok(under.log.failure !== null);
  assert.throws(() => under.log.append(batchOf(4, 1)), /The log has failed/);
  const operations = disk.operations.length;
  under.log.flush();
  await under.log.close();
  const later = disk.operations.slice(operations).filter((operation) => operation.kind === "write");
  assert.equal(later.length, 0, "a failed log is not written again");
});

test("without room for another segment the log says so early and goes on when there is room again", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.append(1);
  disk.fault = (_, name) => (name === "0000000001.log" ? "none" : "error");
  while (under.log.spaceError === null) await under.append(1, { payloadBytes: 1000 });
  const { lastIndex } = under.log;
  await under.append(1, { payloadBytes: 1000 });
  assert.equal(under.log.durableIndex, lastIndex + 1, "the reserve still takes what was under way");
  disk.fault = () => "none";
  const many: Promise<void>[] = [];
  for (let i = 0; i < 30; i++) many.push(under.append(1, { payloadBytes: 1000 }));
  await Promise.all(many);
  assert.equal(under.log.spaceError, null);
  assert.ok(under.log.stats.stalls >= 1);
  await under.log.close();
});

test("a suffix is replaced inside a segment, in the middle of a frame, and below the segment", async () => {
  const disk = new MemoryDisk();
  let under = await LogUnderTest.open(disk);
  await under.append(10, { term: 1 });
  await under.append(5, { term: 1 });
  await under.replaceFrom({ fromIndex: 8, previousTerm: 1 }, 4, { term: 2, tag: 2 });
  const inside = await under.entries();
  assert.equal(inside.length, 11);
  assert.deepEqual(
    inside.slice(6, 8).map((entry) => [entry.term, entry.value]),
    [
      [1, 7000],
      [2, 8002],
    ],
  );

  for (let i = 0; i < 120; i++) await under.append(1, { term: 2, payloadBytes: 1000, tag: 2 });
  const filesBefore = [...disk.files.keys()];
  await under.replaceFrom({ fromIndex: 20, previousTerm: 2 }, 2, { term: 5, tag: 5 });
  assert.equal(under.log.lastIndex, 21);
  under = await reopen(disk, under);
  assert.equal(under.log.lastIndex, 21);
  assert.equal(under.log.lastTerm, 5);
  const after = await under.entries();
  assert.deepEqual(
    after.slice(-3).map((entry) => [entry.index, entry.term, entry.value]),
    [
      [19, 2, 19002],
      [20, 5, 20005],
      [21, 5, 21005],
    ],
  );
  assert.ok(
    filesBefore.some((name) => !disk.files.has(name)),
    "replaced segments are removed",
  );
  await under.append(1, { term: 5 });
  await under.log.close();
});

test("committed entries cannot be replaced", async () => {
  const under = await LogUnderTest.open(new MemoryDisk());
  await under.append(5);
  under.log.commitIndex = 4;
  assert.throws(() => under.log.truncateSuffix({ fromIndex: 4, previousTerm: 1 }), /committed/);
  under.log.truncateSuffix({ fromIndex: 5, previousTerm: 1 });
  await under.log.close();
});

test("a prefix goes in whole segments, and reads below it are refused", async () => {
  const disk = new MemoryDisk();
  let under = await LogUnderTest.open(disk);
  for (let i = 0; i < 150; i++) await under.append(1, { payloadBytes: 1000 });
  const files = disk.files.size;
  under.log.truncatePrefix(100);
  const first = under.log.firstIndex;
  assert.ok(first > 60 && first <= 101, `first index ${first}`);
  await assert.rejects(
    under.log.read(first - 1, 100),
    (error) => isHearthError(error) && error.reason === "log_compacted",
  );
  assert.equal((await under.entries(first)).length, 150 - first + 1);
  under = await reopen(disk, under);
  assert.ok(disk.files.size < files);
  assert.equal(under.log.firstIndex, first);
  assert.equal((await under.entries()).length, 150 - first + 1);
  await under.log.close();
});

test("a clean stop marks the end as durable and closes every file", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.append(3);
  const writes = under.log.stats.writes;
  await under.log.close();
  assert.equal(under.log.stats.writes, writes + 1, "one hard state behind the last entries");
  assert.equal(disk.openFiles, 0);
  const again = await LogUnderTest.open(disk);
  await again.log.close();
  assert.equal(again.log.stats.writes, 0, "nothing new, nothing to mark");
});

test("one durable write per group, and none besides it once the segments are prepared", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk, { ...SMALL_LOG, segmentBytes: 1024 * 1024 });
  await under.append(1);
  await new Promise((resolve) => setImmediate(resolve));
  const before = disk.operations.length;
  const { syncs } = disk;
  for (let i = 0; i < 10; i++) await under.append(1);
  const names = disk.operations
    .slice(before)
    .flatMap((operation) => (operation.kind === "write" ? [operation.name] : []));
  const logWrites = names.filter((name) => name === "0000000001.log").length;
  assert.equal(logWrites, 10);
  assert.ok(
    disk.syncs - syncs <= 11,
    `${disk.syncs - syncs} durable writes, at most one for the next segment`,
  );
  await under.log.close();
});
