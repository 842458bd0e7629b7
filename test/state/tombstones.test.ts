import assert from "node:assert/strict";
import { test } from "node:test";
import type { BlockTombstones, Tombstone } from "../../src/protocol/index.ts";
import { listTombstones, OUTCOME, tombstoneExists } from "../../src/state/index.ts";
import {
  entry,
  shardTombstone,
  type StateFixture,
  ulidAt,
  WINDOW_MS,
  withState,
} from "./support.ts";

const { applied, unchanged } = OUTCOME;
const ID = ulidAt(WINDOW_MS, 1);

function ofBlocks(name: string, changes: Partial<BlockTombstones> = {}): Tombstone {
  return {
    blocks: { name, shard: 1, tenant: "acme", compactionLevel: 0, blocks: [ID], ...changes },
    shard: null,
  };
}

function ofShard(shard: number, tenant = "", changes = {}): Tombstone {
  return { blocks: null, shard: shardTombstone(shard, tenant, changes) };
}

function names(fixture: StateFixture, beforeMs = Number.POSITIVE_INFINITY): string[] {
  return fixture.read((db) => listTombstones(db, beforeMs)).map(({ name }) => name);
}

function exists(fixture: StateFixture, tenant: string, shard: number, block: string): boolean {
  return fixture.read((db) => tombstoneExists(db, tenant, shard, block));
}

test("a tombstone protects exactly its owner, shard and ids", () =>
  withState((fixture) => {
    fixture.applyOne(entry.addTombstones(ofBlocks("t", { blocks: ["b1", "b2"] })));
    assert.equal(exists(fixture, "acme", 1, "b1"), true);
    assert.equal(exists(fixture, "acme", 1, "b2"), true);
    assert.equal(exists(fixture, "acme", 1, "b"), false);
    assert.equal(exists(fixture, "acme", 1, "b11"), false);
    assert.equal(exists(fixture, "acme", 2, "b1"), false);
    assert.equal(exists(fixture, "", 1, "b1"), false);
    assert.equal(exists(fixture, "nobody", 1, "b1"), false);
    assert.equal(exists(fixture, "x".repeat(5_000), 1, "b1"), false);
    assert.equal(exists(fixture, "acme", 1, "b".repeat(5_000)), false);
  }));

test("shard tombstones protect nothing", () =>
  withState((fixture) => {
    fixture.applyOne(entry.addTombstones(ofShard(1, "acme")));
    assert.equal(fixture.state.counters.tombstones, 1);
    assert.equal(fixture.state.counters.tombstoneIds, 0);
    assert.equal(fixture.add({ id: ID, tenant: "acme" }), applied);
  }));

test("a tombstone with a known name is ignored as a whole", () =>
  withState((fixture) => {
    assert.equal(fixture.applyOne(entry.addTombstones(ofBlocks("t"))), applied);
    assert.equal(
      fixture.applyOne(entry.addTombstones(ofBlocks("t", { blocks: ["other"] }))),
      unchanged,
    );
    assert.equal(exists(fixture, "acme", 1, "other"), false);
    // Blocks and shards share one name space.
    assert.equal(
      fixture.applyOne(entry.addTombstones(ofShard(1, "acme", { name: "t" }))),
      unchanged,
    );
    assert.deepEqual(names(fixture), ["t"]);
  }));

test("a tombstone without a name is not recorded", () =>
  withState((fixture) => {
    const both = { blocks: { ...ofBlocks("").blocks!, name: "" }, shard: shardTombstone(1) };
    for (const tombstone of [
      ofBlocks(""),
      ofShard(1, "", { name: "" }),
      { blocks: null, shard: null },
      both,
    ]) {
      assert.equal(fixture.applyOne(entry.addTombstones(tombstone)), unchanged);
    }
    assert.deepEqual(names(fixture), []);
  }));

test("listing keeps the order of recording and stops at the bound", () =>
  withState(async (fixture) => {
    fixture.applyOne(entry.addTombstones(ofBlocks("t2"), ofBlocks("t1"), ofBlocks("t2")), {
      appendedAtMs: 100,
    });
    fixture.applyOne(entry.addTombstones(ofBlocks("t0")), { appendedAtMs: 200 });
    assert.deepEqual(names(fixture, 100), []);
    assert.deepEqual(names(fixture, 101), ["t2", "t1"]);
    assert.deepEqual(names(fixture, 200), ["t2", "t1"]);
    assert.deepEqual(names(fixture, 201), ["t2", "t1", "t0"]);
    await fixture.restart();
    assert.deepEqual(names(fixture, 201), ["t2", "t1", "t0"]);
    assert.equal(exists(fixture, "acme", 1, ID), true);
    assert.equal(fixture.read((db) => listTombstones(db, 201, 2)).length, 2);
  }));

