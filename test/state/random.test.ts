import assert from "node:assert/strict";
import { test } from "node:test";
import { verifyIndex } from "../../src/state/index.ts";
import { dumpTables, readBlock } from "./dump.ts";
import { Random, RandomEntries } from "./random-entries.ts";
import { batchOf, type Entry, type StateFixture, withState } from "./support.ts";

const SEEDS = [1, 2];
const ENTRIES = 400;

function sweepAll(fixture: StateFixture): void {
  while (fixture.state.sweep());
}

function logOf(seed: number): { entries: Entry[]; source: RandomEntries } {
  const source = new RandomEntries(seed);
  return { entries: Array.from({ length: ENTRIES }, () => source.next()), source };
}

/** Applies the log in pieces of random size, some of which repeat entries applied before; commits some of them. */
function applyInPieces(fixture: StateFixture, entries: readonly Entry[], seed: number): void {
  const random = new Random(seed);
  let at = 0;
  while (at < entries.length) {
    const end = Math.min(entries.length, at + 1 + random.below(40));
    const from = Math.max(0, at - random.below(3));
    const middle = from + Math.floor((end - from) / 2);
    fixture.state.stage(
      [
        batchOf(entries.slice(from, middle), { firstIndex: from + 1, appendedAtMs: 1 }),
        batchOf(entries.slice(middle, end), { firstIndex: middle + 1, appendedAtMs: 1 }),
      ].filter(({ count }) => count > 0),
    );
    if (random.below(2) === 0) fixture.state.writeStaged();
    if (random.below(3) > 0) fixture.state.commit();
    at = end;
  }
  fixture.state.commit();
}

for (const seed of SEEDS) {
  test(`index stays sound and holds the blocks of the model, seed ${seed}`, () =>
    withState(async (fixture) => {
      const source = new RandomEntries(seed);
      for (let i = 0; i < ENTRIES; i++) {
        fixture.apply([source.next()]);
        if (i % 150 === 149) {
          assert.deepEqual(fixture.read(verifyIndex).problems, [], `seed ${seed}, entry ${i}`);
          await fixture.restart();
        }
      }
      const { blocks } = source;
      assert.equal(fixture.state.counters.blocks, blocks.length, `seed ${seed}`);
      for (const { tenant, shard, id } of blocks) {
        const found = fixture.read((db) => readBlock(db, tenant, shard, id));
        assert.equal(found?.id, id, `seed ${seed}, ${tenant}/${shard}/${id}`);
      }
    }));

  test(`the same log leaves the same rows, however it is cut and cached, seed ${seed}`, () =>
    withState(async (whole) => {
      const { entries } = logOf(seed);
      whole.state.apply([batchOf(entries, { firstIndex: 1, appendedAtMs: 1 })]);
      sweepAll(whole);
      assert.equal(whole.state.metrics.tailFlushes > 0, true, "the log must reach the postings");
      const expected = whole.read(dumpTables);
      const tiny = { dictionaryCacheBytes: 0, shardCacheCount: 0, partitionCacheCount: 0 };
      for (const options of [{}, { ...tiny, sweepRowsPerTransaction: 3 }]) {
        await withState((pieces) => {
          applyInPieces(pieces, entries, seed);
          sweepAll(pieces);
          assert.deepEqual(pieces.read(dumpTables), expected, `seed ${seed}`);
        }, options);
      }
    }));
}
