/** Content in sectors that say in which life of the file they were written. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  contentBytes,
  DISK_SECTOR_BYTES,
  diskPosition,
  gatherRoom,
  gatherSectors,
  SECTOR_BYTES,
  sectorTag,
  spreadRoom,
  spreadSectors,
} from "../../src/log/sectors.ts";
import { seededRandom } from "./support/log-harness.ts";

const PAGE_BYTES = 4096;
const FILE_BYTES = 16 * PAGE_BYTES;

function fill(length: number, random: () => number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

/** Puts content on a disk, behind `start` bytes that do not belong to it. */
function put(disk: Uint8Array, content: Uint8Array, position: number, tag: number): void {
  const start = position % 7;
  const bytes = new Uint8Array(start + spreadRoom(content.length)).fill(0xee);
  bytes.set(content, start);
  const view = new DataView(bytes.buffer);
  const range = { start, end: start + content.length };
  const end = spreadSectors(bytes, view, range, position, tag);
  assert.ok(end <= bytes.length);
  assert.ok(bytes.subarray(0, start).every((byte) => byte === 0xee));
  disk.set(bytes.subarray(start, end), diskPosition(position));
}

function contentOf(disk: Uint8Array, tag: number): Uint8Array {
  const content = disk.slice();
  const length = gatherSectors(content, 0, tag);
  assert.equal(length, contentBytes(disk.length));
  return content.subarray(0, length);
}

test("what was written one after the other is read back, over whatever the file held before", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed);
    const disk = new Uint8Array(FILE_BYTES);
    let before = 0;
    for (const sequence of [seed, seed + 1, seed + 1000]) {
      const tag = sectorTag(sequence);
      const expected = new Uint8Array(contentBytes(FILE_BYTES));
      let position = 0;
      for (;;) {
        const sizes = [8, 96, 496, 504, 1008, 4032, Math.floor(random() * 9000) + 1];
        const bytes = fill(sizes[Math.floor(random() * sizes.length)] as number, random);
        if (position + bytes.length > expected.length * random()) break;
        put(disk, bytes, position, tag);
        expected.set(bytes, position);
        position += bytes.length;
      }
      assert.deepEqual(contentOf(disk, tag), expected, `seed ${seed}, sequence ${sequence}`);
      before += position;
    }
    if (seed === 200) assert.ok(before > 0);
  }
});

test("a part is read from inside a sector to inside a sector", () => {
  const random = seededRandom(3);
  const disk = new Uint8Array(FILE_BYTES);
  const tag = sectorTag(9);
  const all = fill(20_000, random);
  put(disk, all, 0, tag);
  for (let i = 0; i < 200; i++) {
    const from = Math.floor(random() * all.length);
    const length = Math.floor(random() * (all.length - from));
    const first = Math.floor(from / SECTOR_BYTES);
    const skip = from % SECTOR_BYTES;
    const start = first * DISK_SECTOR_BYTES;
    const size = Math.ceil((skip + length) / SECTOR_BYTES) * DISK_SECTOR_BYTES;
    assert.ok(size <= gatherRoom(length));
    const sectors = disk.slice(start, start + size);
    assert.ok(gatherSectors(sectors, skip, tag) >= length);
    assert.deepEqual(sectors.subarray(0, length), all.subarray(from, from + length));
  }
  assert.equal(gatherSectors(disk.slice(0, 1500), 0, tag), 2 * SECTOR_BYTES, "whole sectors alone");
});

test("a write ends at the end of a page, so that none is read for it, and leaves zeros behind its content", () => {
  for (const [position, length] of [
    [0, 1],
    [0, 8 * SECTOR_BYTES],
    [SECTOR_BYTES - 1, 2],
    [5 * SECTOR_BYTES + 96, 3 * SECTOR_BYTES - 96],
    [8 * SECTOR_BYTES + 16, 100],
  ] as const) {
    const bytes = new Uint8Array(spreadRoom(length)).fill(7);
    const view = new DataView(bytes.buffer);
    const end = spreadSectors(bytes, view, { start: 0, end: length }, position, sectorTag(1));
    assert.equal((diskPosition(position) + end) % PAGE_BYTES, 0, `${length} at ${position}`);
    assert.ok(end < length + 8 * (length / SECTOR_BYTES + 2) + PAGE_BYTES);
    const disk = new Uint8Array(FILE_BYTES).fill(9);
    disk.set(bytes.subarray(0, end), diskPosition(position));
    const content = contentOf(disk, sectorTag(1));
    assert.ok(content.subarray(position, position + length).every((byte) => byte === 7));
    assert.ok(content.subarray(position + length).every((byte) => byte === 0));
  }
});

test("one tag is enough, and tags of neighbours are far apart", () => {
  const disk = new Uint8Array(PAGE_BYTES);
  put(disk, new Uint8Array(SECTOR_BYTES).fill(5), 0, sectorTag(70));
  for (const half of [0, 4]) {
    const changed = disk.slice();
    changed.fill(0, SECTOR_BYTES + half, SECTOR_BYTES + half + 4);
    assert.equal(contentOf(changed, sectorTag(70))[9], 5);
    changed.fill(0, SECTOR_BYTES);
    assert.equal(contentOf(changed, sectorTag(70))[9], 0);
  }
  for (let sequence = 1; sequence < 3000; sequence++) {
    assert.notEqual(sectorTag(sequence), 0);
    for (let bit = 0; bit < 32; bit++) {
      const other = (sequence ^ (1 << bit)) >>> 0;
      const differing = (sectorTag(sequence) ^ sectorTag(other))
        .toString(2)
        .replaceAll(/[-0]/g, "");
      assert.ok(differing.length >= 5 || other === 0, `${sequence} and ${other}`);
    }
  }
});
