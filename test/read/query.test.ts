import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { QueryParams } from "../../src/read/index.ts";
import { HOUR, isCode, NOON, service, TestIndex } from "./support.ts";

let index: TestIndex;

beforeEach(() => {
  index = new TestIndex();
});

afterEach(() => index.close());

describe("query validation", () => {
  const params: QueryParams = { tenants: [], startMs: 0, endMs: 1, selector: "{}", labels: [] };
  const nothing = (): void => assert.fail("chunk of a refused query");
  const both = (wrong: Partial<QueryParams>, reason: string): void => {
    index.read((engine) => {
      const query = { ...params, tenants: ["acme"], ...wrong };
      assert.throws(() => engine.queryMetadata(query, nothing), isCode("invalid_argument", reason));
      assert.throws(
        () => engine.queryMetadataLabels(query, nothing),
        isCode("invalid_argument", reason),
      );
    });
  };

  it("needs a tenant, before it looks at the selector", () =>
    both({ tenants: [], selector: "{" }, "missing_tenant"));
  it("needs a selector, before it looks at the labels", () =>
    both({ selector: "", labels: [] }, "bad_selector"));
  it("refuses times that are no numbers", () => both({ endMs: Number.NaN }, "bad_time"));
  it("bounds tenants", () =>
    both({ tenants: Array.from({ length: 1025 }, String) }, "too_many_tenants"));
  it("bounds labels", () =>
    both({ labels: Array.from({ length: 257 }, String) }, "too_many_labels"));

  it("answers nothing found with one empty last chunk", () => {
    assert.deepEqual(index.query(), []);
    assert.deepEqual(index.labels({ labels: ["a"] }), []);
    assert.deepEqual(index.labels({ labels: [] }), []);
  });
});

describe("times", () => {
  it("touching ends overlap, a millisecond beyond does not", () => {
    index.add({ owner: "acme", min: NOON + 10, max: NOON + 20, datasets: [service("a")] });
    const at = (startMs: number, endMs: number): number =>
      index.found({ startMs: NOON + startMs, endMs: NOON + endMs }).length;
    assert.deepEqual([at(0, 9), at(0, 10), at(20, 30), at(21, 30), at(15, 15)], [0, 1, 1, 0, 1]);
  });

  it("compares block and dataset apart", () => {
    index.add({
      owner: "acme",
      min: NOON,
      max: NOON + 100,
      datasets: [
        service("early", { min: NOON, max: NOON + 10 }),
        service("late", { min: NOON + 90, max: NOON + 100 }),
        service("outside", { min: NOON + 500, max: NOON + 600 }),
      ],
    });
    const at = (startMs: number, endMs: number): string[] =>
      index.found({ startMs: NOON + startMs, endMs: NOON + endMs });
    assert.deepEqual(at(0, 5), ["000:early"]);
    assert.deepEqual(at(0, 1000), ["000:early,late,outside"]);
    // The block overlaps, no dataset does; a dataset overlaps, the block does not.
    assert.deepEqual(at(20, 80), []);
    assert.deepEqual(at(500, 600), []);
    // Inverted: what contains the gap.
    assert.deepEqual(at(8, 2), ["000:early"]);
    assert.deepEqual(at(95, 5), []);
  });

  it("inverted ranges select what contains the gap", () => {
    index.add({
      owner: "acme",
      random: 1,
      min: NOON,
      max: NOON + 100,
      datasets: [service("long")],
    });
    index.add({
      owner: "acme",
      random: 2,
      min: NOON,
      max: NOON + 49,
      datasets: [service("short")],
    });
    assert.deepEqual(index.found({ startMs: NOON + 60, endMs: NOON + 40 }), ["001:long"]);
    assert.deepEqual(
      index.labels({ startMs: NOON + 60, endMs: NOON + 40, labels: ["service_name"] }),
      [["long"]],
    );
  });

  it("extremes mean everything", () => {
    index.add({ owner: "acme", random: 1, min: 0, max: 0, datasets: [service("zero")] });
    index.add({ owner: "acme", random: 2, min: -5, max: 2 ** 53, datasets: [service("all")] });
    const found = ["001:zero", "002:all"];
    assert.deepEqual(index.found({ startMs: 0, endMs: 2 ** 63 }), found);
    assert.deepEqual(index.found({ startMs: 0, endMs: 2 ** 53 }), found);
    assert.deepEqual(
      index.found({ startMs: Number.NEGATIVE_INFINITY, endMs: Number.POSITIVE_INFINITY }),
      found,
    );
    assert.deepEqual(index.found({ startMs: -5, endMs: -1 }), ["002:all"]);
    assert.deepEqual(index.found({ startMs: 2 ** 53, endMs: 2 ** 53 }), ["002:all"]);
  });

  it("finds last year's data in a block made today, and pays for nothing else", () => {
    const lastYear = NOON - 365 * 24 * HOUR;
    for (let i = 0; i < 30; i++) {
      const created = NOON + i * 6 * HOUR;
      index.add({
        owner: "acme",
        created,
        min: created,
        max: created + HOUR,
        datasets: [service("new")],
      });
    }
    index.add({
      owner: "acme",
      random: 7,
      min: lastYear,
      max: lastYear + 30_000,
      datasets: [service("old")],
    });
    const searched = index.engine.counters.shardsSearched;
    assert.deepEqual(index.found({ startMs: lastYear, endMs: lastYear + 60_000 }), ["007:old"]);
    assert.equal(index.engine.counters.shardsSearched - searched, 1);
    // The shard's live bounds span the year, its rows do not.
    assert.deepEqual(index.found({ startMs: lastYear + HOUR, endMs: lastYear + 2 * HOUR }), []);
  });
});

