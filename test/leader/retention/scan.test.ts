/** The way of a retention pass through the index: in pieces, whatever is in it and whatever happens in between. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RetentionPass, RetentionPolicy } from "../../../src/leader/index.ts";
import { scanIndex } from "../../../src/leader/retention/scan.ts";
import {
  type BlockSpec,
  HOUR_MS,
  type StateFixture,
  ulidAt,
  WINDOW_MS,
  withState,
} from "../../state/support.ts";

const DAY_MS = 24 * HOUR_MS;
const NOW_MS = WINDOW_MS + 60 * DAY_MS;
const SHARDS = 1_000;

let count = 0;
function block(shard: number, changes: Partial<BlockSpec> = {}): BlockSpec {
  const times = { minTimeMs: WINDOW_MS, maxTimeMs: WINDOW_MS + HOUR_MS };
  return { id: ulidAt(WINDOW_MS, ++count), tenant: "acme", ...times, shard, ...changes };
}

function newPass(countMax: number): RetentionPass {
  const periods = { defaultMs: 31 * DAY_MS, overridesMs: new Map() };
  return new RetentionPass(new RetentionPolicy(periods, NOW_MS), { graceMs: 0, countMax });
}

/** With a clock that is over its limit whenever it is asked; gives how many turns it took. */
async function scan(
  fixture: StateFixture,
  pass: RetentionPass,
  between: (turn: number) => void = () => {},
): Promise<number> {
  let nowMs = 0;
  let turns = 0;
  await scanIndex(pass, {
    db: fixture.db,
    monotonicMs: () => (nowMs += 1_000),
    nextTurn: async () => between(++turns),
  });
  return turns;
}

describe("a retention pass through the index", () => {
  it("takes a partition of many shards in pieces, and the first of them in order", () =>
    withState(async (fixture) => {
      fixture.add(...Array.from({ length: SHARDS }, (_, i) => block(SHARDS - i)));
      const pass = newPass(300);
      assert.ok((await scan(fixture, pass)) >= 4);
      assert.equal(pass.totals.shards, SHARDS);
      assert.deepEqual(
        pass.take().map(({ shard }) => shard),
        Array.from({ length: 300 }, (_, i) => i + 1),
      );
    }));

  it("comes by every owner, however many there are", () =>
    withState(async (fixture) => {
      const names = Array.from({ length: 200 }, (_, i) => `tenant-${i}`);
      fixture.add(...names.map((tenant) => block(1, { tenant })));
      const pass = newPass(1_000);
      await scan(fixture, pass);
      assert.deepEqual(
        pass
          .take()
          .map(({ tenant }) => tenant)
          .sort(),
        names.sort(),
      );
    }));

  it("sees no shard twice when others come before it meanwhile", () =>
    withState(async (fixture) => {
      fixture.add(...Array.from({ length: SHARDS }, (_, i) => block(2 * i + 2)));
      const pass = newPass(2 * SHARDS);
      await scan(fixture, pass, (turn) => fixture.add(block(turn), block(10_000 + turn)));
      const seen = pass.take().map(({ shard }) => shard);
      assert.equal(new Set(seen).size, seen.length);
      const even = seen.filter((shard) => shard % 2 === 0 && shard <= 2 * SHARDS);
      assert.equal(even.length, SHARDS);
    }));

  it("keeps the oldest, whatever the order of their owners", () =>
    withState(async (fixture) => {
      for (const [i, tenant] of ["delta", "acme", "charlie", "bravo"].entries()) {
        const atMs = WINDOW_MS + (3 - i) * 6 * HOUR_MS;
        const times = { id: ulidAt(atMs, ++count), minTimeMs: atMs, maxTimeMs: atMs + HOUR_MS };
        fixture.add(block(1, { tenant, ...times }), block(2, { tenant }));
      }
      const pass = newPass(6);
      await scan(fixture, pass);
      assert.equal(pass.totals.shards, 8);
      assert.deepEqual(
        pass.take().map(({ tenant, shard }) => `${tenant} ${shard}`),
        ["acme 2", "bravo 1", "bravo 2", "charlie 2", "delta 2", "charlie 1"],
      );
    }));
});
