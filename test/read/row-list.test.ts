/** Rows come out in the order of their blocks, each block once, whatever the order in which they came. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Prng } from "../../src/base/index.ts";
import { ROW, ROW_BYTES } from "../../src/db/index.ts";
import { RowList } from "../../src/read/engine/row-list.ts";

interface Row {
  readonly id: Buffer;
  readonly position: number;
  readonly key: number;
}

/** As rows stand in the database. */
function encode(rows: readonly Row[]): Uint32Array {
  const words = new Uint32Array((rows.length * ROW_BYTES) / 4);
  const bytes = new Uint8Array(words.buffer);
  for (const [i, { id, position, key }] of rows.entries()) {
    bytes.set(id, i * ROW_BYTES);
    words[(i * ROW_BYTES) / 4 + ROW.position32] = position;
    words[(i * ROW_BYTES) / 4 + ROW.key32] = key;
  }
  return words;
}

function listed(list: RowList, rows: readonly Row[]): Row[] {
  const words = encode(rows);
  list.clear();
  for (let i = 0; i < rows.length; i++) list.push(words, (i * ROW_BYTES) / 4);
  list.sort();
  const found: Row[] = [];
  const ids = new Set<string>();
  for (let block = 0; block < list.blockCount; block++) {
    const id = Buffer.alloc(16);
    list.writeId(block, id, 0);
    assert.ok(!ids.has(id.toString("hex")), "a block came twice");
    ids.add(id.toString("hex"));
    assert.ok(list.endOf(block) > list.startOf(block), "a block without rows");
    for (let row = list.startOf(block); row < list.endOf(block); row++)
      found.push({ id, position: list.position(row), key: list.key(row) });
  }
  return found;
}

function inOrder(rows: readonly Row[]): Row[] {
  return [...rows].sort((a, b) => a.id.compare(b.id) || a.position - b.position);
}

/** Ids that differ in every byte, some only in one. */
function randomRows(random: Prng, blocks: number): Row[] {
  const rows: Row[] = [];
  for (let i = 0; i < blocks; i++) {
    const id = Buffer.alloc(16, random.nextInt(2) * 0xff);
    id[random.nextInt(16)] = random.nextInt(256);
    id.writeUInt16BE(i, random.nextInt(15));
    if (rows.some((row) => row.id.equals(id))) continue;
    const count = 1 + random.nextInt(8);
    for (let position = 0; position < count; position++)
      rows.push({ id, position, key: random.nextInt(1_000) });
  }
  return rows;
}

describe("rows of a shard", () => {
  test("that come in order, in any order, and in pieces of blocks", () => {
    const random = new Prng(7);
    const list = new RowList();
    for (let round = 0; round < 400; round++) {
      const rows = inOrder(randomRows(random, 1 + random.nextInt(60)));
      assert.deepEqual(listed(list, rows), rows);
      const cut = random.nextInt(rows.length);
      const turned = [...rows.slice(cut), ...rows.slice(0, cut)];
      assert.deepEqual(listed(list, turned), rows, "two ascending pieces");
      const shuffled = [...rows];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const other = random.nextInt(i + 1);
        [shuffled[i], shuffled[other]] = [shuffled[other] as Row, shuffled[i] as Row];
      }
      assert.deepEqual(listed(list, shuffled), rows, "shuffled");
    }
  });

  test("are gone when it is cleared, also the last block", () => {
    const list = new RowList();
    const id = Buffer.alloc(16, 3);
    const rows = [{ id, position: 0, key: 1 }];
    assert.deepEqual(listed(list, rows), rows);
    assert.deepEqual(listed(list, rows), rows);
    assert.deepEqual(listed(list, []), []);
  });
});
