/** Why jobs failed, as it is kept with them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  linesOf,
  withNote,
  withReason,
  withSilence,
} from "../../../src/state/compaction/reasons.ts";

const failure = (number: number, reason: string, owner = "w/take") => ({ number, owner, reason });

test("each failure is a line under its number, said again it takes its place", () => {
  const once = withReason("", failure(1, "disk full"));
  assert.equal(once, "1. w: disk full");
  assert.equal(withReason(once, failure(1, "disk\n gone")), "1. w: disk gone");
  assert.deepEqual(linesOf(withReason(once, failure(2, "", "v"))), ["1. w: disk full", "2. v"]);
});

test("silence is told where nothing was said, and only there", () => {
  const said = withReason("", failure(1, "disk full"));
  assert.equal(withSilence(said, 1, "w"), said);
  assert.deepEqual(linesOf(withSilence(said, 2, "v")), [
    "1. w: disk full",
    "2. v: silent until its lease ended",
  ]);
});

test("the last four lines are kept", () => {
  let text = "";
  for (let number = 1; number <= 9; number++) text = withReason(text, failure(number, "x"));
  assert.deepEqual(linesOf(text), ["6. w: x", "7. w: x", "8. w: x", "9. w: x"]);
  assert.equal(linesOf(withNote(text, "mine")).at(-1), "mine");
  assert.equal(withNote(text, ""), text);
});

test("fits what a state may hold, whatever was said, without half a character", () => {
  for (const piece of ["x", "é", "漢", "😀"]) {
    let text = withReason("", failure(1, piece.repeat(600)));
    assert.ok(Buffer.byteLength(text) <= 512, piece);
    assert.ok(Buffer.byteLength(text) > 505, piece);
    assert.equal(Buffer.from(text).toString(), text, piece);
    text = withReason(text, failure(2, piece.repeat(40)));
    assert.deepEqual(linesOf(text), [`2. w: ${piece.repeat(40)}`]);
  }
});
