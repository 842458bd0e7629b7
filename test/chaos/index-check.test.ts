/** Checks by log index, final states and logs: each finding has a history that shows it, and a twin that does not. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkFinalStates } from "./checks/final-check.ts";
import { checkByIndex } from "./checks/index-check.ts";
import { auditLogs, type LoggedWrites } from "./checks/log-audit.ts";
import { OUTCOME, type Read, type Write } from "./history.ts";
import { blockId, ELEMENTS_MAX, placeOfId } from "./load/keyspace.ts";
import { history, read, write } from "./support.ts";

function findings(...operations: readonly (Write | Read)[]): string[] {
  return checkByIndex(history(...operations)).map(({ check }) => check);
}

const ADDS = write({ element: 0, from: 10, to: 20, index: 5 });

test("a read below an index that was finished before it is stale", () => {
  assert.deepEqual(findings(ADDS, read({ sees: [0], from: 21, to: 22, index: 5 })), []);
  const late = read({ sees: [], from: 21, to: 22, index: 4 });
  assert.deepEqual(findings(ADDS, late), ["stale"]);
  assert.deepEqual(findings(ADDS, read({ sees: [], from: 19, to: 22, index: 4 })), []);
});

test("a read after a read that saw more of the log is stale, on any key", () => {
  const first = read({ key: 1, sees: [], from: 1, to: 2, index: 9 });
  assert.deepEqual(findings(first, read({ client: 3, sees: [], from: 3, to: 4, index: 8 })), [
    "stale",
  ]);
});

test("a write below something finished before it is found", () => {
  const second = write({ element: 1, from: 21, to: 30, index: 4 });
  assert.deepEqual(findings(ADDS, second), ["real-time-write"]);
});

test("an acknowledged element that is missing past its index is lost", () => {
  assert.deepEqual(findings(ADDS, read({ sees: [], from: 11, to: 22, index: 6 })), ["lost"]);
});

test("an element that is seen before its index is early", () => {
  assert.deepEqual(findings(ADDS, read({ sees: [0], from: 11, to: 22, index: 4 })), ["early"]);
});

test("two writes at one place in the log are found", () => {
  assert.deepEqual(findings(ADDS, write({ element: 1, from: 10, to: 20, index: 5 })), [
    "same-index",
  ]);
});

test("states that differ at one index, or lose what they had, have diverged", () => {
  const open = write({ element: 1, from: 1 });
  const sees = read({ sees: [1], from: 30, to: 90, index: 8 });
  const other = read({ client: 3, sees: [], from: 30, to: 90, index: 8 });
  assert.deepEqual(findings(open, sees, other), ["diverged"]);
  const loses = read({ client: 3, sees: [], from: 30, to: 90, index: 9 });
  assert.deepEqual(findings(open, sees, loses), ["diverged"]);
});

test("a client that sees less than before is non-monotonic", () => {
  const open = write({ element: 1, from: 1 });
  const sees = read({ sees: [1], from: 10, to: 20 });
  assert.deepEqual(findings(open, sees, read({ sees: [], from: 21, to: 22 })), ["non-monotonic"]);
});

test("a refused element that is seen is found", () => {
  const refused = write({ element: 1, from: 1, to: 2, outcome: OUTCOME.refused });
  assert.deepEqual(findings(refused, read({ sees: [1], from: 3, to: 4, index: 7 })), [
    "refused-applied",
  ]);
});

function log(serverId: string, elements: readonly (readonly [number, string])[]): LoggedWrites {
  return { serverId, firstIndex: 1, commitIndex: 9, elements: new Map(elements), problems: [] };
}

function audit(logs: readonly LoggedWrites[], ...writes: readonly Write[]): string[] {
  return auditLogs(logs, writes).violations.map(({ check }) => check);
}

test("an acknowledged write must stand in the log where its answer said", () => {
  assert.deepEqual(audit([log("a", [[5, "0/0"]])], ADDS), []);
  assert.deepEqual(audit([log("a", [[6, "0/0"]])], ADDS), ["acked-elsewhere"]);
  assert.deepEqual(audit([log("a", [])], ADDS), ["lost"]);
});

test("an element that stands in the log twice was applied twice, on one node or on two", () => {
  const twice = log("a", [
    [5, "0/0"],
    [7, "0/0"],
  ]);
  assert.ok(audit([twice], ADDS).includes("applied-twice"));
  assert.ok(
    audit([log("a", [[5, "0/0"]]), log("b", [[7, "0/0"]])], ADDS).includes("applied-twice"),
  );
});

test("what is not committed does not count", () => {
  assert.deepEqual(
    audit(
      [
        log("a", [
          [5, "0/0"],
          [12, "0/0"],
        ]),
      ],
      ADDS,
    ),
    [],
  );
});

test("logs that differ at an index are found, and refused writes in a log", () => {
  const logs = [log("a", [[5, "0/0"]]), log("b", [[5, "0/1"]])];
  assert.ok(audit(logs, ADDS).includes("logs-differ"));
  const refused = write({ element: 1, from: 1, to: 2, outcome: OUTCOME.refused });
  assert.deepEqual(audit([log("a", [[3, "0/1"]])], refused), ["refused-applied"]);
});

test("final states must hold what was acknowledged, be the same, and count right", () => {
  const check = (a: number, b: number, blocks: number): string[] =>
    checkFinalStates(
      [
        { serverId: "a", seen: [a], blocks },
        { serverId: "b", seen: [b], blocks: null },
      ],
      history(ADDS),
    ).map((violation) => violation.check);
  assert.deepEqual(check(1, 1, 1), []);
  assert.deepEqual(check(1, 1, 2), ["counts"]);
  assert.deepEqual(check(1, 3, 1), ["diverged"]);
  assert.deepEqual(check(0, 0, 0), ["lost", "lost"]);
});

test("block ids lead back to their key and element, and only ours do", () => {
  for (const [key, element] of [
    [0, 0],
    [7, ELEMENTS_MAX - 1],
    [100_000, 3],
  ] as const) {
    assert.deepEqual(placeOfId(blockId(key, element)), { key, element });
  }
  assert.equal(placeOfId("01ARZ3NDEKTSV4RRFFQ69G5FAV"), null);
});
