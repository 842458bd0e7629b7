import assert from "node:assert/strict";
import { test } from "node:test";
import { TABLES } from "../../src/db/index.ts";
import { OUTCOME } from "../../src/state/index.ts";
import { findShard, readBlock } from "./dump.ts";
import {
  type BlockSpec,
  entry,
  HOUR_MS,
  shardTombstone,
  type StateFixture,
  ulidAt,
  WINDOW_MS,
  withState,
} from "./support.ts";

const { applied, unchanged } = OUTCOME;

const BLOCK: BlockSpec = { id: ulidAt(WINDOW_MS, 1), tenant: "acme", datasets: [{ name: "web" }] };

function sweepAll(fixture: StateFixture): void {
  while (fixture.state.sweep());
}

function rowsOf(fixture: StateFixture): Record<string, number> {
  return Object.fromEntries(
    TABLES.map((table) => [table, fixture.db.tableStats(table).entries]).filter(
      ([, rows]) => rows !== 0,
    ),
  );
}

test("a shard is deleted only when start and duration match exactly", () =>
  withState((fixture) => {
    fixture.add(BLOCK);
    const start = BigInt(WINDOW_MS) * 1_000_000n;
    for (const changes of [
      { timestampNs: start + 1n },
      { timestampNs: start - 1n },
      { timestampNs: -start },
      { durationNs: 3_600_000_000_000n },
      { durationNs: 0n },
      { shard: 2 },
      { tenant: "" },
      { tenant: "nobody" },
    ]) {
      assert.equal(
        fixture.applyOne(entry.deleteShard(shardTombstone(1, "acme", changes))),
        unchanged,
      );
    }
    assert.equal(fixture.state.counters.shards, 1);
    // The duration counts at a resolution of seconds.
    const durationNs = 21_600_000_000_000n + 999_999_999n;
    assert.equal(
      fixture.applyOne(entry.deleteShard(shardTombstone(1, "acme", { durationNs }))),
      applied,
    );
    assert.equal(fixture.state.counters.shards, 0);
  }));

test("deleting a shard leaves its neighbours alone", () =>
  withState((fixture) => {
    fixture.add(
      BLOCK,
      { ...BLOCK, shard: 2 },
      { ...BLOCK, tenant: "" },
      { ...BLOCK, id: ulidAt(WINDOW_MS + 6 * HOUR_MS, 1) },
    );
    assert.equal(fixture.applyOne(entry.deleteShard(shardTombstone(1, "acme"))), applied);
    assert.equal(fixture.applyOne(entry.deleteShard(shardTombstone(1, "acme"))), unchanged);
    assert.equal(
      fixture.read((db) => readBlock(db, "acme", 1, BLOCK.id)),
      null,
    );
    assert.notEqual(
      fixture.read((db) => readBlock(db, "acme", 2, BLOCK.id)),
      null,
    );
    assert.notEqual(
      fixture.read((db) => readBlock(db, "", 1, BLOCK.id)),
      null,
    );
    assert.equal(fixture.state.counters.blocks, 3);
    assert.equal(fixture.state.counters.partitions, 3);
  }));

test("owner and partition go with their last shard, and every row is swept", () =>
  withState(
    (fixture) => {
      const blocks = Array.from({ length: 300 }, (_, i) => ({
        ...BLOCK,
        id: ulidAt(WINDOW_MS, i),
        datasets: Array.from({ length: 8 }, (_unused, k) => ({ name: `s${(i * k) % 40}` })),
      }));
      fixture.add(...blocks);
      assert.equal(fixture.state.metrics.tailFlushes > 0, true);
      fixture.applyOne(entry.deleteShard(shardTombstone(1, "acme")));
      assert.equal(fixture.state.counters.owners, 0);
      assert.equal(fixture.state.counters.blocks, 0);
      // Only as many as the option says are gone by now.
      assert.equal(fixture.db.tableStats("blocks").entries > 200, true);
      sweepAll(fixture);
      assert.deepEqual(rowsOf(fixture), { meta: 3, tenants: 1, tenantIds: 1 });
      assert.equal(fixture.state.counters.garbage, 0);
    },
    { sweepRowsPerTransaction: 20 },
  ));

