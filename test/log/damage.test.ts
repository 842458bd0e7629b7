/** What a start says about bytes that changed on the disk: damage is refused and the files stay as they are. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isHearthError } from "../../src/base/index.ts";
import { LogUnderTest, seededRandom } from "./support/log-harness.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

const FIRST = "0000000001.log";

/** Files of a log after a crash: 8 groups of one entry in one segment, the last one with a body of 2000 bytes. */
async function crashedLog(entries = 8, payloadBytes = 100): Promise<Map<string, Uint8Array>> {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.setHardState(1, "a");
  for (let i = 1; i < entries; i++) await under.append(1, { payloadBytes });
  await under.append(1, { payloadBytes: 2000 });
  return new Map([...disk.files].map(([name, bytes]) => [name, bytes.slice()]));
}

function change(
  files: Map<string, Uint8Array>,
  name: string,
  body: (bytes: Uint8Array) => void,
): Map<string, Uint8Array> {
  const changed = new Map(files);
  const bytes = (files.get(name) as Uint8Array).slice();
  body(bytes);
  changed.set(name, bytes);
  return changed;
}

async function assertRefused(
  files: Map<string, Uint8Array>,
  reason: string,
  message: string,
): Promise<void> {
  const disk = new MemoryDisk(files);
  await assert.rejects(
    LogUnderTest.open(disk),
    (error) => isHearthError(error) && error.reason === reason && error.next !== null,
    message,
  );
  assert.equal(disk.operations.length, 0, `${message}: nothing is written or removed`);
}

/** Offset behind the last byte that is not zero. */
function endOf(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

test("any flipped bit before the last group is found and refused, never cut", async () => {
  const files = await crashedLog();
  const image = files.get(FIRST) as Uint8Array;
  const lastGroup = endOf(image) - 2000 - 16;
  const random = seededRandom(11);
  for (let i = 0; i < 300; i++) {
    const at = Math.floor(random() * (lastGroup - 200));
    const bit = 1 << Math.floor(random() * 8);
    const flipped = change(files, FIRST, (bytes) => {
      bytes[at] = (bytes[at] as number) ^ bit;
    });
    await assertRefused(flipped, "log_damaged", `bit ${bit} of byte ${at}`);
  }
});

test("a flipped bit in the last group is found: a complete write does not pass for a torn one", async () => {
  const files = await crashedLog();
  const end = endOf(files.get(FIRST) as Uint8Array);
  for (const distance of [8, 600, 1200, 1990]) {
    const flipped = change(files, FIRST, (bytes) => {
      bytes[end - distance] = (bytes[end - distance] as number) ^ 4;
    });
    await assertRefused(flipped, "log_damaged", `byte ${end - distance}`);
  }
});

test("a zeroed sector before the last group is damage, inside the last group an unfinished write", async () => {
  const files = await crashedLog(30);
  const end = endOf(files.get(FIRST) as Uint8Array);
  for (let sector = 1; sector < Math.floor((end - 2100) / 512); sector++) {
    const zeroed = change(files, FIRST, (bytes) => bytes.fill(0, sector * 512, (sector + 1) * 512));
    await assertRefused(zeroed, "log_damaged", `sector ${sector}`);
  }
  const inLast = Math.floor(end / 512) - 1;
  const torn = change(files, FIRST, (bytes) => bytes.fill(0, inLast * 512, (inLast + 1) * 512));
  const disk = new MemoryDisk(torn);
  const { log } = await LogUnderTest.open(disk);
  assert.equal(log.lastIndex, 29);
  assert.ok(log.recoveredCutBytes > 0);
  assert.equal(
    endOf(disk.files.get(FIRST) as Uint8Array) <= end - 2000,
    true,
    "what was cut is zero",
  );
  await log.close();
});

test("bytes behind the end that no single write can reach are damage", async () => {
  const files = await crashedLog();
  const end = endOf(files.get(FIRST) as Uint8Array);
  const reach = end + 8 * 1024 + 256;
  const far = change(files, FIRST, (bytes) => bytes.fill(7, reach + 512, reach + 520));
  await assertRefused(far, "log_damaged", "far");
  const near = change(files, FIRST, (bytes) => bytes.fill(7, end + 1024, end + 1032));
  const under = await LogUnderTest.open(new MemoryDisk(near));
  assert.equal(under.log.lastIndex, 8);
  await under.log.close();
});

test("after a clean stop damage to the last entries cannot pass for an unfinished write", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.append(1, { payloadBytes: 2000 });
  await under.log.close();
  const zeroed = change(disk.files, FIRST, (bytes) => bytes.fill(0, 1024, 1536));
  await assertRefused(zeroed, "log_damaged", "sector 2");
});