describe("tenants", () => {
  beforeEach(() => {
    index.add(
      { random: 1, datasets: [service("a", { tenant: "acme" }), service("b", { tenant: "bolt" })] },
      {
        random: 2,
        owner: "acme",
        datasets: [service("c", { tenant: "acme" }), service("d", { tenant: "bolt" })],
      },
      { random: 3, owner: "bolt", datasets: [service("e", { tenant: "bolt" })] },
    );
  });

  const found = (...tenants: string[]): string[] => index.found({ tenants });

  it("searches anonymous blocks for everybody and owned ones for their owner", () => {
    assert.deepEqual(found("acme"), ["001:a", "002:c"]);
    assert.deepEqual(found("bolt"), ["001:b", "003:e"]);
    assert.deepEqual(found("acme", "bolt"), ["001:a,b", "002:c,d", "003:e"]);
    assert.deepEqual(found("bolt", "acme", "acme"), ["001:a,b", "002:c,d", "003:e"]);
    assert.deepEqual(found("nobody"), []);
    assert.deepEqual(found("x".repeat(5000)), []);
  });

  it("the empty tenant asks for datasets without a tenant", () => {
    assert.deepEqual(found(""), []);
    assert.deepEqual(index.labels({ tenants: [""], labels: ["service_name"] }), []);
  });

  it("lists owners in bytes order, and reports what their shards saw", () => {
    index.add(
      { owner: "\u{1F600}", random: 4 },
      { owner: "\uFF5E", random: 5, min: NOON - 5, max: NOON + 5 },
      { owner: "Z", random: 6 },
    );
    assert.deepEqual(
      index.read((engine) => engine.getTenants()),
      ["Z", "acme", "bolt", "\uFF5E", "\u{1F600}"],
    );
    const stats = (tenant: string): number[] => {
      const { dataIngested, oldestProfileTimeMs, newestProfileTimeMs } = index.read((engine) =>
        engine.getTenant(tenant),
      );
      return [Number(dataIngested), oldestProfileTimeMs, newestProfileTimeMs];
    };
    assert.deepEqual(stats("\uFF5E"), [1, NOON - 5, NOON + 5]);
    assert.deepEqual(stats(""), [1, NOON, NOON + HOUR]);
    assert.deepEqual(stats("nobody"), [0, 0, 0]);
    index.deleteShard("Z", 1);
    assert.deepEqual(stats("Z"), [0, 0, 0]);
    assert.equal(index.read((engine) => engine.getTenants()).includes("Z"), false);
  });
});

