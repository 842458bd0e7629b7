import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  PinSet,
  PlacementRuler,
  type PlacementLimits,
  type RulerOptions,
} from "../../../src/leader/index.ts";
import { type DatasetPlacement, LOAD_BALANCING } from "../../../src/protocol/index.ts";
import { limits, MINUTE_NS, SECOND_NS, statsOfAcme } from "./support.ts";

const START_NS = 1_700_000_000 * SECOND_NS;
const UNIT = 131_072;
const { fingerprint, roundRobin } = LOAD_BALANCING;

interface Cycle {
  readonly usage: Readonly<Record<string, readonly number[]>>;
  readonly deviations?: readonly number[];
  readonly nowNs?: number;
  readonly pins?: PinSet;
  readonly tenant?: Partial<PlacementLimits>;
}

function cycle(
  ruler: PlacementRuler,
  { usage, deviations = [], nowNs = START_NS, pins = new PinSet(), tenant = {} }: Cycle,
): readonly DatasetPlacement[] {
  const rules = ruler.build({
    built: { stats: statsOfAcme(usage, nowNs), deviations },
    nowNs,
    createdAtNs: BigInt(nowNs),
    limitsOf: () => limits(tenant),
    pins,
  });
  return rules.datasets;
}

function ruler(options: Partial<RulerOptions> = {}): PlacementRuler {
  return new PlacementRuler({ deviation: "smoothed", ...options });
}

function pinned(dataset: string, shards: number): PinSet {
  return new PinSet().with({
    tenant: "acme",
    dataset,
    shards,
    loadBalancing: null,
    pinnedAtMs: 0,
  });
}

describe("placement rules", () => {
  it("go over to round robin by the smoothed deviation, and stay there", () => {
    const hot = { api: [4 * UNIT, UNIT / 2, UNIT / 2, UNIT / 2, UNIT / 2] };
    const own = ruler();
    assert.equal(cycle(own, { usage: hot, deviations: [UNIT] })[0]?.loadBalancing, roundRobin);
    const calm = { api: [UNIT, UNIT, UNIT, UNIT, UNIT] };
    const later = { usage: calm, deviations: [0], nowNs: START_NS + MINUTE_NS };
    assert.equal(cycle(own, later)[0]?.loadBalancing, roundRobin);
  });

  it("judge by the published deviation when told to, which stays below the threshold", () => {
    const hot = { api: [4 * UNIT, UNIT / 2, UNIT / 2, UNIT / 2, UNIT / 2] };
    const published = ruler({ deviation: "published" });
    const found = cycle(published, { usage: hot, deviations: [UNIT] });
    assert.equal(found[0]?.loadBalancing, fingerprint);
  });

  it("are not shrunk by a new leader before a decay window has passed", () => {
    const next = ruler();
    next.load(
      {
        tenants: [{ tenantId: "acme" }],
        datasets: [
          {
            tenant: 0,
            name: "api",
            tenantShardLimit: 0,
            datasetShardLimit: 12,
            loadBalancing: fingerprint,
          },
        ],
        createdAtNs: BigInt(START_NS),
      },
      START_NS,
    );
    const shardsAt = (minutes: number): number | undefined =>
      cycle(next, { usage: { api: [10] }, nowNs: START_NS + minutes * MINUTE_NS })[0]
        ?.datasetShardLimit;
    assert.equal(shardsAt(1), 12);
    assert.equal(shardsAt(18), 12);
    // One to two windows of 19 minutes.
    assert.equal(shardsAt(20), 12);
    assert.equal(shardsAt(39), 1);
  });

  it("take rules of a clock that ran ahead as made now", () => {
    const next = ruler();
    next.load(
      {
        tenants: [{ tenantId: "acme" }],
        datasets: [
          {
            tenant: 0,
            name: "api",
            tenantShardLimit: 0,
            datasetShardLimit: 3,
            loadBalancing: fingerprint,
          },
        ],
        createdAtNs: BigInt(START_NS + 60 * MINUTE_NS),
      },
      START_NS,
    );
    next.expire(START_NS + MINUTE_NS, new PinSet());
    assert.deepEqual(cycle(next, { usage: {}, nowNs: START_NS + 2 * MINUTE_NS }), []);
  });

  it("give a pinned dataset what the pin says, and what its load says when it is unpinned", () => {
    const own = ruler();
    const usage = { api: [3 * UNIT] };
    const pins = pinned("api", 9);
    assert.equal(cycle(own, { usage, pins })[0]?.datasetShardLimit, 9);
    const later = START_NS + SECOND_NS;
    assert.equal(cycle(own, { usage, nowNs: later })[0]?.datasetShardLimit, 4);
  });

  it("have pinned datasets that nobody writes to, until they are unpinned", () => {
    const own = ruler();
    const pins = pinned("quiet", 5);
    own.expire(START_NS, pins);
    const [found] = cycle(own, { usage: {}, pins });
    assert.equal(found?.name, "quiet");
    assert.equal(found?.datasetShardLimit, 5);
    own.expire(START_NS + MINUTE_NS, pins);
    assert.equal(cycle(own, { usage: {}, pins, nowNs: START_NS + MINUTE_NS }).length, 1);
    own.expire(START_NS + MINUTE_NS, new PinSet());
    assert.deepEqual(cycle(own, { usage: {}, nowNs: START_NS + 2 * MINUTE_NS }), []);
  });

  it("stay with their datasets when others come, go quiet and expire", () => {
    const own = ruler();
    const at = (minutes: number, usage: Cycle["usage"]): (readonly [string, number])[] => {
      const found = cycle(own, { usage, nowNs: START_NS + minutes * MINUTE_NS });
      return found.map(({ name, datasetShardLimit }) => [name, datasetShardLimit]);
    };
    const [b, c] = [
      ["b", 4],
      ["c", 6],
    ];
    assert.deepEqual(at(0, { b: [3 * UNIT], c: [5 * UNIT] }), [b, c]);
    own.expire(START_NS, new PinSet());
    assert.deepEqual(at(1, { a: [UNIT], b: [3 * UNIT], c: [5 * UNIT] }), [["a", 2], b, c]);
    // A quiet one comes behind those of the statistics.
    assert.deepEqual(at(2, { b: [3 * UNIT], c: [5 * UNIT] }), [b, c, ["a", 2]]);
    own.expire(START_NS + 2 * MINUTE_NS, new PinSet());
    assert.deepEqual(at(3, { b: [3 * UNIT], c: [5 * UNIT] }), [b, c]);
    own.expire(START_NS + 4 * MINUTE_NS, new PinSet());
    assert.deepEqual(at(5, { c: [UNIT] }), [["c", 2]]);
  });

  it("are not changed by what is built on a copy", () => {
    const own = ruler();
    cycle(own, { usage: { api: [10 * UNIT] } });
    const later = { usage: { api: [40 * UNIT] }, nowNs: START_NS + MINUTE_NS };
    const previewed = cycle(own.copy(), later);
    assert.deepEqual(cycle(own.copy(), later), previewed);
    assert.deepEqual(cycle(own, later), previewed);
  });
});