test("damage in a sealed segment is found when it is read, not before, and not cut", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 0; i < 100; i++) await under.append(1, { payloadBytes: 1000 });
  await under.log.close();
  const flipped = change(disk.files, "0000000002.log", (bytes) => {
    bytes[9999] = (bytes[9999] as number) ^ 1;
  });
  const again = await LogUnderTest.open(new MemoryDisk(flipped));
  assert.equal(again.log.lastIndex, 100);
  await assert.rejects(
    again.entries(),
    (error) => isHearthError(error) && error.reason === "log_damaged",
  );
  assert.equal((await again.entries(90)).length, 11, "other segments are readable");
  await again.log.close();
});

test("a sealed segment that ends early is damage: its frames must reach where the next one stands on it", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 0; i < 100; i++) await under.append(1, { payloadBytes: 1000 });
  await under.log.close();
  const cut = change(disk.files, "0000000002.log", (bytes) => bytes.fill(0, endOf(bytes) - 1100));
  const again = await LogUnderTest.open(new MemoryDisk(cut));
  await assert.rejects(
    again.entries(),
    (error) => isHearthError(error) && error.reason === "log_damaged",
  );
  await again.log.close();
});

test("a missing segment in the middle is refused", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 0; i < 150; i++) await under.append(1, { payloadBytes: 1000 });
  await under.log.close();
  for (const name of ["0000000002.log", "0000000003.log"]) {
    const files = new Map(disk.files);
    files.delete(name);
    await assertRefused(files, "log_segment_missing", name);
  }
});

test("a blank, damaged or shortened header of a segment with groups is refused", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 0; i < 100; i++) await under.append(1, { payloadBytes: 1000 });
  const files = new Map([...disk.files].map(([name, bytes]) => [name, bytes.slice()]));
  const names = [...files.keys()].filter((name) => endOf(files.get(name) as Uint8Array) > 0);
  assert.ok(names.length >= 3);
  for (const name of names) {
    await assertRefused(
      change(files, name, (bytes) => bytes.fill(0, 0, 512)),
      "log_damaged",
      `${name} blank`,
    );
    const flipped = change(files, name, (bytes) => {
      bytes[30] = (bytes[30] as number) ^ 1;
    });
    await assertRefused(flipped, "log_damaged", `${name} flipped`);
  }
  const newest = names.at(-1) as string;
  const short = new Map(files);
  short.set(newest, (files.get(newest) as Uint8Array).slice(0, 20_000));
  await assertRefused(short, "log_damaged", "short");
});

test("a segment of another log or under another name is refused", async () => {
  const one = await crashedLog();
  const other = await crashedLog();
  const foreign = new Map(one);
  foreign.set("0000000002.log", other.get(FIRST) as Uint8Array);
  await assertRefused(foreign, "log_foreign_segment", "wrong name");
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 0; i < 60; i++) await under.append(1, { payloadBytes: 1000 });
  await under.log.close();
  const mixed = new Map(disk.files);
  mixed.set(FIRST, other.get(FIRST) as Uint8Array);
  await assertRefused(mixed, "log_foreign_segment", "wrong log");
});

