import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type EffectivePlacement, movedShare, shardsOf } from "../../../src/leader/index.ts";

function placement(datasetShards: number, changes: Partial<EffectivePlacement> = {}) {
  return { tenantShards: 0, datasetShards, strategy: "fingerprint" as const, ...changes };
}

describe("the effective placement", () => {
  it("has at least one shard, and at most those of the tenant", () => {
    assert.equal(shardsOf(placement(0)), 1);
    assert.equal(shardsOf(placement(9, { tenantShards: 4 })), 4);
    assert.equal(shardsOf(placement(3, { tenantShards: 4 })), 3);
  });

  it("moves the share of keys that a count of all remainders finds", () => {
    for (const [before, after] of [
      [1, 2],
      [2, 3],
      [4, 8],
      [6, 4],
      [12, 18],
    ] as const) {
      let moved = 0;
      const all = before * after;
      for (let key = 0; key < all; key++) if (key % before !== key % after) moved++;
      const share = movedShare(placement(before), placement(after));
      assert.ok(Math.abs(share - moved / all) < 1e-12, `${before} to ${after}: ${share}`);
    }
  });

  it("moves nothing when nothing changes, and nearly all when keys go in turn", () => {
    assert.equal(movedShare(placement(5), placement(5)), 0);
    const inTurn = placement(4, { strategy: "round-robin" });
    assert.equal(movedShare(inTurn, inTurn), 0);
    assert.equal(movedShare(placement(4), inTurn), 0.75);
  });
});