test("sweeping goes on after a restart", () =>
  withState(
    async (fixture) => {
      fixture.add(
        ...Array.from({ length: 100 }, (_, i) => ({ ...BLOCK, id: ulidAt(WINDOW_MS, i) })),
      );
      fixture.applyOne(entry.deleteShard(shardTombstone(1, "acme")));
      await fixture.restart();
      assert.equal(fixture.state.counters.garbage, 2);
      sweepAll(fixture);
      assert.equal(fixture.db.tableStats("blocks").entries, 0);
    },
    { sweepRowsPerTransaction: 7 },
  ));

test("a shard deleted and filled again shows nothing of its former life", () =>
  withState(async (fixture) => {
    const sets = [
      [
        ["env", "prod"],
        ["type", "cpu"],
      ],
    ] as const;
    fixture.add({ ...BLOCK, datasets: [{ name: "web", sets }] });
    fixture.applyOne(entry.deleteShard(shardTombstone(1, "acme")));
    // The same id, with a table in another order and other content.
    const again = {
      ...BLOCK,
      stringsFirst: ["cpu", "mem", "prod", "dev", "env", "type"],
      minTimeMs: WINDOW_MS + 100,
      createdBy: "second",
      datasets: [
        {
          name: "db",
          sets: [
            [
              ["env", "dev"],
              ["type", "mem"],
            ],
          ] as const,
        },
      ],
    };
    assert.equal(fixture.add(again), applied);
    const check = (): void => {
      const block = fixture.read((db) => readBlock(db, "acme", 1, BLOCK.id));
      assert.equal(block?.createdBy, "second");
      assert.deepEqual(block?.datasets[0]?.sets, [["env", "dev", "type", "mem"]]);
      const shard = fixture.read((db) => findShard(db, 1, WINDOW_MS, 1));
      assert.equal(shard?.summaryMinMs, WINDOW_MS + 100);
      assert.equal(shard?.version, 1);
    };
    check();
    sweepAll(fixture);
    check();
    await fixture.restart();
    check();
  }));

test("delete and refill within one transaction", () =>
  withState((fixture) => {
    fixture.apply([
      entry.addBlocks(BLOCK),
      entry.deleteShard(shardTombstone(1, "acme")),
      entry.addBlocks({ ...BLOCK, createdBy: "second" }),
      entry.deleteShard(shardTombstone(1, "acme")),
      entry.addBlocks({ ...BLOCK, createdBy: "third" }),
    ]);
    assert.equal(fixture.read((db) => readBlock(db, "acme", 1, BLOCK.id))?.createdBy, "third");
    sweepAll(fixture);
    assert.equal(fixture.read((db) => readBlock(db, "acme", 1, BLOCK.id))?.createdBy, "third");
  }));

test("the dictionary of an epoch stays until its last partition goes", () =>
  withState((fixture) => {
    const later = { ...BLOCK, id: ulidAt(WINDOW_MS + 6 * HOUR_MS, 1) };
    fixture.add(BLOCK, later);
    const dictionary = fixture.read((db) => findShard(db, 1, WINDOW_MS, 1))?.dictionary;
    assert.equal(
      fixture.read((db) => findShard(db, 1, WINDOW_MS + 6 * HOUR_MS, 1))?.dictionary,
      dictionary,
    );
    fixture.applyOne(entry.deleteShard(shardTombstone(1, "acme")));
    sweepAll(fixture);
    assert.equal(
      fixture.read((db) => readBlock(db, "acme", 1, later.id))?.datasets[0]?.name,
      "web",
    );
    fixture.add(BLOCK);
    assert.equal(fixture.read((db) => findShard(db, 1, WINDOW_MS, 1))?.dictionary, dictionary);
  }));
