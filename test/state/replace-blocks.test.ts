import assert from "node:assert/strict";
import { test } from "node:test";
import { OUTCOME } from "../../src/state/index.ts";
import { tombstoneExists } from "../../src/state/index.ts";
import { findShard, readBlock } from "./dump.ts";
import {
  type BlockSpec,
  entry,
  HOUR_MS,
  type StateFixture,
  ulidAt,
  WINDOW_MS,
  wireBlock,
  withState,
} from "./support.ts";

const { applied, unchanged } = OUTCOME;

function segment(createdAtMs: number, random: number, shard = 1): BlockSpec {
  return {
    id: ulidAt(createdAtMs, random),
    shard,
    datasets: [{ name: "web" }, { name: "db" }, { name: "web" }],
  };
}

function compactedBlock(createdAtMs: number, random: number, tenant = "acme"): BlockSpec {
  return { ...segment(createdAtMs, random), tenant, level: 1, createdBy: "" };
}

function ids(blocks: readonly BlockSpec[]): string[] {
  return blocks.map(({ id }) => id);
}

function has(fixture: StateFixture, tenant: string, shard: number, id: string): boolean {
  return fixture.read((db) => readBlock(db, tenant, shard, id)) !== null;
}

test("results take the place of sources in several partitions", () =>
  withState((fixture) => {
    const sources = [
      segment(WINDOW_MS, 1),
      segment(WINDOW_MS + 7 * HOUR_MS, 2),
      segment(WINDOW_MS, 3),
    ];
    fixture.add(...sources);
    const result = compactedBlock(WINDOW_MS, 100);
    const outcome = fixture.applyOne(
      entry.replaceBlocks({
        source: { tenant: "", shard: 1, blocks: ids(sources.slice(0, 2)) },
        newBlocks: [wireBlock(result)],
      }),
    );
    assert.equal(outcome, applied);
    assert.equal(has(fixture, "", 1, sources[0]?.id ?? ""), false);
    assert.equal(has(fixture, "", 1, sources[1]?.id ?? ""), false);
    assert.equal(has(fixture, "", 1, sources[2]?.id ?? ""), true);
    assert.equal(has(fixture, "acme", 1, result.id), true);
    assert.equal(fixture.state.counters.blocks, 2);
  }));

test("an emptied shard stays, with its summary, and forgets its live bounds", () =>
  withState((fixture) => {
    const source = segment(WINDOW_MS, 1);
    fixture.add(source);
    fixture.applyOne(
      entry.replaceBlocks({ source: { tenant: "", shard: 1, blocks: [source.id] }, newBlocks: [] }),
    );
    const shard = fixture.read((db) => findShard(db, 0, WINDOW_MS, 1));
    assert.equal(shard?.blocks, 0);
    assert.equal(shard?.summaryMinMs, WINDOW_MS);
    assert.equal(shard?.liveMinMs, Number.POSITIVE_INFINITY);
    assert.equal(fixture.state.counters.shards, 1);
    fixture.add({ ...source, minTimeMs: 5, maxTimeMs: 6 });
    const again = fixture.read((db) => findShard(db, 0, WINDOW_MS, 1));
    assert.equal(again?.liveMaxMs, 6);
    assert.equal(again?.summaryMaxMs, WINDOW_MS + HOUR_MS);
  }));

test("sources that are elsewhere or nowhere are ignored", () =>
  withState((fixture) => {
    const source = segment(WINDOW_MS, 1);
    fixture.add(source);
    for (const place of [
      { tenant: "", shard: 2, blocks: [source.id] },
      { tenant: "nobody", shard: 1, blocks: [source.id] },
      { tenant: "", shard: 1, blocks: [ulidAt(WINDOW_MS, 77), ulidAt(0, 1)] },
      { tenant: "", shard: 1, blocks: [] },
    ]) {
      assert.equal(
        fixture.applyOne(entry.replaceBlocks({ source: place, newBlocks: [] })),
        unchanged,
      );
    }
    assert.equal(has(fixture, "", 1, source.id), true);
  }));

test("an id listed twice is removed once", () =>
  withState((fixture) => {
    const source = segment(WINDOW_MS, 1);
    fixture.add(source, segment(WINDOW_MS, 2));
    fixture.applyOne(
      entry.replaceBlocks({
        source: { tenant: "", shard: 1, blocks: [source.id, source.id] },
        newBlocks: [],
      }),
    );
    assert.equal(fixture.state.counters.blocks, 1);
  }));

test("an id in both lists under the same owner and shard ends up removed", () =>
  withState((fixture) => {
    const both = compactedBlock(WINDOW_MS, 1);
    fixture.applyOne(
      entry.replaceBlocks({
        source: { tenant: "acme", shard: 1, blocks: [both.id] },
        newBlocks: [wireBlock(both)],
      }),
    );
    assert.equal(has(fixture, "acme", 1, both.id), false);
  }));

