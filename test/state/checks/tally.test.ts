/** Whom reports condemn. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SILENT_LOGGER } from "../../../src/base/index.ts";
import type { TableDigests } from "../../../src/protocol/index.ts";
import { type Divergence, StateTally } from "../../../src/state/checks/tally.ts";

const RIGHT: TableDigests = { blocks: "00000001", meta: "00000002" };
const WRONG: TableDigests = { blocks: "0000000f", meta: "00000002" };

class Bench {
  readonly diverged: Divergence[] = [];
  readonly said: string[] = [];
  readonly tally: StateTally;

  constructor(node: string, voters: readonly string[]) {
    this.tally = new StateTally({
      node,
      voters: () => voters,
      logger: {
        ...SILENT_LOGGER,
        error: (message, fields) => void this.said.push(`${message} ${JSON.stringify(fields)}`),
      },
      onDiverged: (divergence) => void this.diverged.push(divergence),
    });
    this.tally.noteMark(10);
  }

  report(node: string, tables: TableDigests, atIndex = 10): void {
    this.tally.noteReport({ kind: "report", atIndex, node, tables });
  }
}

test("a member is condemned by a majority of voters, and not by one", () => {
  const bench = new Bench("c", ["a", "b", "c"]);
  bench.tally.noteOwn(10, WRONG);
  bench.report("a", RIGHT);
  assert.deepEqual(bench.diverged, []);
  bench.report("b", RIGHT);
  assert.deepEqual(bench.diverged, [{ atIndex: 10, lastEqualIndex: 0, tables: ["blocks"] }]);
  bench.report("c", WRONG);
  assert.equal(bench.diverged.length, 1, "once");
  assert.equal(bench.tally.mismatches, 1);
});

test("learners are judged, and do not judge", () => {
  const bench = new Bench("d", ["a", "b", "c"]);
  bench.tally.noteOwn(10, WRONG);
  bench.report("a", RIGHT);
  bench.report("e", RIGHT);
  assert.deepEqual(bench.diverged, []);
  bench.report("b", RIGHT);
  assert.equal(bench.diverged.length, 1);
});

test("two that differ condemn nobody, and say so", () => {
  const bench = new Bench("a", ["a", "b"]);
  bench.tally.noteOwn(10, RIGHT);
  bench.report("b", WRONG);
  bench.report("b", WRONG);
  assert.deepEqual(bench.diverged, []);
  assert.equal(bench.said.length, 1);
  assert.match(bench.said[0] as string, /no majority agrees/);
  assert.equal(bench.tally.mismatches, 1);
});

test("the newest equal index is kept, also over reports that come late", () => {
  const bench = new Bench("a", ["a", "b", "c"]);
  bench.tally.noteMark(20);
  bench.tally.noteOwn(20, RIGHT);
  bench.report("b", RIGHT, 20);
  assert.equal(bench.tally.lastEqualIndex, 20);
  bench.tally.noteOwn(10, RIGHT);
  bench.report("b", RIGHT, 10);
  assert.equal(bench.tally.lastEqualIndex, 20);
  bench.tally.noteMark(30);
  bench.tally.noteOwn(30, WRONG);
  bench.report("b", RIGHT, 30);
  bench.report("c", RIGHT, 30);
  assert.deepEqual(bench.diverged, [{ atIndex: 30, lastEqualIndex: 20, tables: ["blocks"] }]);
});

test("reports of unknown or long past marks are nothing", () => {
  const bench = new Bench("a", ["a", "b", "c"]);
  bench.report("b", WRONG, 7);
  for (let index = 11; index < 20; index++) bench.tally.noteMark(index);
  bench.tally.noteOwn(10, WRONG);
  bench.report("b", RIGHT, 10);
  bench.report("c", RIGHT, 10);
  assert.deepEqual([bench.diverged, bench.said, bench.tally.isMark(10)], [[], [], false]);
});
