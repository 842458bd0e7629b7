/** Who is told what: proposals of several terms that wait for the same places of the log. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Answers } from "../../src/replica/answers.ts";
import { refused } from "../../src/replica/errors.ts";
import { ProposalQueue } from "../../src/replica/proposal-queue.ts";
import type { ProposeDone } from "../../src/replica/types.ts";
import { BATCH_KIND } from "../../src/raft/index.ts";

const NO_REJECTIONS: ReadonlyMap<number, string> = new Map();

function apply(answers: Answers, firstIndex: number, term: number, outcome: number): void {
  const body = new Uint8Array(0);
  const batch = { kind: BATCH_KIND.entries, firstIndex, term, appendedAtMs: 0, count: 1, body };
  answers.answerRange(
    [{ ...batch, bodyBytes: 0 }],
    { outcomes: Uint8Array.of(outcome), rejections: NO_REJECTIONS },
    () => refused("not_leader", "replaced"),
  );
}

test("a leader of old that leads again answers by what was committed in each place", () => {
  const queue = new ProposalQueue();
  const answers = new Answers(queue);
  const told: string[] = [];
  const propose = (firstIndex: number, term: number): void => {
    queue.push({
      firstIndex,
      term,
      count: 1,
      done: (result) =>
        told.push(`${firstIndex}/${term} ${result.ok ? result.outcomes[0] : result.error.reason}`),
    });
  };
  propose(10, 1);
  propose(11, 1);
  propose(12, 1);
  // All three were replaced by another leader's; this member leads again, in term 3, from index 11 on.
  propose(11, 3);
  propose(12, 3);
  apply(answers, 10, 2, 7);
  apply(answers, 11, 3, 8);
  assert.deepEqual(told, ["10/1 not_leader", "11/1 not_leader", "11/3 8"]);
  apply(answers, 12, 3, 9);
  assert.deepEqual(told.slice(3), ["12/1 not_leader", "12/3 9"]);
  assert.equal(queue.length, 0);
});

test("a proposal of which only the rest was replaced has an unknown outcome", () => {
  const queue = new ProposalQueue();
  const answers = new Answers(queue);
  const told: string[] = [];
  const done: ProposeDone = (result) => {
    told.push(result.ok ? `done ${result.firstIndex}` : `${result.error.reason}`);
  };
  queue.push({ firstIndex: 10, term: 1, count: 3, done });
  queue.push({ firstIndex: 13, term: 1, count: 1, done });
  apply(answers, 10, 1, 0);
  assert.deepEqual(told, []);
  apply(answers, 11, 2, 0);
  assert.deepEqual(told, ["outcome_unknown"]);
  apply(answers, 13, 2, 0);
  assert.deepEqual(told, ["outcome_unknown", "not_leader"]);
});
