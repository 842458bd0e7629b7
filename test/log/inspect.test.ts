import assert from "node:assert/strict";
import { test } from "node:test";
import { formatLogRecord, inspectLog, type LogRecord } from "../../src/log/index.ts";
import { LogUnderTest, SMALL_LOG } from "./support/log-harness.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

async function inspect(disk: MemoryDisk): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  await inspectLog("/log", (record) => records.push(record), disk);
  return records;
}

test("inspection shows segments, frames, the end and the spare, and changes nothing", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.setHardState(2, "node-a");
  await under.append(3, { term: 2, appendedAtMs: 1_700_000_000_000 });
  await under.log.close();
  const before = disk.operations.length;
  const lines = (await inspect(disk)).map(formatLogRecord);
  assert.equal(disk.operations.length, before);
  assert.deepEqual(lines, [
    "0000000001.log  from index 1, term 0, vote for nobody, above segment 0",
    "  504  hard state: term 2, vote for node-a",
    "  600  entries 1-3, term 2, 168 bytes, appended 2023-11-14T22:13:20.000Z, commit 0",
    "  848  padding of 3104 bytes",
    "  4032  hard state: term 2, vote for node-a",
    "  4128  end of frames, last index 3",
    "0000000002.log  spare, 32768 bytes prepared",
  ]);
});

test("inspection shows files that wait to be reused", async () => {
  const disk = new MemoryDisk();
  const options = { ...SMALL_LOG, reuseMaxBytes: SMALL_LOG.segmentBytes };
  const under = await LogUnderTest.open(disk, options);
  while (under.log.stats.rolls < 3) await under.append(1, { payloadBytes: 1000 });
  under.log.truncatePrefix(under.log.durableIndex);
  await under.log.close();
  const lines = (await inspect(disk)).map(formatLogRecord);
  assert.equal(
    lines.at(-1),
    "free-0000000001.bin  former segment of 32768 bytes, to be written again",
  );
});

test("inspection names an unfinished write and damage", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.append(1, { payloadBytes: 2000 });
  await under.append(1, { payloadBytes: 2000 });
  const bytes = disk.files.get("0000000001.log") as Uint8Array;
  const torn = bytes.slice();
  torn.fill(0, 3072, 3584);
  disk.files.set("0000000001.log", torn);
  assert.ok(
    (await inspect(disk)).some((record) => record.kind === "torn" && record.offset === 2600),
  );
  const damaged = bytes.slice();
  damaged.fill(0, 1024, 1536);
  disk.files.set("0000000001.log", damaged);
  const problem = (await inspect(disk)).find((record) => record.kind === "problem");
  assert.match(problem?.kind === "problem" ? problem.what : "", /damaged at offset 504/);
});
