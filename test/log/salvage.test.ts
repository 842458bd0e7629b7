/** Damage in a log whose member has peers: cut, abstain, and go on; or refuse where a vote may be hidden. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isHearthError } from "../../src/base/index.ts";
import { LOG_DEFAULTS, type LogOptions } from "../../src/log/index.ts";
import { LogUnderTest, SMALL_LOG, seededRandom } from "./support/log-harness.ts";
import { imageAfterCrash, MemoryDisk } from "./support/memory-disk.ts";

const ABSTAIN: LogOptions = { ...SMALL_LOG, damagePolicy: "abstain" };
const NAME = (sequence: number): string => `${String(sequence).padStart(10, "0")}.log`;

/** 100 entries in four segments, with votes between, closed. */
async function writtenLog(): Promise<Map<string, Uint8Array>> {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 1; i <= 100; i++) {
    if (i % 20 === 0) await under.setHardState(i / 20, `node-${i}`);
    await under.append(1, { payloadBytes: 1000, term: 5 });
  }
  await under.setHardState(6, "node-x");
  under.log.commitIndex = 90;
  await under.log.close();
  return new Map([...disk.files].map(([name, bytes]) => [name, bytes.slice()]));
}

function flipped(files: ReadonlyMap<string, Uint8Array>, name: string, at: number): MemoryDisk {
  const disk = new MemoryDisk(files);
  const bytes = disk.files.get(name) as Uint8Array;
  bytes[at] = (bytes[at] as number) ^ 4;
  return disk;
}

test("a log that is damaged in the middle is cut there and abstains with the newest vote", async () => {
  const files = await writtenLog();
  const newest = [...files.keys()]
    .filter((name) => (files.get(name)?.[0] ?? 0) !== 0)
    .at(-1) as string;
  for (const at of [700, 2500, 20, 5000]) {
    const disk = flipped(files, newest, at);
    await assert.rejects(LogUnderTest.open(new MemoryDisk(disk.files)), /damaged/);
    let under = await LogUnderTest.open(disk, ABSTAIN);
    assert.ok(under.log.recoveredDamage !== null);
    assert.ok(under.log.lastIndex < 100, `cut at ${under.log.lastIndex}`);
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(
        under.log.hardState,
        { term: 6, vote: "node-x", abstains: true },
        `byte ${at}`,
      );
      assert.equal((await under.entries()).length, under.log.lastIndex);
      await under.append(3, { term: 6 });
      await under.log.close();
      // A log that abstains needs no policy any more.
      under = await LogUnderTest.open(disk);
    }
    assert.equal(under.log.recoveredDamage, null);
    assert.ok([...disk.files.keys()].some((name) => /^damaged-\d+\.bin$/.test(name)));
    await under.log.close();
  }
});

test("damage in a sealed segment is met by a read, and dealt with by the next start", async () => {
  const disk = flipped(await writtenLog(), NAME(2), 9999);
  const under = await LogUnderTest.open(disk, ABSTAIN);
  await assert.rejects(under.entries(), /damaged/);
  await under.log.close();
  const again = await LogUnderTest.open(disk, ABSTAIN);
  assert.ok(again.log.recoveredDamage !== null);
  assert.deepEqual(again.log.hardState, { term: 6, vote: "node-x", abstains: true });
  assert.equal((await again.entries()).length, again.log.lastIndex);
  assert.ok(again.log.lastIndex > 25 && again.log.lastIndex < 60);
  assert.ok(again.log.commitIndex <= again.log.lastIndex);
  assert.ok(!disk.files.has("suspect"));
  await again.log.close();
});

