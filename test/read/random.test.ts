/**
 * Random indexes and queries against the definition: every block and dataset looked at one by one, with the selector
 * over plain label sets. Sizes are chosen so that rows stand in tails and in postings, and that shards are answered from
 * postings and by block scans; the test checks that both happened.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { QueryParams } from "../../src/read/index.ts";
import { compileSelector } from "../../src/read/index.ts";
import { type BlockSpec, type DatasetSpec, HOUR, NOON, TestIndex, ulid } from "./support.ts";

/** Deterministic numbers in [0, bound). */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(bound: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * bound);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

const OWNERS = ["", "", "acme", "bolt"];
const TENANTS = ["acme", "bolt", "core"];
const VALUES = ["", "a", "b", "ab", "é", "x1", "x2", "x3"];
const SELECTORS = [
  "{}",
  '{service_name="s1"}',
  '{service_name=~"s[0-3]"}',
  '{service_name=~"s1|s2|s77|s900|nope"}',
  '{service_name!="s1",env="a"}',
  '{env=~"x.*",service_name=~"s.*"}',
  '{env!~"a|b"}',
  '{env=""}',
  '{env!=""}',
  '{env="a",zone="b"}',
  '{zone=~".+",env!="ab"}',
  '{zone="é"}',
  '{nowhere!="x"}',
  '{nowhere="x"}',
  '{service_name="s5",env=~"a|b|ab"}',
];
const LABELS = [[], ["service_name"], ["env", "service_name"], ["zone", "nowhere", "zone"]];

function randomDataset(
  dice: Dice,
  services: number,
  base: { min: number; max: number },
): DatasetSpec {
  const name = `s${dice.below(services)}`;
  const sets = Array.from({ length: dice.below(3) + (dice.below(9) === 0 ? 0 : 1) }, () => {
    const set: [string, string][] = [["service_name", name]];
    if (dice.below(2) === 0) set.push(["env", dice.pick(VALUES)]);
    if (dice.below(3) === 0) set.push(["zone", dice.pick(VALUES)]);
    if (dice.below(12) === 0) set.push(["env", dice.pick(VALUES)]);
    return dice.below(30) === 0 ? [] : set;
  });
  const shift = dice.below(5) === 0 ? dice.below(HOUR) - HOUR / 2 : 0;
  const min = base.min + shift + dice.below(1000);
  return { tenant: dice.pick(TENANTS), name, min, max: min + dice.below(HOUR), sets };
}

interface Shape {
  readonly blocks: number;
  readonly services: number;
  readonly cacheBytes: number;
  /** All blocks in one shard, so that it gets postings early. */
  readonly isNarrow: boolean;
}

function randomBlock(dice: Dice, i: number, { services, isNarrow }: Shape): BlockSpec {
  const created = NOON + (isNarrow ? 0 : dice.below(4) * 3 * HOUR);
  const min = created - dice.below(2) * HOUR + dice.below(HOUR);
  const max = min + dice.below(2 * HOUR);
  const datasets = Array.from({ length: dice.below(12) }, () =>
    randomDataset(dice, services, { min, max }),
  );
  const id = ulid(created, dice.below(2 ** 20) * 4096 + i);
  const place = isNarrow
    ? { owner: "", shard: 0 }
    : { owner: dice.pick(OWNERS), shard: dice.below(2) };
  return { id, ...place, min, max, datasets };
}

function expectedPlan(blocks: readonly BlockSpec[], query: QueryParams): string[] {
  const selector = compileSelector(query.selector);
  const found = blocks.flatMap((block) => {
    const datasets = matching(block, query);
    if (datasets.length === 0) return [];
    const shown = datasets.map(({ name, sets }) => {
      const projected =
        query.labels.length === 0 ? [] : (sets ?? []).filter((set) => selector.matchesSet(set));
      return `${name}${JSON.stringify(projected.map((set) => pairsOf(set, query.labels)))}`;
    });
    const order = [block.owner, block.shard, partition(block), block.id].join("\0");
    return [{ order, text: `${block.id}:${shown.join(";")}` }];
  });
  return found.sort((a, b) => (a.order < b.order ? -1 : 1)).map(({ text }) => text);
}

function partition(block: BlockSpec): number {
  return block.id !== undefined && block.id >= ulid(NOON + 6 * HOUR, 0) ? 1 : 0;
}

function pairsOf(
  set: readonly (readonly [string, string])[],
  labels: readonly string[],
): [string, string][] {
  return labels.flatMap((label): [string, string][] => {
    const pair = set.find(([name]) => name === label);
    return pair === undefined ? [] : [[label, pair[1]]];
  });
}

function matching(block: BlockSpec, query: QueryParams): DatasetSpec[] {
  const selector = compileSelector(query.selector);
  const overlaps = (min = 0, max = 0): boolean => query.startMs <= max && query.endMs >= min;
  const isVisible = block.owner === "" || query.tenants.includes(block.owner ?? "");
  if (!isVisible || !overlaps(block.min, block.max)) return [];
  return (block.datasets ?? []).filter(
    ({ tenant, min, max, sets }) =>
      query.tenants.includes(tenant ?? "") &&
      overlaps(min, max) &&
      (sets ?? []).some((set) => selector.matchesSet(set)),
  );
}