test("another format version is named, not called damage", async () => {
  const { crc32c } = await import("@node-rs/crc32");
  const newer = change(await crashedLog(), FIRST, (bytes) => {
    const view = new DataView(bytes.buffer);
    view.setUint16(4, 3, true);
    view.setUint32(508, crc32c(bytes.subarray(0, 508)), true);
  });
  await assertRefused(newer, "log_version_unsupported", "version 3");
  const older = change(await crashedLog(), FIRST, (bytes) => {
    const view = new DataView(bytes.buffer);
    view.setUint16(4, 1, true);
    view.setUint32(252, crc32c(bytes.subarray(0, 252)), true);
  });
  await assertRefused(older, "log_version_unsupported", "version 1");
});

test("bytes of a client that look like frames do not decide about a torn write", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.setHardState(1);
  await under.append(3);
  // The body carries a copy of real frames of this log, as somebody could send who saw its files.
  const copy = (disk.files.get(FIRST) as Uint8Array).slice(512, 512 + 1200);
  copy[1199] = 1;
  const body = new Uint8Array(16 + copy.length);
  new DataView(body.buffer).setUint32(0, copy.length, true);
  body.set(copy, 16);
  await under.durable(
    under.log.append({
      firstIndex: 4,
      term: 1,
      count: 1,
      appendedAtMs: 1000,
      body,
      bodyBytes: body.length,
    }),
  );
  const end = endOf(disk.files.get(FIRST) as Uint8Array);
  const torn = change(disk.files, FIRST, (bytes) =>
    bytes.fill(0, Math.floor((end - 1100) / 512) * 512, Math.floor((end - 1100) / 512 + 1) * 512),
  );
  const again = await LogUnderTest.open(new MemoryDisk(torn));
  assert.ok(again.log.lastIndex >= 3);
  await again.log.close();
});

test("a frame of another history in the right place breaks the chain", async () => {
  const common = await crashedLog(4);
  const histories: Uint8Array[] = [];
  for (const tag of [1, 2]) {
    const disk = new MemoryDisk(common);
    const under = await LogUnderTest.open(disk);
    await under.append(1, { payloadBytes: 104, tag });
    await under.append(1, { payloadBytes: 104, tag });
    histories.push(disk.files.get(FIRST) as Uint8Array);
  }
  const [one, two] = histories as [Uint8Array, Uint8Array];
  const start = endOf(common.get(FIRST) as Uint8Array);
  const first = one.indexOf(0x48, start);
  const frameBytes = 72 + 16 + 104;
  const mixed = change(new Map([[FIRST, one]]), FIRST, (bytes) => {
    bytes.set(two.subarray(first, first + frameBytes), first);
  });
  await assertRefused(mixed, "log_damaged", "mixed");
});

test("other files in the directory are left alone", async () => {
  const files = await crashedLog();
  files.set("README", new Uint8Array([1, 2, 3]));
  const disk = new MemoryDisk(files);
  const under = await LogUnderTest.open(disk);
  await under.log.close();
  assert.ok(disk.files.has("README"));
});

test("a body that holds zero sectors of its own does not pass for a torn write when a bit of it flips", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  const body = new Uint8Array(16 + 2048);
  new DataView(body.buffer).setUint32(0, 2048, true);
  body.fill(7, 1500);
  const batch = { firstIndex: 1, term: 1, count: 1, appendedAtMs: 1, body, bodyBytes: body.length };
  await under.durable(under.log.append(batch));
  const end = endOf(disk.files.get(FIRST) as Uint8Array);
  const flipped = change(disk.files, FIRST, (bytes) => {
    bytes[end - 5] = 6;
  });
  await assertRefused(flipped, "log_damaged", "flip");
  const torn = change(disk.files, FIRST, (bytes) => bytes.fill(0, 2048, 2560));
  const again = await LogUnderTest.open(new MemoryDisk(torn));
  assert.equal(again.log.lastIndex, 0, "a sector that had something in it is missing");
  await again.log.close();
});
