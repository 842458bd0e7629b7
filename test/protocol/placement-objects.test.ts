import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  decodeDistributionStats,
  decodePlacementRules,
  type DistributionStats,
  encodeDistributionStats,
  encodePlacementRules,
  type LoadBalancing,
  type PlacementRules,
} from "../../src/protocol/index.ts";
import { inRoot } from "../support/project.ts";

const protobuf = createRequire(import.meta.url)("protobufjs") as typeof import("protobufjs");
const { root } = protobuf.parse(
  readFileSync(inRoot("schemas", "adaptive_placement.proto"), "utf8"),
);

const PLAIN = { noNullPrototype: true } as const;
const uint = fc.maxSafeNat();
const u32 = fc.nat(0xffff_ffff);
/** Short ones, and such that are around the length up to which they are written letter by letter. */
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.string({ minLength: 62, maxLength: 67 }),
);
const createdAtNs = fc.bigInt(-(1n << 63n), (1n << 63n) - 1n);
const tenants = fc.array(fc.record({ tenantId: text }, PLAIN), { maxLength: 4 });

const anyRules: fc.Arbitrary<PlacementRules> = fc.record(
  {
    tenants,
    datasets: fc.array(
      fc.record(
        {
          tenant: u32,
          name: text,
          tenantShardLimit: uint,
          datasetShardLimit: uint,
          loadBalancing: fc.constantFrom<LoadBalancing>(0, 1, 2),
        },
        PLAIN,
      ),
      { maxLength: 4 },
    ),
    createdAtNs,
  },
  PLAIN,
);

const anyStats: fc.Arbitrary<DistributionStats> = fc.record(
  {
    tenants,
    datasets: fc.array(
      fc.record(
        {
          tenant: u32,
          name: text,
          shards: fc.array(u32, { maxLength: 4 }),
          usage: fc.array(uint, { maxLength: 4 }),
          stdDev: uint,
        },
        PLAIN,
      ),
      { maxLength: 4 },
    ),
    shards: fc.array(fc.record({ id: u32, owner: text }, PLAIN), { maxLength: 4 }),
    createdAtNs,
  },
  PLAIN,
);

describe("placement objects", () => {
  it("come back as they were written, and a general decoder understands them", () => {
    const rulesType = root.lookupType("adaptive_placement.PlacementRules");
    fc.assert(
      fc.property(anyRules, (rules) => {
        const bytes = encodePlacementRules(rules);
        assert.deepEqual(decodePlacementRules(bytes), rules);
        const general = rulesType.toObject(rulesType.decode(bytes), { longs: String });
        assert.equal(general["createdAt"] ?? "0", String(rules.createdAtNs));
        assert.equal((general["datasets"] ?? []).length, rules.datasets.length);
      }),
      { numRuns: 300 },
    );
  });

  it("carry statistics as the general encoder writes them", () => {
    const statsType = root.lookupType("adaptive_placement.DistributionStats");
    fc.assert(
      fc.property(anyStats, (stats) => {
        const bytes = encodeDistributionStats(stats);
        assert.deepEqual(decodeDistributionStats(bytes), stats);
        const general = statsType.encode(statsType.decode(bytes)).finish();
        assert.equal(Buffer.compare(general, bytes), 0);
      }),
      { numRuns: 300 },
    );
  });

  it("are zero bytes when they are empty", () => {
    const empty = { tenants: [], datasets: [], createdAtNs: 0n };
    assert.equal(encodePlacementRules(empty).length, 0);
    assert.deepEqual(decodePlacementRules(new Uint8Array(0)), empty);
  });

  it("are read with unknown fields, unpacked lists and strategies of later versions", () => {
    // usage 7 and 8 unpacked; field 99 of another type; field 5 a text instead of a number.
    const dataset = "20072008" + "2a0161" + "9a0600";
    const stats = decodeDistributionStats(Buffer.from(`120a${dataset}`, "hex"));
    assert.deepEqual(stats.datasets[0]?.usage, [7, 8]);
    assert.equal(stats.datasets[0]?.stdDev, 0);
    const rules = decodePlacementRules(Buffer.from("12022809", "hex"));
    assert.equal(rules.datasets[0]?.loadBalancing, 0);
  });

  it("are refused or read, never worse, whatever bytes come", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const decode of [decodePlacementRules, decodeDistributionStats]) {
          try {
            decode(bytes);
          } catch (error) {
            assert.equal((error as { reason?: string }).reason, "bad_placement_object");
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("are refused when they end too early", () => {
    const whole = encodePlacementRules({
      tenants: [{ tenantId: "acme" }],
      datasets: [],
      createdAtNs: 1n,
    });
    const refusal = { code: "data_loss", reason: "bad_placement_object" };
    for (const end of [1, 3, 7]) {
      assert.throws(() => decodePlacementRules(whole.subarray(0, end)), refusal, `${end} bytes`);
    }
  });
});
