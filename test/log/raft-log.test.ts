/** What Raft needs of the log beside entries: terms, memberships, the base, resets, and whose log it is. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isHearthError, SILENT_LOGGER } from "../../src/base/index.ts";
import { DurableLog, formatLogRecord, inspectLog } from "../../src/log/index.ts";
import { BATCH_KIND } from "../../src/raft/index.ts";
import { batchOf, LogUnderTest, SMALL_LOG } from "./support/log-harness.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

async function reopen(disk: MemoryDisk, under: LogUnderTest): Promise<LogUnderTest> {
  await under.log.close();
  return LogUnderTest.open(disk);
}

test("a membership is a frame of its own and is read back as one", async () => {
  const disk = new MemoryDisk();
  let under = await LogUnderTest.open(disk);
  const { membership } = BATCH_KIND;
  under.log.append(batchOf(1, 2));
  under.log.append(batchOf(3, 1, { kind: membership }));
  under.log.append(batchOf(4, 1, { kind: membership }));
  await under.append(1);
  assert.equal(under.log.stats.frames, 4);
  assert.throws(() => under.log.append(batchOf(6, 2, { kind: membership })), /one entry/);
  under = await reopen(disk, under);
  assert.deepEqual(
    (await under.log.read(1, 4096)).map(({ kind, firstIndex, count }) => [kind, firstIndex, count]),
    [
      [1, 1, 2],
      [2, 3, 1],
      [2, 4, 1],
      [1, 5, 1],
    ],
  );
  assert.deepEqual(
    under.log.memberships.map(({ index }) => index),
    [3, 4],
  );
  assert.deepEqual(under.log.memberships[0]?.body, batchOf(3, 1).body);
  await under.log.close();
});

test("terms and memberships of many segments are known at a start, after cuts and without the prefix", async () => {
  const disk = new MemoryDisk();
  let under = await LogUnderTest.open(disk);
  for (let i = 1; i <= 200; i++) {
    const kind = i % 40 === 7 ? BATCH_KIND.membership : BATCH_KIND.entries;
    await under.append(1, { payloadBytes: 1000, term: 1 + Math.floor(i / 90), kind });
  }
  await under.replaceFrom({ fromIndex: 150, previousTerm: 2 }, 2, { term: 9 });
  const expect = (indexes: number[], terms: number[][]): void => {
    assert.deepEqual(
      under.log.memberships.map(({ index }) => index),
      indexes,
    );
    assert.deepEqual(
      under.log.terms.map(({ firstIndex, term }) => [firstIndex, term]),
      terms,
    );
  };
  const spans = [
    [1, 1],
    [90, 2],
    [150, 9],
  ];
  expect([7, 47, 87, 127], spans);
  under = await reopen(disk, under);
  expect([7, 47, 87, 127], spans);
  under.log.truncatePrefix(100);
  const { firstIndex } = under.log;
  assert.ok(firstIndex > 60 && firstIndex <= 101);
  assert.equal(under.log.baseTerm, firstIndex > 90 ? 2 : 1);
  const left = [[firstIndex, firstIndex >= 90 ? 2 : 1], ...spans.slice(firstIndex >= 90 ? 2 : 1)];
  const indexes = [7, 47, 87, 127].filter((index) => index >= firstIndex);
  expect(indexes, left);
  under = await reopen(disk, under);
  expect(indexes, left);
  await under.log.close();
});

test("after a reset the log begins behind the snapshot, with its term, and keeps the hard state", async () => {
  for (const index of [3, 50]) {
    const disk = new MemoryDisk();
    let under = await LogUnderTest.open(disk);
    await under.setHardState(4, "node-b", true);
    await under.append(10, { term: 2, kind: BATCH_KIND.entries });
    await under.append(1, { term: 3, kind: BATCH_KIND.membership });
    const reset = under.resetTo(index, 4, 7777);
    assert.deepEqual(
      [under.log.firstIndex, under.log.lastIndex, under.log.baseTerm, under.log.lastTerm],
      [index + 1, index, 4, 4],
    );
    assert.deepEqual([under.log.terms, under.log.memberships], [[], []]);
    assert.deepEqual(await under.log.read(index + 1, 100), [], "nothing of the old log");
    await reset;
    await under.append(2, { term: 4, tag: 5 });
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(under.log.hardState, { term: 4, vote: "node-b", abstains: true });
      assert.deepEqual([under.log.firstIndex, under.log.baseTerm], [index + 1, 4]);
      assert.deepEqual(under.log.terms, [{ firstIndex: index + 1, term: 4 }]);
      assert.equal(under.log.lastAppendedAtMs, 7777);
      assert.deepEqual(
        (await under.entries()).map(({ value }) => value),
        [(index + 1) * 1000 + 5, (index + 2) * 1000 + 5],
      );
      under = await reopen(disk, under);
    }
    assert.ok(!disk.files.has("0000000001.log"), "the old segment is gone");
    const lines: string[] = [];
    await inspectLog("/log", (record) => lines.push(formatLogRecord(record)), disk);
    assert.match(lines[0] ?? "", /from index \d+ \(term 4 before it\), .*ABSTAINS, .*snapshot/);
    await under.log.close();
  }
});

test("nothing is removed before the segment that takes over is durable", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 0; i < 28; i++) await under.append(1, { payloadBytes: 1000 });
  const { lastIndex } = under.log;
  disk.fault = (_, name) => (name === "0000000002.log" ? "hold" : "none");
  for (let i = 0; i < 5; i++)
    under.log.append(batchOf(under.log.lastIndex + 1, 1, { payloadBytes: 1000 }));
  under.log.flush();
  assert.equal(disk.held.length, 1, "the first group of segment 2 is under way");
  under.log.truncatePrefix(lastIndex);
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(disk.files.has("0000000001.log"), "a crash now needs it, for its hard state at least");
  disk.fault = () => "none";
  disk.held.shift()?.();
  await under.log.close();
  assert.ok(!disk.files.has("0000000001.log"));
});

test("what is being replaced is not read, whatever is under way", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.append(10, { tag: 1 });
  disk.fault = (_, name) => (name === "0000000001.log" ? "hold" : "none");
  under.log.truncateSuffix({ fromIndex: 6, previousTerm: 1 });
  under.log.append(batchOf(6, 5, { term: 2, tag: 2 }));
  assert.equal(under.log.durableIndex, 5);
  under.log.flush();
  assert.deepEqual(await under.log.read(6, 4096), []);
  assert.equal((await under.log.read(1, 4096)).at(-1)?.count, 5);
  disk.fault = () => "none";
  disk.held.shift()?.();
  assert.deepEqual(
    (await under.entries(6)).map(({ value }) => value),
    [6002, 7002, 8002, 9002, 10002],
  );
  await under.log.close();
});

test("a commit index never travels ahead of the entries that made it so", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.append(10, { tag: 1 });
  disk.fault = (_, name) => (name === "0000000001.log" ? "hold" : "none");
  under.log.setHardState({ term: 2, vote: "", abstains: false });
  under.log.truncateSuffix({ fromIndex: 6, previousTerm: 1 });
  under.log.append(batchOf(6, 5, { term: 2, tag: 2 }));
  under.log.commitIndex = 10;
  under.log.flush();
  disk.fault = () => "none";
  const crashed = new MemoryDisk(disk.files);
  disk.held.shift()?.();
  crashed.files.set("0000000001.log", (disk.files.get("0000000001.log") as Uint8Array).slice());
  const after = await LogUnderTest.open(crashed);
  assert.equal(after.log.hardState.term, 2, "the hard state went first");
  assert.equal((await after.entries(6))[0]?.value, 6001, "the cut was not durable");
  assert.equal(after.log.commitIndex, 0, "entries that were given up are not committed");
});

test("a log of another node or cluster is refused by name", async () => {
  const disk = new MemoryDisk();
  const owner = { clusterId: "c1", nodeId: "a" };
  const under = await LogUnderTest.open(disk, { ...SMALL_LOG, owner });
  await under.append(1);
  await under.log.close();
  for (const [other, name] of [
    [{ clusterId: "c1", nodeId: "b" }, /"a" of cluster "c1", this is node "b"/],
    [{ clusterId: "c2", nodeId: "a" }, /this is node "a" of cluster "c2"/],
  ] as const) {
    await assert.rejects(
      LogUnderTest.open(new MemoryDisk(disk.files), { ...SMALL_LOG, owner: other }),
      (error) =>
        isHearthError(error) && error.reason === "log_wrong_owner" && name.test(error.message),
    );
  }
  for (const same of [owner, { clusterId: "", nodeId: "a" }]) {
    const again = await LogUnderTest.open(new MemoryDisk(disk.files), {
      ...SMALL_LOG,
      owner: same,
    });
    await again.log.close();
  }
});

test("segments from before a recovery are the owner's own when it names the former cluster", async () => {
  const disk = new MemoryDisk();
  const before = { clusterId: "c1", nodeId: "a" };
  const under = await LogUnderTest.open(disk, { ...SMALL_LOG, owner: before });
  await under.append(3);
  await under.log.close();
  const now = { ...SMALL_LOG, owner: { clusterId: "c2", nodeId: "a" } };
  const named = { ...now, formerClusterIds: ["c0", "c1"] };
  const again = await LogUnderTest.open(new MemoryDisk(disk.files), named);
  assert.equal(again.log.lastIndex, 3);
  await again.log.close();
  for (const options of [
    now,
    { ...now, formerClusterIds: ["c3"] },
    { ...named, owner: { clusterId: "c2", nodeId: "b" } },
  ]) {
    await assert.rejects(
      LogUnderTest.open(new MemoryDisk(disk.files), options),
      (error) => isHearthError(error) && error.reason === "log_wrong_owner",
    );
  }
});

test("a directory that cannot be used is named before anything is promised", async () => {
  const full = new MemoryDisk();
  full.fault = () => "error";
  const blocked = new MemoryDisk();
  blocked.list = () => Promise.reject(new Error("EACCES: permission denied"));
  for (const disk of [full, blocked]) {
    await assert.rejects(
      LogUnderTest.open(disk),
      (error) =>
        isHearthError(error) &&
        error.reason === "log_directory_unusable" &&
        error.message.includes('"/log"'),
    );
    assert.equal(disk.openFiles, 0);
  }
});

test("turns, timers and the log id come from outside", async () => {
  const disk = new MemoryDisk();
  disk.fault = (_, name) => (name === "0000000002.log" ? "error" : "none");
  const later: (() => void)[] = [];
  const scheduler = {
    monotonicMs: () => 42,
    defer: (task: () => void) => void setImmediate(task),
    after: (_: number, task: () => void) => {
      later.push(task);
      return () => {};
    },
  };
  const makeLogId = (): Uint8Array => new Uint8Array(8).fill(9);
  const log = await DurableLog.open(SMALL_LOG, {
    files: disk,
    logger: SILENT_LOGGER,
    scheduler,
    makeLogId,
  });
  log.append(batchOf(1, 1));
  log.flush();
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual((disk.files.get("0000000001.log") as Uint8Array).slice(16, 24), makeLogId());
  assert.equal(later.length, 1, "another attempt at the next segment is asked for");
  await log.close();
});