test("a lost segment and a lost header cost what stands on them, not the vote", async () => {
  const files = await writtenLog();
  const lost = new MemoryDisk(files);
  lost.files.delete(NAME(2));
  for (const disk of [lost, flipped(files, NAME(2), 30)]) {
    const under = await LogUnderTest.open(disk, ABSTAIN);
    assert.equal(under.log.hardState.vote, "node-x");
    assert.ok(under.log.lastIndex > 10 && under.log.lastIndex < 40, `${under.log.lastIndex}`);
    assert.equal((await under.entries()).length, under.log.lastIndex);
    await under.log.close();
  }
});

test("damage that may hide a vote is refused, and nothing is changed", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.setHardState(1, "a");
  await under.append(3);
  await under.setHardState(2, "b");
  // The vote for b: its header, then its body. Nothing behind it proves what it said.
  for (const at of [512 + 96 + 80 + 168 + 10, 512 + 96 + 80 + 168 + 80 + 9]) {
    const damaged = flipped(disk.files, NAME(1), at);
    await assert.rejects(
      LogUnderTest.open(damaged, ABSTAIN),
      (error) => isHearthError(error) && error.reason === "log_promises_lost",
      `byte ${at}`,
    );
    assert.equal(damaged.operations.length, 0);
  }
  // A frame behind it says that there was a second hard state, which cannot be read: refused as well.
  await under.append(1);
  const hidden = flipped(disk.files, NAME(1), 512 + 96 + 80 + 168 + 10);
  await assert.rejects(LogUnderTest.open(hidden, ABSTAIN), /hide a newer term or vote/);
  // The entries before it may go: the vote is there.
  const known = await LogUnderTest.open(flipped(disk.files, NAME(1), 512 + 96 + 10), ABSTAIN);
  assert.deepEqual(known.log.hardState, { term: 2, vote: "b", abstains: true });
  assert.equal(known.log.lastIndex, 0);
  await known.log.close();
});

test("a log that would end before the snapshot begins behind it", async () => {
  const disk = flipped(await writtenLog(), NAME(1), 5000);
  const snapshot = { index: 80, term: 5, appendedAtMs: 5000 };
  const options: LogOptions = { ...ABSTAIN, snapshot };
  disk.files.set("suspect", new Uint8Array(0));
  const under = await LogUnderTest.open(disk, options);
  const { firstIndex, lastIndex, baseTerm, commitIndex, hardState } = under.log;
  assert.deepEqual([firstIndex, lastIndex, baseTerm, commitIndex], [81, 80, 5, 80]);
  assert.deepEqual(hardState, { term: 6, vote: "node-x", abstains: true });
  await under.log.close();
});

test("a crash at any moment of the cut leaves the old log or the new one", async () => {
  const files = await writtenLog();
  const damaged = flipped(files, NAME(3), 700);
  damaged.files.set("suspect", new Uint8Array(0));
  const initial = new Map([...damaged.files].map(([name, bytes]) => [name, bytes.slice()]));
  const under = await LogUnderTest.open(damaged, ABSTAIN);
  const { lastIndex } = under.log;
  const { operations } = damaged;
  const random = seededRandom(9);
  for (let count = 0; count <= operations.length; count++) {
    for (const inFlight of ["kept", "lost", "sectors"] as const) {
      const image = imageAfterCrash(initial, operations, count, { inFlight, random });
      const again = await LogUnderTest.open(new MemoryDisk(image), ABSTAIN);
      assert.equal(again.log.lastIndex, lastIndex, `operation ${count} ${inFlight}`);
      assert.deepEqual(again.log.hardState, { term: 6, vote: "node-x", abstains: true });
      await again.log.close();
    }
  }
  await under.log.close();
});

test("one changed byte in a part that was never used stops nobody", async () => {
  const files = await writtenLog();
  const spare = [...files.keys()].at(-1) as string;
  for (const name of [spare, NAME(4)]) {
    const under = await LogUnderTest.open(flipped(files, name, SMALL_LOG.segmentBytes - 100));
    assert.equal(under.log.lastIndex, 100, name);
    await under.log.close();
  }
  assert.equal(LOG_DEFAULTS.segmentBytes % 4096, 0);
});
