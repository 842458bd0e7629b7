/** What a start says about bytes that changed on the disk: damage is refused and the files stay as they are. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isHearthError } from "../../src/base/index.ts";
import { LogUnderTest, seededRandom } from "./support/log-harness.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import {
  contentEnd,
  contentOf,
  DISK_SECTOR_BYTES,
  diskPosition,
  loseSectors,
  putContent,
  sectorOf,
} from "./support/segment-image.ts";

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

/** End of the content of the first segment. */
function endOf(files: ReadonlyMap<string, Uint8Array>): number {
  return contentEnd(files.get(FIRST) as Uint8Array);
}

/** Changes bits of the byte of content at `position`. */
function flip(bytes: Uint8Array, position: number, bits: number): void {
  const at = diskPosition(position);
  bytes[at] = (bytes[at] as number) ^ bits;
}

test("any flipped bit before the last group is found and refused, never cut", async () => {
  const files = await crashedLog();
  const lastGroup = endOf(files) - 2000 - 16;
  const random = seededRandom(11);
  for (let i = 0; i < 300; i++) {
    const at = Math.floor(random() * (lastGroup - 200));
    const bit = 1 << Math.floor(random() * 8);
    const flipped = change(files, FIRST, (bytes) => flip(bytes, at, bit));
    await assertRefused(flipped, "log_damaged", `bit ${bit} of byte ${at}`);
  }
});

test("a changed tag takes nothing away: each sector has two", async () => {
  const files = await crashedLog();
  const { length } = files.get(FIRST) as Uint8Array;
  const stampAt = diskPosition(1) + DISK_SECTOR_BYTES - 8 - 1;
  for (let at = stampAt; at < length; at += DISK_SECTOR_BYTES)
    for (const half of [0, 4]) {
      const changed = change(files, FIRST, (bytes) => bytes.fill(0xa5, at + half, at + half + 4));
      const { log } = await LogUnderTest.open(new MemoryDisk(changed));
      assert.equal(log.lastIndex, 8, `tag at ${at + half}`);
      await log.close();
    }
});

test("a flipped bit in the last group is found: a complete write does not pass for a torn one", async () => {
  const files = await crashedLog();
  const end = endOf(files);
  for (const distance of [8, 600, 1200, 1990]) {
    const flipped = change(files, FIRST, (bytes) => flip(bytes, end - distance, 4));
    await assertRefused(flipped, "log_damaged", `byte ${end - distance}`);
  }
});

test("a zeroed sector before the last group is damage, inside the last group an unfinished write", async () => {
  const files = await crashedLog(30);
  const end = endOf(files);
  for (let sector = 1; sector < sectorOf(end - 2100); sector++) {
    const zeroed = change(files, FIRST, (bytes) => loseSectors(bytes, sector));
    await assertRefused(zeroed, "log_damaged", `sector ${sector}`);
  }
  const torn = change(files, FIRST, (bytes) => loseSectors(bytes, sectorOf(end) - 1));
  const disk = new MemoryDisk(torn);
  const { log } = await LogUnderTest.open(disk);
  assert.equal(log.lastIndex, 29);
  assert.ok(log.recoveredCutBytes > 0);
  assert.ok(endOf(disk.files) <= end - 2000, "what was cut is zero");
  await log.close();
});

test("bytes behind the end that no single write can reach are damage", async () => {
  const files = await crashedLog();
  const end = endOf(files);
  const reach = end + 8 * 1024 + 504;
  /** A sector that carries the tag of this segment. */
  const write = (bytes: Uint8Array, sector: number): void => {
    const start = sector * DISK_SECTOR_BYTES;
    bytes.copyWithin(start + 504, 504, 512);
    bytes.fill(7, start + 8, start + 16);
  };
  const far = change(files, FIRST, (bytes) => write(bytes, sectorOf(reach + 512)));
  await assertRefused(far, "log_damaged", "far");
  const near = change(files, FIRST, (bytes) => write(bytes, sectorOf(end + 1024)));
  const under = await LogUnderTest.open(new MemoryDisk(near));
  assert.equal(under.log.lastIndex, 8);
  await under.log.close();
});

