/** Blocks are known again for the same entry, rows and form, for nothing else, and within a bound. */

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { type BlockSpec, HOUR, NOON, service, TestIndex } from "./support.ts";

const A_QUARTER_LATER = NOON + HOUR / 4;

describe("blocks of protobuf answers", () => {
  const index = new TestIndex();
  afterEach(() => {
    index.engine.counters.blocksRepeated = 0;
  });

  test("are repeated for the same question, and only then", async () => {
    const datasets = [
      service("one", { tenant: "acme" }),
      service("two", { tenant: "acme", min: NOON + HOUR / 2 }),
    ];
    index.add({ random: 1, datasets }, { random: 2, datasets });
    const repeated = (params: Parameters<TestIndex["queryProto"]>[0]): number => {
      const before = index.engine.counters.blocksRepeated;
      const answer = index.queryProto(params);
      assert.deepEqual(answer, index.query(params));
      return index.engine.counters.blocksRepeated - before;
    };
    const labels = ["service_name"];
    assert.equal(repeated({ labels }), 0, "nothing is known yet");
    assert.equal(repeated({ labels }), 2, "the same question");
    assert.equal(repeated({ labels, startMs: NOON - HOUR }), 2, "another range with the same rows");
    assert.equal(repeated({ labels, endMs: A_QUARTER_LATER }), 0, "fewer rows");
    assert.equal(repeated({ labels: [] }), 0, "no labels");
    assert.equal(repeated({ labels: ["nowhere"] }), 0, "other labels");
    assert.equal(repeated({ labels, selector: '{service_name=~"o.*|t.*"}' }), 0, "a selector");
    assert.equal(repeated({ labels }), 2, "the first question again");
    index.add({ random: 3, datasets });
    assert.equal(repeated({ labels }), 2, "a new block among known ones");
    await index.close();
  });

  test("are forgotten when they are too many", async () => {
    const wide = new TestIndex();
    // Long names that are in no other block: 120 KB of string table each.
    const blockOf = (i: number): BlockSpec => ({
      random: i,
      datasets: Array.from({ length: 8 }, (_, k) =>
        service(`${i}-${k}-${"x".repeat(15_000)}`, { min: NOON + i, max: NOON + i }),
      ),
    });
    const ask = (i: number): void => {
      assert.equal(wide.queryProto({ startMs: NOON + i, endMs: NOON + i }).length, 1);
    };
    const blocks = 160;
    for (let i = 0; i < blocks; i++) wide.add(blockOf(i));
    for (let i = 0; i < blocks; i++) ask(i);
    ask(blocks - 1);
    assert.equal(wide.engine.counters.blocksRepeated, 1, "the last one is known");
    ask(0);
    assert.equal(wide.engine.counters.blocksRepeated, 1, "the first one is not");
    await wide.close();
  });
});
