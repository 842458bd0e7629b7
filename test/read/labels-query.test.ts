import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type DatasetSpec, HOUR, isCode, NOON, service, TestIndex } from "./support.ts";

let index: TestIndex;

beforeEach(() => {
  index = new TestIndex();
});

afterEach(() => index.close());

function valueSet(value: string): DatasetSpec {
  return {
    sets: [
      [
        ["v", value],
        ["w", "1"],
      ],
    ],
  };
}

describe("labels query", () => {
  it("gives distinct rows in bytes order, over dictionaries and owners", () => {
    const values = ["\u{1F600}", "\uFF5E", "b", "B", "a", ""];
    index.add(
      ...values.map((value, i) => ({ owner: "acme", random: i, datasets: [valueSet(value)] })),
    );
    index.add({
      random: 50,
      datasets: [
        {
          sets: [
            [
              ["v", "b"],
              ["w", "1"],
            ],
            [],
          ],
        },
      ],
    });
    index.add({
      owner: "acme",
      created: NOON + 14 * 24 * HOUR,
      random: 51,
      datasets: [
        {
          sets: [
            [
              ["v", "b"],
              ["w", "1"],
            ],
          ],
        },
      ],
    });
    assert.deepEqual(index.labels({ labels: ["v"] }), [
      [""],
      ["B"],
      ["a"],
      ["b"],
      ["\uFF5E"],
      ["\u{1F600}"],
    ]);
    assert.deepEqual(index.labels({ labels: ["w", "v", "w"] })[0], ["", "", ""]);
    assert.deepEqual(index.labels({ selector: '{v="b"}', labels: ["", "v", "nowhere"] }), [
      ["", "b", ""],
    ]);
    assert.deepEqual(index.labels({ selector: '{v=~"[ab]"}', labels: ["v", "v"] }), [
      ["a", "a"],
      ["b", "b"],
    ]);
  });

  it("only counts datasets with a row in the range", () => {
    const datasets = Array.from({ length: 120 }, (_, i) =>
      service(`s${i}`, { min: NOON + i, max: NOON + i }),
    );
    for (let i = 0; i < 20; i++)
      index.add({ owner: "acme", random: i, min: NOON, max: NOON + HOUR, datasets });
    const rows = index.labels({ startMs: NOON + 3, endMs: NOON + 5, labels: ["service_name"] });
    assert.deepEqual(rows, [["s3"], ["s4"], ["s5"]]);
    assert.equal(index.labels({ labels: ["service_name"] }).length, 120);
  });

  it("splits long answers into chunks and keeps their order", async () => {
    const small = new TestIndex({ chunkBytes: 1024 });
    try {
      const datasets = Array.from({ length: 500 }, (_, i) =>
        service(`service-${String(i).padStart(3, "0")}`),
      );
      small.add({ owner: "acme", datasets });
      const rows = small.labels({ labels: ["service_name"] });
      assert.deepEqual(
        rows.map(([value]) => value),
        datasets.map(({ name }) => name),
      );
    } finally {
      await small.close();
    }
  });

  it("refuses an answer over the limit", async () => {
    const small = new TestIndex({ answerMaxBytes: 1024 });
    small.add({
      owner: "acme",
      datasets: Array.from({ length: 200 }, (_, i) => service(`service-${i}`)),
    });
    assert.throws(
      () => small.labels({ labels: ["service_name"] }),
      isCode("resource_exhausted", "answer_too_large"),
    );
    assert.equal(
      small.labels({ selector: '{service_name="service-7"}', labels: ["service_name"] }).length,
      1,
    );
    await small.close();
  });
});
