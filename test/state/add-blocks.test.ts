import assert from "node:assert/strict";
import { test } from "node:test";
import { OUTCOME, STATE_LIMITS } from "../../src/state/index.ts";
import { findShard, readBlock } from "./dump.ts";
import {
  type BlockSpec,
  blockMeta,
  entry,
  HOUR_MS,
  StateFixture,
  ulidAt,
  WINDOW_MS,
  wireBlock,
  wireBytes,
  withState,
} from "./support.ts";

const { applied, unchanged } = OUTCOME;

const BLOCK: BlockSpec = {
  id: ulidAt(WINDOW_MS, 1),
  shard: 3,
  datasets: [
    {
      tenant: "acme",
      name: "web",
      sets: [
        [
          ["service_name", "web"],
          ["type", "cpu"],
        ],
        [["type", "mem"]],
        [],
      ],
    },
    { tenant: "globex", name: "db", minTimeMs: WINDOW_MS + 5, maxTimeMs: WINDOW_MS + 6 },
    { tenant: "acme", name: "web", sets: [] },
  ],
};

test("a block comes back as it was added", () =>
  withState((fixture) => {
    assert.equal(fixture.add(BLOCK), applied);
    const block = fixture.read((db) => readBlock(db, "", 3, BLOCK.id));
    assert.deepEqual(block, {
      id: BLOCK.id,
      tenant: "",
      createdBy: "writer-1",
      level: 0,
      minTimeMs: WINDOW_MS,
      maxTimeMs: WINDOW_MS + HOUR_MS,
      sizeBytes: 1_000,
      datasets: [
        {
          tenant: "acme",
          name: "web",
          sets: [["service_name", "web", "type", "cpu"], ["type", "mem"], []],
          minTimeMs: WINDOW_MS,
          maxTimeMs: WINDOW_MS + HOUR_MS,
          toc: [1n, 2n, 3n],
        },
        {
          tenant: "globex",
          name: "db",
          sets: [["service_name", "db"]],
          minTimeMs: WINDOW_MS + 5,
          maxTimeMs: WINDOW_MS + 6,
          toc: [1n, 2n, 3n],
        },
        {
          tenant: "acme",
          name: "web",
          sets: [],
          minTimeMs: WINDOW_MS,
          maxTimeMs: WINDOW_MS + HOUR_MS,
          toc: [1n, 2n, 3n],
        },
      ],
    });
  }));

test("a repeat with equal content changes nothing at all", () =>
  withState((fixture) => {
    fixture.add(BLOCK);
    const before = fixture.read((db) => findShard(db, 0, WINDOW_MS, 3));
    assert.equal(fixture.add(BLOCK), unchanged);
    assert.deepEqual(
      fixture.read((db) => findShard(db, 0, WINDOW_MS, 3)),
      before,
    );
    assert.equal(fixture.state.counters.blocks, 1);
  }));

test("a repeat with other content changes nothing: the first write wins", () =>
  withState((fixture) => {
    fixture.add(BLOCK);
    const before = fixture.read((db) => readBlock(db, "", 3, BLOCK.id));
    assert.equal(
      fixture.add({
        ...BLOCK,
        createdBy: "somebody new",
        minTimeMs: 1,
        datasets: [{ name: "other" }],
      }),
      unchanged,
    );
    assert.deepEqual(
      fixture.read((db) => readBlock(db, "", 3, BLOCK.id)),
      before,
    );
    assert.equal(fixture.state.metrics.blocksDuplicate, 1);
  }));

test("the same id under another shard or owner is another block", () =>
  withState((fixture) => {
    fixture.add(BLOCK);
    assert.equal(fixture.add({ ...BLOCK, shard: 4 }), applied);
    assert.equal(fixture.add({ ...BLOCK, tenant: "acme" }), applied);
    assert.equal(fixture.state.counters.blocks, 3);
    assert.equal(fixture.state.counters.owners, 2);
  }));

test("blocks on both sides of a window boundary go to different partitions", () =>
  withState((fixture) => {
    const boundary = WINDOW_MS + 6 * HOUR_MS;
    fixture.add({ id: ulidAt(boundary - 1) }, { id: ulidAt(boundary) });
    assert.equal(fixture.state.counters.partitions, 2);
    assert.equal(fixture.read((db) => findShard(db, 0, WINDOW_MS, 1))?.blocks, 1);
    assert.equal(fixture.read((db) => findShard(db, 0, boundary, 1))?.blocks, 1);
  }));

test("the shard summary keeps times at and before the epoch", () =>
  withState((fixture) => {
    fixture.add({ id: ulidAt(WINDOW_MS, 1), minTimeMs: -20, maxTimeMs: -10 });
    fixture.add({ id: ulidAt(WINDOW_MS, 2), minTimeMs: 0, maxTimeMs: 0 });
    fixture.add({ id: ulidAt(WINDOW_MS, 3), minTimeMs: 5, maxTimeMs: 6 });
    const shard = fixture.read((db) => findShard(db, 0, WINDOW_MS, 1));
    assert.equal(shard?.summaryMinMs, -20);
    assert.equal(shard?.summaryMaxMs, 6);
    assert.equal(shard?.version, 3);
  }));

