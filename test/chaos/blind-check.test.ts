/** The blind check: broken histories must be found, and it must agree with trying every order. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/index.ts";
import { checkBlindly } from "./checks/blind-check.ts";
import { type History, OUTCOME, type Read, type Write } from "./history.ts";
import { history, read, write } from "./support.ts";

function isFine(...operations: readonly (Write | Read)[]): boolean {
  return checkBlindly(history(...operations)).violations.length === 0;
}

test("a read that overlaps a write may see it or not", () => {
  const adds = write({ element: 0, from: 10, to: 30 });
  assert.ok(isFine(adds, read({ sees: [], from: 15, to: 20 })));
  assert.ok(isFine(adds, read({ sees: [0], from: 15, to: 20 })));
});

test("a read that begins after a write was acknowledged and does not see it is found", () => {
  const adds = write({ element: 0, from: 10, to: 30 });
  assert.ok(!isFine(adds, read({ sees: [], from: 31, to: 40 })));
});

test("a read that sees a write before it was sent is found", () => {
  assert.ok(!isFine(write({ element: 0, from: 10, to: 30 }), read({ sees: [0], from: 1, to: 9 })));
});

test("reads that go back in time are found, also between clients", () => {
  const open = write({ element: 0, from: 10 });
  const sees = read({ client: 2, sees: [0], from: 12, to: 14 });
  assert.ok(isFine(open, sees, read({ client: 3, sees: [], from: 13, to: 20 })));
  assert.ok(!isFine(open, sees, read({ client: 3, sees: [], from: 15, to: 20 })));
});

test("two reads that saw different halves are found", () => {
  const writes = [write({ element: 0, from: 1, to: 90 }), write({ element: 1, from: 1, to: 90 })];
  const reads = [read({ sees: [0], from: 2, to: 80 }), read({ sees: [1], from: 2, to: 80 })];
  assert.ok(!isFine(...writes, ...reads));
});

test("writes seen against the order of their answers are found", () => {
  const first = write({ element: 0, from: 1, to: 5 });
  const second = write({ element: 1, from: 6, to: 60 });
  assert.ok(!isFine(first, second, read({ sees: [1], from: 7, to: 50 })));
  assert.ok(isFine(first, second, read({ sees: [0], from: 7, to: 50 })));
});

test("an unknown write may appear at any later time or never, a refused one never", () => {
  assert.ok(isFine(write({ element: 0, from: 1 }), read({ sees: [], from: 500, to: 501 })));
  assert.ok(isFine(write({ element: 0, from: 1 }), read({ sees: [0], from: 500, to: 501 })));
  const refused = write({ element: 0, from: 1, to: 2, outcome: OUTCOME.refused });
  assert.ok(isFine(refused, read({ sees: [], from: 500, to: 501 })));
  assert.ok(!isFine(refused, read({ sees: [0], from: 500, to: 501 })));
});

test("an element that nobody wrote is found, and keys do not explain each other", () => {
  assert.ok(!isFine(read({ sees: [3], from: 1, to: 2 })));
  assert.ok(
    !isFine(write({ key: 1, element: 3, from: 1, to: 2 }), read({ sees: [3], from: 3, to: 4 })),
  );
});

/** Tries every order of the operations that keeps real time. Only for very few. */
function hasOrder({ writes, reads }: History): boolean {
  const all = [...writes.filter(({ outcome }) => outcome !== OUTCOME.refused), ...reads];
  const refused = writes.filter(({ outcome }) => outcome === OUTCOME.refused);
  if (refused.some(({ element }) => reads.some(({ seen }) => (seen & (1 << element)) !== 0)))
    return false;
  const place = (left: readonly (Write | Read)[], state: number): boolean => {
    if (left.every((operation) => operation.returnedAtMs === Number.POSITIVE_INFINITY)) return true;
    return left.some((next) => {
      if (left.some((other) => other.returnedAtMs < next.invokedAtMs)) return false;
      const rest = left.filter((other) => other !== next);
      if (!("seen" in next)) return place(rest, state | (1 << next.element));
      return next.seen === state && place(rest, state);
    });
  };
  return place(all, 0);
}

function randomHistory(random: Prng): History {
  const operations: (Write | Read)[] = [];
  const writeCount = random.nextBetween(1, 3);
  for (let element = 0; element < writeCount; element++) {
    const from = random.nextInt(12);
    const to = random.nextChance(0.3) ? undefined : from + 1 + random.nextInt(8);
    operations.push(write(to === undefined ? { element, from } : { element, from, to }));
  }
  const readCount = random.nextBetween(1, 3);
  for (let i = 0; i < readCount; i++) {
    const from = random.nextInt(16);
    const sees = [0, 1, 2].filter((element) => element < writeCount && random.nextChance(0.5));
    operations.push(read({ client: 2 + i, sees, from, to: from + 1 + random.nextInt(8) }));
  }
  return history(...operations);
}

test("it agrees with trying every order, on small random histories", () => {
  const random = new Prng(7);
  const verdicts = { fine: 0, broken: 0 };
  for (let i = 0; i < 6_000; i++) {
    const made = randomHistory(random);
    const expected = hasOrder(made);
    const actual = checkBlindly(made).violations.length === 0;
    assert.equal(actual, expected, `history ${i}: ${JSON.stringify(made)}`);
    verdicts[expected ? "fine" : "broken"] += 1;
  }
  assert.ok(verdicts.fine > 500 && verdicts.broken > 500, JSON.stringify(verdicts));
});
