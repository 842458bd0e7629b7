/** Blocks whose rows are put after their outcome is decided: what is decided stays true, whatever comes in between. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { OUTCOME } from "../../src/state/index.ts";
import { readBlock } from "./dump.ts";
import {
  batchOf,
  type BlockSpec,
  type Entry,
  entry,
  shardTombstone,
  type StateFixture,
  ulidAt,
  WINDOW_MS,
  withState,
} from "./support.ts";

const { applied, unchanged } = OUTCOME;
const FIRST_KEY = new Uint8Array(20);
const LAST_KEY = new Uint8Array(20).fill(0xff);

function block(random: number, shard = 1): BlockSpec {
  return { id: ulidAt(WINDOW_MS, random), shard, datasets: [{}] };
}

function stage(fixture: StateFixture, ...entries: readonly Entry[]): number[] {
  const firstIndex = fixture.state.appliedIndex + 1;
  return [...fixture.state.stage([batchOf(entries, { firstIndex })]).outcomes];
}

function add(random: number, shard = 1): Entry {
  return entry.addBlocks(block(random, shard));
}

/** Whether the open transaction has a row of a block. */
function hasRows(fixture: StateFixture): boolean {
  return fixture.db.lastKey("blocks", FIRST_KEY, LAST_KEY) !== null;
}

function isThere(fixture: StateFixture, random: number, shard = 1): boolean {
  const { id } = block(random, shard);
  return fixture.read((db) => readBlock(db, "", shard, id)) !== null;
}

test("a new block is decided before its row is put", () =>
  withState((fixture) => {
    assert.deepEqual(stage(fixture, add(1), add(2)), [applied, applied]);
    assert.equal(hasRows(fixture), false);
    fixture.state.writeStaged();
    assert.equal(hasRows(fixture), true);
    fixture.state.commit();
    assert.ok(isThere(fixture, 1) && isThere(fixture, 2));
  }));

test("a commit puts what is left", () =>
  withState((fixture) => {
    stage(fixture, add(1), add(2));
    fixture.state.commit();
    assert.ok(isThere(fixture, 1) && isThere(fixture, 2));
  }));

test("a block that waits is a duplicate of its repetition, in any order of ids", () =>
  withState((fixture) => {
    assert.deepEqual(
      stage(fixture, add(5), add(5), add(3), add(5), add(3), add(4), add(9), add(9)),
      [applied, unchanged, applied, unchanged, unchanged, applied, applied, unchanged],
    );
    fixture.state.writeStaged();
    assert.deepEqual(stage(fixture, add(9), add(3), add(8)), [unchanged, unchanged, applied]);
    fixture.state.commit();
    for (const random of [3, 4, 5, 8, 9]) assert.ok(isThere(fixture, random), `block ${random}`);
    assert.equal(fixture.state.counters.blocks, 5);
  }));

test("ids are compared as bytes, not as numbers of the machine", () =>
  withState((fixture) => {
    // Above 2^31, and of another order when their bytes are read the other way round.
    const randoms = [0x0000_0100, 0x0000_00ff, 0x8000_0000, 0x7fff_ffff, 0xffff_0000, 0xffff_0001];
    assert.deepEqual(
      stage(fixture, ...randoms.map((random) => add(random))),
      Array(6).fill(applied),
    );
    assert.deepEqual(
      stage(fixture, ...randoms.map((random) => add(random))),
      Array(6).fill(unchanged),
    );
    fixture.state.commit();
    assert.ok(randoms.every((random) => isThere(fixture, random)));
  }));

test("a restart knows the newest id of a shard", () =>
  withState(async (fixture) => {
    fixture.apply([add(5), add(7, 2)]);
    await fixture.restart();
    assert.deepEqual(stage(fixture, add(5), add(4), add(6), add(7, 2), add(6, 2)), [
      unchanged,
      applied,
      applied,
      unchanged,
      applied,
    ]);
    fixture.state.commit();
  }));

test("a block that waits can be replaced in the same transaction", () =>
  withState((fixture) => {
    const source = { tenant: "", shard: 1, blocks: [block(1).id] };
    const replace = entry.replaceBlocks({ newBlocks: [], source });
    assert.deepEqual(stage(fixture, add(1), replace, add(1)), [applied, applied, applied]);
    assert.deepEqual(stage(fixture, replace), [applied]);
    fixture.state.commit();
    assert.equal(isThere(fixture, 1), false);
  }));

test("a shard that goes takes the blocks along that wait", () =>
  withState((fixture) => {
    const gone = entry.deleteShard(shardTombstone(1));
    assert.deepEqual(stage(fixture, add(1), add(1, 2), gone), [applied, applied, applied]);
    fixture.state.commit();
    while (fixture.state.sweep());
    assert.equal(isThere(fixture, 1), false);
    assert.equal(isThere(fixture, 1, 2), true);
    assert.deepEqual(stage(fixture, add(1)), [applied]);
    fixture.state.commit();
    assert.equal(isThere(fixture, 1), true);
  }));

test("more than may wait is put by itself", () =>
  withState((fixture) => {
    const entries = Array.from({ length: 3_000 }, (_, i) => add(i, i % 3));
    assert.ok(stage(fixture, ...entries).every((outcome) => outcome === applied));
    assert.equal(hasRows(fixture), true);
    fixture.state.commit();
    assert.equal(fixture.db.tableStats("blocks").entries, 3_000);
    assert.ok([0, 1, 1_000, 2_999].every((i) => isThere(fixture, i, i % 3)));
  }));

test("a transaction that did not happen leaves nothing that waits", () =>
  withState((fixture) => {
    stage(fixture, add(1));
    // Fails inside the state machine, as a full disk would.
    const put = fixture.db.putPart.bind(fixture.db);
    fixture.db.putPart = () => {
      throw new Error("no space");
    };
    assert.throws(() => fixture.state.writeStaged(), /no space/);
    fixture.db.putPart = put;
    const again = fixture.state.apply([batchOf([add(2)], { firstIndex: 1 })]);
    assert.deepEqual([...again.outcomes], [applied]);
    assert.deepEqual([isThere(fixture, 1), isThere(fixture, 2)], [false, true]);
  }));