test("a listed tombstone carries everything that was recorded", () =>
  withState((fixture) => {
    const tombstone = ofBlocks("job", { blocks: ["b1", "é"], compactionLevel: 2 });
    fixture.applyOne(entry.addTombstones(tombstone, ofShard(7, "acme")), { appendedAtMs: 100 });
    const [first, second] = fixture.read((db) => listTombstones(db, 101));
    assert.deepEqual(first, { name: "job", index: 1, position: 0, appendedAtMs: 100, tombstone });
    assert.deepEqual(second?.tombstone, ofShard(7, "acme"));
  }));

test("deleting goes by name only", () =>
  withState((fixture) => {
    fixture.applyOne(entry.addTombstones(ofBlocks("t"), ofShard(1)));
    assert.equal(fixture.applyOne(entry.deleteTombstones(ofBlocks("unknown"))), unchanged);
    assert.equal(fixture.applyOne(entry.deleteTombstones(ofShard(5, "x", { name: "t" }))), applied);
    assert.equal(exists(fixture, "acme", 1, ID), false);
    assert.equal(fixture.applyOne(entry.deleteTombstones(ofBlocks("t"))), unchanged);
    assert.deepEqual(names(fixture), ["window-Tanonymous-S1"]);
    assert.equal(fixture.applyOne(entry.addTombstones(ofBlocks("t"))), applied);
  }));

test("an id listed by two tombstones is protected until both are gone", () =>
  withState((fixture) => {
    fixture.applyOne(entry.addTombstones(ofBlocks("a"), ofBlocks("b", { blocks: [ID, ID] })));
    fixture.applyOne(entry.deleteTombstones(ofBlocks("b")));
    assert.equal(fixture.add({ id: ID, tenant: "acme" }), unchanged);
    fixture.applyOne(entry.deleteTombstones(ofBlocks("a")));
    assert.equal(exists(fixture, "acme", 1, ID), false);
    assert.equal(fixture.add({ id: ID, tenant: "acme" }), applied);
  }));

test("protection holds right after a restart", () =>
  withState(async (fixture) => {
    fixture.applyOne(entry.addTombstones(ofBlocks("t", { tenant: "", blocks: [ID, "no ulid"] })));
    await fixture.restart();
    assert.equal(fixture.add({ id: ID }), unchanged);
    assert.equal(fixture.add({ id: ulidAt(WINDOW_MS, 2) }), applied);
  }));

test("an id too long for a key is refused, one at the limit is not", () =>
  withState((fixture) => {
    const { outcomes } = fixture.apply([
      entry.addTombstones(ofBlocks("t", { blocks: ["x".repeat(256)] })),
      entry.addTombstones(ofBlocks("u", { blocks: ["x".repeat(257)] })),
    ]);
    assert.deepEqual([...outcomes], [applied, OUTCOME.rejected]);
    assert.equal(exists(fixture, "acme", 1, "x".repeat(256)), true);
  }));

test("truncation deletes shards and records tombstones, in its own term only", () =>
  withState((fixture) => {
    fixture.add({ id: ID, tenant: "acme" });
    const truncation = entry.truncateIndex({ term: 3, tombstones: [ofShard(1, "acme")] });
    for (const term of [2, 4]) {
      assert.equal(fixture.applyOne(truncation, { term }), unchanged);
      assert.equal(fixture.state.counters.shards, 1);
      assert.deepEqual(names(fixture), []);
    }
    assert.equal(fixture.state.metrics.truncationsIgnored, 2);
    assert.equal(fixture.applyOne(truncation, { term: 3 }), applied);
    assert.equal(fixture.state.counters.shards, 0);
    assert.deepEqual(names(fixture), ["window-Tacme-S1"]);
  }));

test("truncation records shards that are gone, and deletes shards without a name", () =>
  withState((fixture) => {
    fixture.add({ id: ID, shard: 2 });
    const tombstones = [ofShard(1), ofShard(2, "", { name: "" }), ofBlocks("only blocks")];
    fixture.applyOne(entry.truncateIndex({ term: 1, tombstones }));
    assert.equal(fixture.state.counters.shards, 0);
    assert.deepEqual(names(fixture), ["window-Tanonymous-S1", "only blocks"]);
  }));

test("a shard that really left the index leaves a tombstone though its name is taken", () =>
  withState((fixture) => {
    const truncate = (tenant: string): unknown =>
      fixture.applyOne(entry.truncateIndex({ term: 1, tombstones: [ofShard(1, tenant)] }));
    fixture.add({ id: ID }, { id: ID, tenant: "anonymous" });
    truncate("");
    // The tenant "anonymous" gets the same name as the anonymous owner.
    truncate("anonymous");
    assert.deepEqual(names(fixture), ["window-Tanonymous-S1", "window-Tanonymous-S1 #3.0"]);
    // Nothing there any more: a known name is ignored.
    truncate("anonymous");
    assert.equal(names(fixture).length, 2);
    fixture.add({ id: ID });
    truncate("");
    assert.equal(names(fixture).length, 3);
    fixture.applyOne(entry.deleteTombstones(ofShard(1, "", { name: "window-Tanonymous-S1 #3.0" })));
    assert.equal(names(fixture).length, 2);
  }));
