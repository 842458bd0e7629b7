import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  COMMAND_BYTES_BUCKETS,
  MetricRegistry,
  STATE_SECONDS_BUCKETS,
  Tally,
} from "../../src/metrics/index.ts";

describe("a tally", () => {
  it("puts a value under the first bound that is not below it, as often as it is told", () => {
    const tally = new Tally([1, 4, 16]);
    for (const value of [0, 1, 1.5, 4, 16, 17]) tally.add(value);
    tally.add(3, 10);
    const { buckets, sum } = tally.take();
    assert.deepEqual([...buckets], [2, 12, 1, 1]);
    assert.equal(sum, 39.5 + 30);
  });

  it("counts from zero after it was taken", () => {
    const tally = new Tally([1]);
    tally.add(1);
    const taken = tally.take();
    tally.add(9);
    assert.deepEqual([...taken.buckets], [1, 0]);
    assert.deepEqual([...tally.take().buckets], [0, 1]);
    assert.equal(tally.take().sum, 0);
  });

  it("fits the registry", async () => {
    const spec = {
      kind: "histogram",
      name: "t_entries",
      help: "Entries.",
      buckets: [1, 4],
    } as const;
    const metrics = new MetricRegistry({ hasDefaultMetrics: false }, { specs: [spec] });
    const tally = new Tally(spec.buckets);
    for (let i = 0; i < 3; i++) {
      tally.add(2);
      metrics.merge({ name: spec.name, ...tally.take() });
    }
    const { body } = await metrics.expose();
    assert.match(body, /^t_entries_bucket\{le="4"\} 3$/m);
    assert.match(body, /^t_entries_sum 6$/m);
  });
});

describe("buckets of the reference", () => {
  it("are 48, a factor apart, from the first to the last", () => {
    for (const [buckets, first, last] of [
      [STATE_SECONDS_BUCKETS, 0.01, 20],
      [COMMAND_BYTES_BUCKETS, 8, 65_536],
    ] as const) {
      assert.equal(buckets.length, 48);
      assert.equal(buckets[0], first);
      assert.ok(Math.abs((buckets[47] as number) / last - 1) < 1e-9);
      const factor = (buckets[1] as number) / first;
      assert.ok(Math.abs((buckets[47] as number) / (buckets[46] as number) / factor - 1) < 1e-9);
    }
  });
});