test("a replacement with a bad block is refused as a whole", () =>
  withState((fixture) => {
    const source = segment(WINDOW_MS, 1);
    fixture.add(source);
    const replacement = {
      source: { tenant: "", shard: 1, blocks: [source.id] },
      newBlocks: [wireBlock(compactedBlock(WINDOW_MS, 2)), new Uint8Array(64)],
    };
    assert.equal(fixture.applyOne(entry.replaceBlocks(replacement)), "bad_block");
    assert.equal(has(fixture, "", 1, source.id), true);
    assert.equal(fixture.state.counters.owners, 1);
  }));

test("a completed job replaces its sources and protects them", () =>
  withState((fixture) => {
    const sources = [segment(WINDOW_MS, 1), segment(WINDOW_MS, 2)];
    fixture.add(...sources);
    const job = {
      name: "job-1",
      compactionLevel: 0,
      compacted: {
        source: { tenant: "", shard: 1, blocks: ids(sources) },
        newBlocks: [
          wireBlock(compactedBlock(WINDOW_MS, 10)),
          wireBlock(compactedBlock(WINDOW_MS, 11, "globex")),
        ],
      },
    };
    assert.equal(fixture.applyOne(entry.completeJobs(job)), applied);
    assert.equal(fixture.state.counters.blocks, 2);
    for (const source of sources) {
      assert.equal(fixture.add(source), unchanged);
      assert.equal(has(fixture, "", 1, source.id), false);
      assert.equal(
        fixture.read((db) => tombstoneExists(db, "", 1, source.id)),
        true,
      );
    }
    assert.equal(fixture.state.metrics.blocksTombstoned, 2);
    assert.equal(fixture.add({ ...(sources[0] as BlockSpec), shard: 2 }), applied);
    assert.equal(fixture.add({ ...(sources[0] as BlockSpec), tenant: "acme" }), applied);
    assert.equal(fixture.applyOne(entry.completeJobs(job)), unchanged);
  }));

test("jobs without results, sources or new blocks are skipped entirely", () =>
  withState((fixture) => {
    const source = segment(WINDOW_MS, 1);
    fixture.add(source);
    const newBlocks = [wireBlock(compactedBlock(WINDOW_MS, 2))];
    const jobs = [
      { name: "a", compactionLevel: 0, compacted: null },
      { name: "b", compactionLevel: 0, compacted: { source: null, newBlocks } },
      {
        name: "c",
        compactionLevel: 0,
        compacted: { source: { tenant: "", shard: 1, blocks: [source.id] }, newBlocks: [] },
      },
    ];
    assert.equal(fixture.applyOne(entry.completeJobs(...jobs)), unchanged);
    assert.equal(has(fixture, "", 1, source.id), true);
    assert.equal(fixture.state.counters.tombstones, 0);
    assert.equal(fixture.state.counters.blocks, 1);
  }));

test("a source listed for a shard where it is not stays, though it is protected there", () =>
  withState((fixture) => {
    const source = segment(WINDOW_MS, 1);
    fixture.add(source);
    fixture.applyOne(
      entry.completeJobs({
        name: "job",
        compactionLevel: 0,
        compacted: {
          source: { tenant: "", shard: 2, blocks: [source.id] },
          newBlocks: [wireBlock(compactedBlock(WINDOW_MS, 2))],
        },
      }),
    );
    assert.equal(has(fixture, "", 1, source.id), true);
    assert.equal(fixture.add({ ...source, shard: 2 }), unchanged);
  }));

test("blocks are removed from the postings as well as from the tail", () =>
  withState((fixture) => {
    const blocks = Array.from({ length: 1_200 }, (_, i) => ({
      id: ulidAt(WINDOW_MS + (i % 7) * 1_000, i),
      shard: 1,
      datasets: [{ name: `s${i % 11}` }, { name: `s${i % 3}` }],
    }));
    for (let i = 0; i < blocks.length; i += 50) fixture.add(...blocks.slice(i, i + 50));
    assert.equal(fixture.state.metrics.tailFlushes, 1);
    // Every third block, from both sides; then the rest.
    for (const rest of [0, 1, 2]) {
      const gone = blocks.filter((_, i) => i % 3 === rest);
      fixture.applyOne(
        entry.replaceBlocks({ source: { tenant: "", shard: 1, blocks: ids(gone) }, newBlocks: [] }),
      );
      assert.equal(fixture.state.metrics.blocksRemoved, 400 * (rest + 1));
    }
    assert.equal(fixture.state.counters.datasets, 0);
    for (const table of ["blocks", "tails", "tailKeys", "postings", "directory"] as const) {
      assert.equal(fixture.db.tableStats(table).entries, 0, table);
    }
  }));

test("a block with more datasets than a tail holds is moved to the postings at once", () =>
  withState((fixture) => {
    const block: BlockSpec = {
      id: ulidAt(WINDOW_MS, 1),
      datasets: Array.from({ length: 2_000 }, (_, i) => ({ name: `s${i % 5}` })),
    };
    fixture.add(block);
    assert.equal(fixture.state.metrics.tailFlushes, 1);
    assert.equal(fixture.state.metrics.postingRuns, 5);
    fixture.applyOne(
      entry.replaceBlocks({ source: { tenant: "", shard: 1, blocks: [block.id] }, newBlocks: [] }),
    );
    assert.equal(fixture.state.counters.datasets, 0);
  }));