function actualPlan(index: TestIndex, query: QueryParams): string[] {
  return index.query(query).map((block) => {
    const text = (ref: number): string => block.stringTable[ref] as string;
    const shown = block.datasets.map(({ name, labels }) => {
      const sets: string[][][] = [];
      for (let i = 0; i < labels.length; i += 1 + 2 * (labels[i] as number)) {
        const pairs = Array.from({ length: labels[i] as number }, (_, p) => i + 1 + 2 * p);
        sets.push(pairs.map((at) => [text(labels[at] as number), text(labels[at + 1] as number)]));
      }
      return `${text(name)}${JSON.stringify(sets)}`;
    });
    return `${block.id}:${shown.join(";")}`;
  });
}

function expectedLabels(blocks: readonly BlockSpec[], query: QueryParams): string[][] {
  const selector = compileSelector(query.selector);
  const rows = new Map<string, string[]>();
  for (const block of blocks) {
    for (const set of matching(block, query).flatMap(({ sets }) => sets ?? [])) {
      if (!selector.matchesSet(set)) continue;
      const row = query.labels.map((label) => set.find(([name]) => name === label)?.[1] ?? "");
      rows.set(JSON.stringify(row), row);
    }
  }
  return [...rows.values()].sort(compareRows);
}

function compareRows(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length; i++) {
    const order = Buffer.compare(Buffer.from(a[i] as string), Buffer.from(b[i] as string));
    if (order !== 0) return order;
  }
  return 0;
}

function randomQuery(dice: Dice): QueryParams {
  const startMs = NOON - HOUR + dice.below(dice.pick([2, 14]) * HOUR);
  const spanMs = dice.pick([0, 60_000, HOUR, 20 * HOUR, -30_000]);
  return {
    tenants: dice.pick([["acme"], ["bolt", "acme"], ["core"], ["acme", "bolt", "core"], [""]]),
    startMs: spanMs === 20 * HOUR ? NOON - 4 * HOUR : startMs,
    endMs: startMs + spanMs,
    selector: dice.pick(SELECTORS),
    labels: dice.pick(LABELS),
  };
}

async function compareOnce(seed: number, shape: Shape): Promise<TestIndex> {
  const dice = new Dice(seed);
  const index = new TestIndex({ cacheBytes: shape.cacheBytes, chunkBytes: 16 * 1024 });
  const blocks: BlockSpec[] = [];
  for (let i = 0; i < shape.blocks; ) {
    const batch = Array.from({ length: Math.min(20, shape.blocks - i) }, () =>
      randomBlock(dice, i++, shape),
    );
    index.add(...batch);
    blocks.push(...batch);
    if (dice.below(6) === 0) {
      const gone = dice.pick(blocks);
      index.remove(gone.owner ?? "", gone.shard ?? 0, [gone.id ?? ""]);
      blocks.splice(blocks.indexOf(gone), 1);
    }
    for (let q = 0; q < 2; q++)
      compareQuery(index, blocks, randomQuery(dice), `seed ${seed} at ${i}`);
  }
  for (let q = 0; q < 40; q++)
    compareQuery(index, blocks, randomQuery(dice), `seed ${seed} at the end`);
  await index.close();
  return index;
}

function compareQuery(
  index: TestIndex,
  blocks: readonly BlockSpec[],
  query: QueryParams,
  where: string,
): void {
  const what = `${where}: ${JSON.stringify(query)}`;
  assert.deepEqual(actualPlan(index, query), expectedPlan(blocks, query), what);
  // String tables and all: both forms of an answer make them in the same order.
  assert.deepEqual(index.queryProto(query), index.query(query), what);
  // Now from what was kept of the first one.
  assert.deepEqual(index.queryProto(query), index.query(query), what);
  const rows = query.labels.length === 0 ? [] : expectedLabels(blocks, query);
  assert.deepEqual(index.labels(query), rows, what);
  assert.deepEqual(index.labelsProto(query), rows, what);
}

describe("queries agree with the definition", () => {
  it("on small indexes", async () => {
    for (let seed = 1; seed <= 12; seed++) {
      await compareOnce(seed, {
        blocks: 60,
        services: 8,
        cacheBytes: 1 << 20,
        isNarrow: seed % 2 === 0,
      });
    }
  });

  it("on larger ones with postings, block scans and few services", async () => {
    const { engine } = await compareOnce(100, {
      blocks: 800,
      services: 12,
      cacheBytes: 1 << 20,
      isNarrow: true,
    });
    assert.ok(engine.counters.blockScans > 0, "no block scan happened");
    assert.ok(engine.counters.resolutionExtensions > 0, "no resolution was extended");
    assert.ok(engine.counters.blocksRepeated > 0, "no block was known from an earlier answer");
  });

  it("on larger ones with many services and a cache that is too small", async () => {
    const { engine } = await compareOnce(200, {
      blocks: 800,
      services: 1500,
      cacheBytes: 64 * 1024,
      isNarrow: false,
    });
    assert.ok(engine.counters.evictions > 0, "nothing was evicted");
  });
});
