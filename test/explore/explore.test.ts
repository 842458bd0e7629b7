/** A small search on every test run; `npm run explore` is the large one. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Explorer } from "./explorer.ts";
import { SCENARIOS } from "./scenarios.ts";
import { TreeHasher } from "./tree.ts";
import { Visited } from "./visited.ts";

const STATES = 15_000;

for (const scenario of SCENARIOS) {
  test(`no state of "${scenario.name}" violates an invariant: ${scenario.about}`, () => {
    const result = new Explorer(scenario).run({ statesMax: STATES });
    const { violation } = result;
    assert.equal(violation, null, `${violation?.problem}\n${violation?.story.join("\n")}`);
    assert.ok(result.isComplete || result.states >= STATES, `${result.states} states`);
  });
}

test("a search within small bounds is complete and comes out the same each time", () => {
  const scenario = SCENARIOS.find(({ name }) => name === "single-server");
  assert.ok(scenario !== undefined);
  const [first, second] = [1, 2].map(() => new Explorer(scenario).run({ statesMax: STATES }));
  assert.ok(first?.isComplete);
  assert.deepEqual(first, second);
});

test("states that differ by a renaming of the nodes have the same hashes over all namings", () => {
  const ids = ["aa", "bb"];
  const straight = new Map(ids.map((id, i) => [id, i]));
  const swapped = new Map(ids.map((id, i) => [id, 1 - i]));
  const hash = (naming: ReadonlyMap<string, number>, value: unknown): string => {
    const { low, high } = new TreeHasher(
      naming,
      (part) => part,
      () => false,
    ).hash(value);
    return `${low}:${high}`;
  };
  const state = {
    vote: "aa",
    peers: new Map([
      ["aa", 1],
      ["bb", 2],
    ]),
    voters: ["aa", "bb"],
  };
  const renamed = {
    vote: "bb",
    peers: new Map([
      ["aa", 2],
      ["bb", 1],
    ]),
    voters: ["aa", "bb"],
  };
  const other = {
    vote: "bb",
    peers: new Map([
      ["aa", 1],
      ["bb", 2],
    ]),
    voters: ["aa", "bb"],
  };
  assert.equal(hash(straight, state), hash(swapped, renamed));
  assert.notEqual(hash(straight, state), hash(straight, renamed));
  assert.notEqual(hash(straight, state), hash(swapped, other));
});

test("the table of seen states keeps every key over its growth", () => {
  const visited = new Visited(4);
  for (let i = 0; i < 1000; i++) assert.ok(visited.add(Math.imul(i, 0x9e3779b1), i));
  for (let i = 0; i < 1000; i++) assert.ok(!visited.add(Math.imul(i, 0x9e3779b1), i));
  assert.equal(visited.size, 1000);
});
