import assert from "node:assert/strict";
import { test } from "node:test";
import { META_KEYS } from "../../src/db/index.ts";
import { OUTCOME } from "../../src/state/index.ts";
import { dumpTables } from "./dump.ts";
import { RandomEntries } from "./random-entries.ts";
import {
  batchOf,
  entry,
  shardTombstone,
  type StateFixture,
  ulidAt,
  WINDOW_MS,
  withState,
} from "./support.ts";

const BLOCK = { id: ulidAt(WINDOW_MS, 1), datasets: [{ name: "web" }] };

test("the applied position is read back after a restart, without an apply", () =>
  withState(async (fixture) => {
    assert.equal(fixture.state.appliedIndex, 0);
    fixture.state.apply([
      batchOf([entry.noop(), entry.addBlocks(BLOCK)], { firstIndex: 1, term: 7, appendedAtMs: 55 }),
    ]);
    await fixture.restart();
    assert.equal(fixture.state.appliedIndex, 2);
    assert.equal(fixture.state.appliedTerm, 7);
    assert.equal(fixture.state.appliedAtMs, 55);
    assert.equal(fixture.state.counters.blocks, 1);
  }));

test("a reader finds the applied position in its own transaction", () =>
  withState((fixture) => {
    fixture.apply([entry.noop()], { term: 3, appendedAtMs: 44 });
    const applied = fixture.read((db) => {
      assert.equal(db.get("meta", META_KEYS.applied), 24);
      return [...db.f64.subarray(0, 3)];
    });
    assert.deepEqual(applied, [3, 1, 44]);
  }));

test("entries applied before are skipped", () =>
  withState((fixture) => {
    const log = [entry.addBlocks(BLOCK), entry.deleteShard(shardTombstone(1))];
    fixture.state.apply([batchOf(log, { firstIndex: 1 })]);
    const more = [...log, entry.addBlocks({ ...BLOCK, shard: 2 })];
    const { outcomes } = fixture.state.apply([batchOf(more, { firstIndex: 1 })]);
    assert.deepEqual([...outcomes], [OUTCOME.unchanged, OUTCOME.unchanged, OUTCOME.applied]);
    assert.equal(fixture.state.counters.blocks, 1);
    assert.equal(fixture.state.appliedIndex, 3);
  }));

test("a gap in the log is a bug of the caller", () =>
  withState((fixture) => {
    assert.throws(
      () => fixture.state.apply([batchOf([entry.noop()], { firstIndex: 2 })]),
      /last applied one is 0/,
    );
    assert.equal(fixture.state.appliedIndex, 0);
  }));

test("commands and versions of a newer member are refused, counted and passed over", () =>
  withState((fixture) => {
    const unknown = { command: 42, payload: new Uint8Array(16) };
    const newer = batchOf([entry.addBlocks(BLOCK)], { firstIndex: 2 });
    new DataView(newer.body.buffer).setUint16(6, 2, true);
    const { outcomes, rejections } = fixture.state.apply([
      batchOf([unknown], { firstIndex: 1 }),
      newer,
    ]);
    assert.deepEqual([...outcomes], [OUTCOME.rejected, OUTCOME.rejected]);
    assert.equal(rejections.get(1), "unknown_command");
    assert.equal(fixture.state.metrics.rejected.unknown_command, 2);
    assert.equal(fixture.state.appliedIndex, 2);
    assert.equal(fixture.state.counters.blocks, 0);
  }));

test("payloads that are no command are refused", () =>
  withState((fixture) => {
    const garbage = new Uint8Array(64).fill(0xa5);
    for (let command = 1; command <= 7; command++) {
      for (const payload of [garbage, new Uint8Array(0), new Uint8Array(7)]) {
        const outcome = fixture.applyOne({ command, payload });
        assert.equal(
          typeof outcome === "string" || outcome === OUTCOME.unchanged,
          true,
          `command ${command}`,
        );
      }
    }
    assert.equal(fixture.state.counters.blocks, 0);
  }));

/** Makes the n-th write of the database fail until the returned function is called. */
function failWrite(fixture: StateFixture, n: number): () => number {
  const { db } = fixture;
  const original = { put: db.put, putNew: db.putNew, remove: db.remove };
  let writes = 0;
  const counted =
    <A extends unknown[], R>(write: (...args: A) => R) =>
    (...args: A): R => {
      writes++;
      if (writes === n) throw new Error("injected failure");
      return write.apply(db, args);
    };
  db.put = counted(original.put);
  db.putNew = counted(original.putNew);
  db.remove = counted(original.remove);
  return () => {
    Object.assign(db, original);
    return writes;
  };
}

test("a transaction that fails at any write leaves nothing behind, in database or memory", () =>
  withState((fixture) =>
    withState((reference) => {
      const source = new RandomEntries(11);
      const before = Array.from({ length: 120 }, () => source.next());
      const next = Array.from({ length: 12 }, () => source.next());
      for (const { state } of [fixture, reference])
        state.apply([batchOf(before, { firstIndex: 1 })]);
      const batch = batchOf(next, { firstIndex: 121 });
      const dump = fixture.read(dumpTables);
      let writes = Number.POSITIVE_INFINITY;
      // Every write of the first failures, then every seventh.
      for (let n = 1; n <= writes; n += n < 20 ? 1 : 7) {
        const restore = failWrite(fixture, n);
        let isFailed = false;
        try {
          fixture.state.apply([batch]);
        } catch (error) {
          assert.match(String(error), /injected failure/);
          isFailed = true;
        }
        writes = restore();
        if (!isFailed) break;
        writes = Number.POSITIVE_INFINITY;
        assert.deepEqual(fixture.read(dumpTables), dump, `failure at write ${n}`);
      }
      assert.equal(fixture.state.appliedIndex, 132);
      reference.state.apply([batch]);
      assert.deepEqual(fixture.read(dumpTables), reference.read(dumpTables));
      const last = [entry.addBlocks({ ...BLOCK, createdBy: "somebody new" })];
      for (const { state } of [fixture, reference])
        state.apply([batchOf(last, { firstIndex: 133 })]);
      assert.deepEqual(fixture.read(dumpTables), reference.read(dumpTables));
    }),
  ));
