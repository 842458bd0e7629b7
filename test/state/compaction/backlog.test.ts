/** The backlog and the tombstones by owner, as the metrics show them: complete in sum, bounded in series. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  COMMAND,
  encodeControlJobs,
  encodePlanUpdate,
  encodePolicyCommand,
  type Tombstone,
} from "../../../src/protocol/index.ts";
import { COMPACTION_DEFAULTS, listJobs, prepare } from "../../../src/state/index.ts";
import {
  entry,
  shardTombstone,
  type StateFixture,
  ulidAt,
  WINDOW_MS,
  withState,
} from "../support.ts";

const DUE_MS = 1_000;

function turnOn(fixture: StateFixture, changes: object = {}): void {
  const base = { ...COMPACTION_DEFAULTS, ...changes };
  const payload = encodePolicyCommand(JSON.stringify({ base }));
  assert.equal(fixture.applyOne({ command: COMMAND.changeCompactionPolicy, payload }), 0);
}

/** `counts[i]` blocks of level 1 in shard i of tenant i. */
function fill(fixture: StateFixture, counts: readonly number[]): void {
  let random = 0;
  for (const [shard, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      const id = ulidAt(WINDOW_MS + DUE_MS, ++random);
      fixture.add({ id, shard, level: 1, tenant: `t${shard}` });
    }
  }
}

describe("backlog by owner", () => {
  it("names every queue as long as they are few, with the age of its oldest batch", () =>
    withState((fixture) => {
      turnOn(fixture, {
        levels: COMPACTION_DEFAULTS.levels.map((level) => ({ ...level, maxBlocks: 2 })),
      });
      fill(fixture, [3, 1]);
      const rows = fixture.state.compaction.backlog(10);
      assert.deepEqual(
        rows.map(({ queue, blocks, batches }) => [queue?.tenant, queue?.shard, blocks, batches]),
        [
          ["t0", 0, 3, 1],
          ["t1", 1, 1, 0],
        ],
      );
      // Of the batch that was full first, not of the block behind it.
      assert.ok((rows[0]?.queue?.oldestAtMs ?? 0) < (rows[1]?.queue?.oldestAtMs ?? 0));
    }));

  it("names the largest of many, of equal ones no more than there is room for, and sums up the rest", () =>
    withState((fixture) => {
      turnOn(fixture);
      const counts = [1, 4, 1, 9, 1, 1, 4];
      fill(fixture, counts);
      const total = counts.reduce((sum, count) => sum + count, 0);
      for (let namedMax = 0; namedMax <= counts.length + 1; namedMax++) {
        const rows = fixture.state.compaction.backlog(namedMax);
        const named = rows.filter(({ queue }) => queue !== null);
        assert.equal(named.length, Math.min(namedMax, counts.length), `${namedMax}`);
        assert.equal(
          rows.reduce((sum, { blocks }) => sum + blocks, 0),
          total,
          `${namedMax}`,
        );
        const largest = [...counts].sort((a, b) => b - a).slice(0, namedMax);
        const sizes = named.map(({ blocks }) => blocks).sort((a, b) => b - a);
        assert.deepEqual(sizes, largest, `${namedMax}`);
      }
    }));
});

describe("jobs of one tenant", () => {
  it("are made up to its own limit; the others have room, and so has it once one is gone", () =>
    withState((fixture) => {
      const levels = COMPACTION_DEFAULTS.levels.map((level) => ({ ...level, maxBlocks: 1 }));
      turnOn(fixture, { levels, tenants: { t0: { jobsMax: 2 } } });
      fill(fixture, [5, 3]);
      const made = (): string[] => {
        const nowMs = WINDOW_MS + 60_000;
        const token = fixture.state.appliedIndex + 1;
        const polls = [{ worker: "", requestId: 0, capacity: 100, reports: [] }];
        const prepared = fixture.read((db) => prepare(db, polls, { nowMs, token, term: 1 }));
        assert.ok(prepared !== null);
        const payload = encodePlanUpdate(prepared.plan);
        assert.equal(fixture.applyOne({ command: COMMAND.updateCompactionPlan, payload }), 0);
        return prepared.plan.newJobs.map(({ plan }) => plan.tenant).sort();
      };
      assert.deepEqual(made(), ["t0", "t0", "t1", "t1", "t1"]);
      assert.deepEqual(made(), []);
      const [name] = fixture
        .read((db) => listJobs(db, 10))
        .map((job) => job.name)
        .filter((job) => job.includes("-Tt0-"));
      const payload = encodeControlJobs({ action: "cancel", names: [name ?? ""], reason: "" });
      assert.equal(fixture.applyOne({ command: COMMAND.controlJobs, payload }), 0);
      assert.deepEqual(made(), ["t0"]);
    }));
});

function blocksTombstone(name: string, tenant: string): Tombstone {
  return { blocks: { name, tenant, shard: 1, compactionLevel: 0, blocks: ["a"] }, shard: null };
}

describe("tombstones by owner", () => {
  it("are counted from the rows, and kept as they come and go", () =>
    withState(async (fixture) => {
      const first = blocksTombstone("one", "acme");
      const shard = { blocks: null, shard: shardTombstone(3, "acme") };
      fixture.applyOne(entry.addTombstones(first, shard, blocksTombstone("two", "")));
      const counts = (): Map<string, [number, number]> =>
        new Map(
          (fixture.state.countTombstones() ?? assert.fail("not counted")).map(
            ({ tenant, blocks, shards }) => [tenant, [blocks, shards]],
          ),
        );
      assert.deepEqual(
        counts(),
        new Map([
          ["acme", [1, 1]],
          ["", [1, 0]],
        ]),
      );
      fixture.applyOne(entry.deleteTombstones(first));
      fixture.applyOne(entry.addTombstones(blocksTombstone("three", "other")));
      const wanted = new Map([
        ["acme", [0, 1]],
        ["", [1, 0]],
        ["other", [1, 0]],
      ]);
      assert.deepEqual(counts(), wanted);
      await fixture.restart();
      assert.deepEqual(counts(), wanted);
    }));

  it("are right whatever happens while the count is under way", () =>
    withState(async (fixture) => {
      const named = (i: number): Tombstone => blocksTombstone(`n${i}`, "acme");
      const many = Array.from({ length: 2_500 }, (_, i) => named(i));
      fixture.applyOne(entry.addTombstones(...many));
      await fixture.restart();
      assert.equal(fixture.state.countTombstones(), null);
      // One that was counted already, one that is still to be, and one behind all.
      fixture.applyOne(entry.deleteTombstones(named(3), named(2_400)));
      fixture.applyOne(entry.addTombstones(named(9_000)));
      assert.equal(fixture.state.countTombstones(), null);
      const [acme] = fixture.state.countTombstones() ?? [];
      assert.deepEqual(acme, { tenant: "acme", blocks: 2_499, shards: 0 });
    }));
});