test("a block without datasets, strings and labels is stored", () =>
  withState((fixture) => {
    const bare = { ...blockMeta({ id: ulidAt(WINDOW_MS, 9) }), createdBy: 0, stringTable: [] };
    assert.equal(fixture.applyOne(entry.addBlocks(wireBytes(bare))), applied);
    const block = fixture.read((db) => readBlock(db, "", 1, bare.id));
    assert.equal(block?.createdBy, "");
    assert.deepEqual(block?.datasets, []);
  }));

test("several blocks of one entry are all added", () =>
  withState((fixture) => {
    const blocks = Array.from({ length: 5 }, (_, i) => ({ ...BLOCK, id: ulidAt(WINDOW_MS, i) }));
    assert.equal(fixture.add(...blocks), applied);
    assert.equal(fixture.state.counters.blocks, 5);
    assert.equal(fixture.add(...blocks), unchanged);
    assert.equal(fixture.add(...blocks, { ...BLOCK, id: ulidAt(WINDOW_MS, 99) }), applied);
    assert.equal(fixture.state.counters.blocks, 6);
  }));

test("one bad block in an entry refuses the whole entry", () =>
  withState((fixture) => {
    const bad = wireBlock({ ...BLOCK, id: ulidAt(WINDOW_MS, 2) });
    new DataView(bad.buffer).setInt32(24 + 64, 1_000, true);
    assert.equal(fixture.applyOne(entry.addBlocks(BLOCK, bad)), "bad_block");
    assert.equal(fixture.state.counters.blocks, 0);
    assert.equal(fixture.state.counters.shards, 0);
    assert.equal(fixture.state.metrics.rejected.bad_block, 1);
    assert.equal(fixture.state.appliedIndex, 1);
  }));

test("strings that other blocks of the dictionary brought are not mixed up", () =>
  withState((fixture) => {
    fixture.add(BLOCK);
    const reordered = {
      ...BLOCK,
      id: ulidAt(WINDOW_MS, 2),
      stringsFirst: ["zebra", "mem", "type", "", "db", "globex"],
    };
    fixture.add(reordered);
    const first = fixture.read((db) => readBlock(db, "", 3, BLOCK.id));
    const second = fixture.read((db) => readBlock(db, "", 3, reordered.id));
    assert.deepEqual(second?.datasets, first?.datasets);
  }));

test("a dictionary grows over many chunks and is found again after a restart", () =>
  withState(async (fixture) => {
    const blocks = Array.from({ length: 700 }, (_, i) => ({
      id: ulidAt(WINDOW_MS, i),
      createdBy: `writer-${i}`,
      datasets: [{ name: `service-${i}`, tenant: `tenant-${i % 7}` }],
    }));
    fixture.add(...blocks.slice(0, 400));
    await fixture.restart();
    fixture.add(...blocks.slice(300));
    assert.equal(fixture.state.counters.blocks, 700);
    for (const i of [0, 255, 256, 399, 400, 699]) {
      const block = fixture.read((db) => readBlock(db, "", 1, ulidAt(WINDOW_MS, i)));
      assert.equal(block?.createdBy, `writer-${i}`);
      assert.equal(block?.datasets[0]?.name, `service-${i}`);
    }
  }));

test("long strings close a chunk early and are found again", () =>
  withState(async (fixture) => {
    const long = (i: number): string => `${i}`.padEnd(16_000, "x");
    const blocks = Array.from({ length: 40 }, (_, i) => ({
      id: ulidAt(WINDOW_MS, i),
      datasets: [{ name: long(i) }],
    }));
    for (const block of blocks) fixture.add(block);
    await fixture.restart();
    for (const [i, block] of blocks.entries()) {
      fixture.add({ ...block, id: ulidAt(WINDOW_MS + 1, i) });
      const stored = fixture.read((db) => readBlock(db, "", 1, ulidAt(WINDOW_MS + 1, i)));
      assert.equal(stored?.datasets[0]?.name, long(i));
    }
  }));

test("tenant and label strings may hold any text", () =>
  withState((fixture) => {
    const tenant = "-";
    fixture.add({ ...BLOCK, tenant, datasets: [{ tenant: "anonymous", name: "naïve \u{1F600}" }] });
    assert.equal(
      fixture.read((db) => readBlock(db, "", 3, BLOCK.id)),
      null,
    );
    const block = fixture.read((db) => readBlock(db, tenant, 3, BLOCK.id));
    assert.equal(block?.tenant, "-");
    assert.equal(block?.datasets[0]?.name, "naïve \u{1F600}");
  }));

test("a partition takes shards up to the limit and refuses the entry that could exceed it", async () => {
  const fixture = new StateFixture();
  try {
    const limit = STATE_LIMITS.shardsPerPartitionMax;
    const step = 8_192;
    for (let first = 0; first < limit; first += step) {
      const blocks = Array.from({ length: step }, (_, i) => ({ id: BLOCK.id, shard: first + i }));
      assert.equal(fixture.add(...blocks), applied);
    }
    assert.equal(fixture.state.counters.shards, limit);
    assert.equal(fixture.add({ id: BLOCK.id, shard: limit }), "index_full");
    assert.equal(fixture.state.counters.shards, limit);
    assert.equal(fixture.add({ id: ulidAt(WINDOW_MS + 6 * HOUR_MS), shard: limit }), applied);
  } finally {
    await fixture.close();
  }
});
