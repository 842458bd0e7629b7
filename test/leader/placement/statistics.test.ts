import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PlacementStatistics } from "../../../src/leader/index.ts";
import { MINUTE_NS, SECOND_NS } from "./support.ts";

const START_NS = 1_700_000_000 * SECOND_NS;
const CYCLE_NS = 15 * SECOND_NS;

/** Feeds two shards of a dataset with these bytes per second, second by second, and builds every cycle. */
function runLoad(
  statistics: PlacementStatistics,
  [first, second]: readonly [number, number],
  seconds: number,
): ReturnType<PlacementStatistics["build"]> {
  for (let i = 0; i <= seconds; i++) {
    const nowNs = START_NS + i * SECOND_NS;
    const sample = { tenant: "acme", dataset: "api", owner: "writer-0" };
    statistics.record({ ...sample, shard: 1, sizeBytes: first }, nowNs);
    statistics.record({ ...sample, shard: 2, sizeBytes: second }, nowNs);
    if (i > 0 && i % 15 === 0) statistics.build(nowNs, BigInt(nowNs));
  }
  const nowNs = START_NS + seconds * SECOND_NS + CYCLE_NS;
  return statistics.build(nowNs, BigInt(nowNs));
}

describe("placement statistics", () => {
  it("publish the deviation as a rate, and smooth the value beside it", () => {
    const built = runLoad(new PlacementStatistics(MINUTE_NS), [900_000, 100_000], 1_200);
    const published = built.stats.datasets[0]?.stdDev ?? 0;
    const smoothed = built.deviations[0] ?? 0;
    // Both are close to what they settle at: 400,000, and a fifteenth of it.
    assert.ok(Math.abs(smoothed - 400_000) < 20_000, `smoothed ${smoothed}`);
    assert.ok(Math.abs(published - 400_000 / 15) < 3_000, `published ${published}`);
  });

  it("take no sample of shard 0", () => {
    const statistics = new PlacementStatistics(MINUTE_NS);
    const sample = { tenant: "acme", dataset: "api", owner: "w", shard: 0, sizeBytes: 9 };
    statistics.record(sample, START_NS);
    statistics.record(sample, START_NS + 5 * SECOND_NS);
    assert.equal(statistics.rateCount, 0);
    const { stats } = statistics.build(START_NS + 9 * SECOND_NS, 1n);
    assert.deepEqual(stats, { tenants: [], datasets: [], shards: [], createdAtNs: 1n });
  });

  it("sort names by their bytes and shards by number, then owner", () => {
    const statistics = new PlacementStatistics(MINUTE_NS);
    const names = ["\u{ffee}", "\u{1f525}", "b", "a"];
    for (const tenant of names) {
      for (const shard of [10, 2]) {
        for (const owner of ["w-1", "w-0"])
          statistics.record({ tenant, dataset: "x", owner, shard, sizeBytes: 1 }, START_NS);
      }
    }
    const { stats } = statistics.build(START_NS, 1n);
    const tenants = stats.tenants.map(({ tenantId }) => tenantId);
    assert.deepEqual(tenants, ["a", "b", "\u{ffee}", "\u{1f525}"]);
    assert.deepEqual(
      stats.shards.map(({ id, owner }) => `${id} ${owner}`),
      ["2 w-0", "2 w-1", "10 w-0", "10 w-1"],
    );
    assert.deepEqual(stats.datasets[3]?.shards, [0, 1, 2, 3]);
  });

  it("go on from what another leader published, and forget it when nothing comes", () => {
    const first = new PlacementStatistics(MINUTE_NS);
    const { stats } = runLoad(first, [500_000, 500_000], 600);
    const nowNs = Number(stats.createdAtNs);
    const second = new PlacementStatistics(MINUTE_NS);
    second.seed(stats, nowNs);
    const seeded = second.build(nowNs, stats.createdAtNs).stats;
    assert.deepEqual(seeded.datasets[0]?.usage, stats.datasets[0]?.usage);
    const later = second.build(nowNs + MINUTE_NS, 1n).stats;
    const [before, after] = [stats.datasets[0]?.usage[0] ?? 0, later.datasets[0]?.usage[0] ?? 0];
    assert.ok(
      Math.abs(after - before / 2) < 2,
      `half of ${before} after a half-life, got ${after}`,
    );
    second.expire(nowNs + SECOND_NS);
    assert.equal(second.rateCount, 0);
  });

  it("keep what was measured here when they are seeded", () => {
    const statistics = new PlacementStatistics(MINUTE_NS);
    const { stats } = runLoad(statistics, [100_000, 300_000], 600);
    const nowNs = Number(stats.createdAtNs);
    const datasets = stats.datasets.map((dataset) => ({ ...dataset, usage: [7, 7] }));
    statistics.seed({ ...stats, datasets }, nowNs);
    const after = statistics.build(nowNs, 1n).stats;
    assert.deepEqual(after.datasets[0]?.usage, stats.datasets[0]?.usage);
  });

  it("ignore positions in a seed that lead nowhere", () => {
    const statistics = new PlacementStatistics(MINUTE_NS);
    const dataset = { name: "api", usage: [5, 5], stdDev: 0 };
    statistics.seed(
      {
        tenants: [{ tenantId: "acme" }],
        datasets: [
          { ...dataset, tenant: 3, shards: [0, 0] },
          { ...dataset, tenant: 0, shards: [0, 9] },
        ],
        shards: [{ id: 1, owner: "" }],
        createdAtNs: BigInt(START_NS),
      },
      START_NS,
    );
    assert.equal(statistics.rateCount, 1);
  });

  it("drop a rate that is old among new ones, also one that came after the last look", () => {
    const statistics = new PlacementStatistics(MINUTE_NS);
    const sample = { tenant: "acme", dataset: "api", owner: "w", sizeBytes: 1 };
    for (const shard of [1, 2]) statistics.record({ ...sample, shard }, START_NS + MINUTE_NS);
    statistics.expire(START_NS + SECOND_NS);
    const dataset = { tenant: 0, name: "api", shards: [0], usage: [5], stdDev: 0 };
    const seed = { tenants: [{ tenantId: "acme" }], shards: [{ id: 3, owner: "w" }] };
    statistics.seed({ ...seed, datasets: [dataset], createdAtNs: BigInt(START_NS) }, START_NS);
    assert.equal(statistics.rateCount, 3);
    statistics.expire(START_NS + SECOND_NS);
    assert.equal(statistics.rateCount, 2);
    statistics.record({ ...sample, shard: 2 }, START_NS + 3 * MINUTE_NS);
    statistics.expire(START_NS + 2 * MINUTE_NS);
    const { stats } = statistics.build(START_NS + 3 * MINUTE_NS, 1n);
    assert.deepEqual(stats.shards, [{ id: 2, owner: "w" }]);
    assert.deepEqual(stats.datasets[0]?.shards, [0]);
    assert.equal(stats.datasets[0]?.usage.length, 1);
  });

  it("say the whole load of each dataset, in their order, when new ones come in between", () => {
    const statistics = new PlacementStatistics(MINUTE_NS);
    const record = (dataset: string, sizeBytes: number, second: number): void => {
      const nowNs = START_NS + second * SECOND_NS;
      for (const shard of [1, 2])
        statistics.record({ tenant: "acme", dataset, owner: "w", shard, sizeBytes }, nowNs);
    };
    for (const dataset of ["a", "c"])
      for (const second of [0, 1, 2]) record(dataset, 1_000, second);
    statistics.build(START_NS + 3 * SECOND_NS, 1n);
    for (const second of [3, 4, 5]) record("b", 8_000, second);
    const { stats, loads } = statistics.build(START_NS + 6 * SECOND_NS, 1n);
    assert.deepEqual(
      stats.datasets.map(({ name }) => name),
      ["a", "b", "c"],
    );
    const sums = stats.datasets.map(({ usage }) => usage.reduce((sum, value) => sum + value, 0));
    assert.deepEqual(loads, sums);
    assert.ok((loads[1] as number) > (loads[0] as number) && loads[0] === loads[2]);
  });

  it("drop shards of owners that are gone from the next object", () => {
    const statistics = new PlacementStatistics(MINUTE_NS);
    const sample = { tenant: "acme", dataset: "api", sizeBytes: 1 };
    statistics.record({ ...sample, shard: 1, owner: "old" }, START_NS);
    statistics.record({ ...sample, shard: 1, owner: "new" }, START_NS + MINUTE_NS);
    statistics.expire(START_NS + SECOND_NS);
    const { stats } = statistics.build(START_NS + MINUTE_NS, 1n);
    assert.deepEqual(stats.shards, [{ id: 1, owner: "new" }]);
  });
});