describe("order", () => {
  it("is owner, shard number, partition, id; datasets as stored", () => {
    const one = [service("z"), service("a")];
    index.add(
      { owner: "b", shard: 2, random: 1, datasets: [service("x", { tenant: "b" })] },
      { owner: "B", shard: 3, random: 2, datasets: [service("x", { tenant: "b" })] },
      { owner: "b", shard: 2_147_483_648, random: 3, datasets: [service("x", { tenant: "b" })] },
      { owner: "b", shard: 10, random: 4, datasets: [service("x", { tenant: "b" })] },
      {
        owner: "b",
        shard: 2,
        created: NOON + 6 * HOUR,
        random: 5,
        datasets: [service("x", { tenant: "b" })],
      },
      { shard: 9, random: 9, datasets: one.map((spec) => ({ ...spec, tenant: "b" })) },
      { shard: 9, random: 8, datasets: one.map((spec) => ({ ...spec, tenant: "b" })) },
    );
    assert.deepEqual(index.found({ tenants: ["b", "B"] }), [
      "008:z,a",
      "009:z,a",
      "002:x",
      "001:x",
      "005:x",
      "004:x",
      "003:x",
    ]);
  });
});

describe("projection", () => {
  beforeEach(() => {
    index.add({
      owner: "acme",
      datasets: [
        {
          name: "web",
          sets: [
            [
              ["service_name", "web"],
              ["type", "cpu"],
            ],
            [
              ["service_name", "web"],
              ["type", "mem"],
            ],
            [
              ["service_name", "web"],
              ["unsymbolized", "true"],
            ],
          ],
        },
        { name: "bare", sets: [[]] },
        { name: "none", sets: [] },
      ],
    });
  });

  const projected = (selector: string, labels: string[]): string[][] =>
    index
      .query({ selector, labels })
      .flatMap((block) =>
        block.datasets.map(({ name, labels: ints }) => [
          block.stringTable[name] as string,
          ...Array.from(ints, (value, i) =>
            isCount(ints, i) ? `#${value}` : (block.stringTable[value] as string),
          ),
        ]),
      );

  it("returns no labels unless asked", () =>
    assert.deepEqual(projected('{service_name="web"}', []), [["web"]]));

  it("projects every set that matches, in request order", () => {
    assert.deepEqual(projected('{service_name="web"}', ["service_name"]), [
      [
        "web",
        "#1",
        "service_name",
        "web",
        "#1",
        "service_name",
        "web",
        "#1",
        "service_name",
        "web",
      ],
    ]);
    assert.deepEqual(projected('{type="cpu"}', ["type", "service_name"]), [
      ["web", "#2", "type", "cpu", "service_name", "web"],
    ]);
    assert.deepEqual(projected('{service_name="web"}', ["unsymbolized"]), [
      ["web", "#0", "#0", "#1", "unsymbolized", "true"],
    ]);
    assert.deepEqual(projected('{type="cpu"}', ["type", "type", ""]), [
      ["web", "#2", "type", "cpu", "type", "cpu"],
    ]);
    assert.deepEqual(projected('{service_name="web"}', ["nowhere"]), [["web", "#0", "#0", "#0"]]);
  });

  it("an empty set matches the empty selector, no set matches nothing", () => {
    assert.deepEqual(
      projected("{}", ["type"]).map(([name]) => name),
      ["web", "bare"],
    );
    assert.deepEqual(projected('{type!="cpu"}', ["type"]), [
      ["web", "#1", "type", "mem", "#0"],
      ["bare", "#0"],
    ]);
  });

  it("does not put a match together from two sets", () => {
    assert.deepEqual(projected('{type="cpu",unsymbolized="true"}', []), []);
  });
});

/** Whether position i of a sequence of label sets is a count. */
function isCount(ints: readonly number[], i: number): boolean {
  let position = 0;
  while (position < i) position += 1 + 2 * (ints[position] as number);
  return position === i;
}