test("after a clean stop damage to the last entries cannot pass for an unfinished write", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.append(1, { payloadBytes: 2000 });
  await under.log.close();
  const zeroed = change(disk.files, FIRST, (bytes) => loseSectors(bytes, 2));
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
  const cut = change(disk.files, "0000000002.log", (bytes) =>
    loseSectors(bytes, sectorOf(contentEnd(bytes, 2) - 1100), bytes.length / DISK_SECTOR_BYTES),
  );
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
  const names = [...files.keys()].filter((name) => (files.get(name) as Uint8Array)[0] !== 0);
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
  foreign.delete(FIRST);
  await assertRefused(foreign, "log_segment_missing", "wrong name, alone");
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 0; i < 60; i++) await under.append(1, { payloadBytes: 1000 });
  await under.log.close();
  const mixed = new Map(disk.files);
  mixed.set(FIRST, other.get(FIRST) as Uint8Array);
  await assertRefused(mixed, "log_foreign_segment", "wrong log");
});

test("segments that have changed names are refused, whichever", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  for (let i = 0; i < 100; i++) await under.append(1, { payloadBytes: 1000 });
  await under.log.close();
  const used = [...disk.files.keys()].filter((name) => disk.files.get(name)?.[0] !== 0);
  assert.ok(used.length >= 3);
  for (const a of used)
    for (const b of used) {
      if (a === b) continue;
      const swapped = new Map(disk.files);
      swapped.set(a, disk.files.get(b) as Uint8Array);
      swapped.set(b, disk.files.get(a) as Uint8Array);
      const again = new MemoryDisk(swapped);
      await assert.rejects(LogUnderTest.open(again), isHearthError, `${a} and ${b}`);
      assert.equal(again.operations.length, 0);
    }
});

test("another format version is named, not called damage", async () => {
  const { crc32c } = await import("@node-rs/crc32");
  const newer = change(await crashedLog(), FIRST, (bytes) => {
    const view = new DataView(bytes.buffer);
    view.setUint16(4, 4, true);
    view.setUint32(500, crc32c(bytes.subarray(0, 500)), true);
  });
  await assertRefused(newer, "log_version_unsupported", "version 4");
  for (const [version, headerBytes] of [
    [1, 256],
    [2, 512],
  ] as const) {
    const older = change(await crashedLog(), FIRST, (bytes) => {
      const view = new DataView(bytes.buffer);
      view.setUint16(4, version, true);
      const crcAt = headerBytes - 4;
      view.setUint32(crcAt, crc32c(bytes.subarray(0, crcAt)), true);
    });
    await assertRefused(older, "log_version_unsupported", `version ${version}`);
  }
});

test("bytes of a client that look like frames do not decide about a torn write", async () => {
  const disk = new MemoryDisk();
  const under = await LogUnderTest.open(disk);
  await under.setHardState(1);
  await under.append(3);
  // The body carries a copy of real frames of this log, as somebody could send who saw its files.
  const copy = contentOf(disk.files.get(FIRST) as Uint8Array).slice(504, 504 + 1200);
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
  const end = endOf(disk.files);
  const torn = change(disk.files, FIRST, (bytes) => loseSectors(bytes, sectorOf(end - 1100)));
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
  const first = contentOf(one).indexOf(0x48, endOf(common));
  const frameBytes = 80 + 16 + 104;
  const frame = contentOf(two).subarray(first, first + frameBytes);
  assert.deepEqual([...frame.subarray(0, 4)], [...Buffer.from("HFRM")]);
  const mixed = change(new Map([[FIRST, one]]), FIRST, (bytes) => putContent(bytes, frame, first));
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
  const end = endOf(disk.files);
  const flipped = change(disk.files, FIRST, (bytes) => flip(bytes, end - 5, 1));
  await assertRefused(flipped, "log_damaged", "flip");
  const torn = change(disk.files, FIRST, (bytes) => loseSectors(bytes, sectorOf(2100)));
  const again = await LogUnderTest.open(new MemoryDisk(torn));
  assert.equal(again.log.lastIndex, 0, "a sector that had something in it is missing");
  await again.log.close();
});
