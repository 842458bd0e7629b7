import assert from "node:assert/strict";
import { test } from "node:test";
import type { IndexDatabase, TableName } from "../../src/db/index.ts";
import { Counters, verifyIndex, VERIFY_PROBLEMS_MAX } from "../../src/state/index.ts";
import { entry, StateFixture, ulidAt, WINDOW_MS } from "./support.ts";

function filled(): StateFixture {
  const fixture = new StateFixture();
  const blocks = Array.from({ length: 500 }, (_, i) => ({
    id: ulidAt(WINDOW_MS, i),
    tenant: "acme",
    datasets: Array.from({ length: 5 }, (_unused, k) => ({ name: `s${(i + k) % 9}` })),
  }));
  fixture.add(...blocks);
  const tombstone = { name: "t", shard: 1, tenant: "", compactionLevel: 0, blocks: ["b"] };
  fixture.applyOne(entry.addTombstones({ blocks: tombstone, shard: null }));
  return fixture;
}

function firstRow(db: IndexDatabase, table: TableName): { key: Uint8Array; value: Uint8Array } {
  let row = { key: new Uint8Array(0), value: new Uint8Array(0) };
  db.scan(table, new Uint8Array(1), new Uint8Array(1_100).fill(0xff), (key, length) => {
    row = { key: new Uint8Array(key), value: db.u8.slice(0, length) };
    return false;
  });
  return row;
}

test("a sound index is reported with its totals", async () => {
  const fixture = filled();
  try {
    const report = fixture.read(verifyIndex);
    assert.deepEqual(report, {
      problems: [],
      problemsCount: 0,
      owners: 1,
      partitions: 1,
      shards: 1,
      blocks: 500,
      datasets: 2_500,
      dictionaries: 1,
      tombstones: 1,
      queuedBlocks: 0,
      jobs: 0,
      strayBlocks: 0,
      appliedIndex: 2,
    });
  } finally {
    await fixture.close();
  }
});

/** Tables whose rows follow from others: losing one is always seen. */
const TABLES_CHECKED = [
  "owners",
  "partitions",
  "blocks",
  "tails",
  "tailKeys",
  "postings",
  "directory",
  "dictionaries",
  "strings",
  "stringIds",
  "keys",
  "keyIds",
  "pairs",
  "tenants",
  "tombstones",
  "tombstoneNames",
  "tombstoneBlocks",
] as const;

for (const table of TABLES_CHECKED) {
  test(`a lost row of ${table} is found`, async () => {
    const fixture = filled();
    try {
      const { key } = firstRow(fixture.db, table);
      fixture.db.write(() => assert.equal(fixture.db.remove(table, key), true));
      const { problems, problemsCount } = fixture.read(verifyIndex);
      assert.equal(problemsCount > 0, true);
      assert.equal(problems.length <= VERIFY_PROBLEMS_MAX, true);
    } finally {
      await fixture.close();
    }
  });
}

/** A byte of the first record or row: times of rows, rows of a key, counts of blocks, a bitmap. */
const BYTES_CHECKED = [
  ["tails", 16],
  ["tailKeys", 15],
  ["tailKeys", 260],
  ["postings", 24],
  ["directory", 4],
  ["partitions", 12],
  ["partitions", 64],
  ["owners", 36],
  ["pairs", 31],
] as const;

for (const [table, offset] of BYTES_CHECKED) {
  test(`a changed number at byte ${offset} of ${table} is found`, async () => {
    const fixture = filled();
    try {
      const { key, value } = firstRow(fixture.db, table);
      value[offset] = (value[offset] ?? 0) ^ 0x55;
      fixture.db.write(() => fixture.db.put(table, key, value));
      assert.equal(fixture.read(verifyIndex).problemsCount > 0, true);
    } finally {
      await fixture.close();
    }
  });
}

test("wrong counters are found", async () => {
  const fixture = filled();
  try {
    const { db } = fixture;
    const counters = new Counters();
    counters.load(db);
    counters.blocks = 499;
    db.write(() => counters.store(db));
    assert.deepEqual(fixture.read(verifyIndex).problems, [
      "counter blocks: recorded 499, found 500",
    ]);
  } finally {
    await fixture.close();
  }
});
