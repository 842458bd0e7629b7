/** A handful of seeds: they hold, they repeat themselves, and they do what they are for. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Coverage } from "./coverage.ts";
import { PROFILES } from "./plan.ts";
import { replayLine } from "./shrink.ts";
import { type SimOptions, simulate } from "./simulate.ts";

const OPTIONS: SimOptions = {
  events: 6_000,
  phase: "all",
  profile: "default",
  without: new Set<string>(),
};

describe("simulator", () => {
  it("finds nothing in a handful of seeds, and makes progress in them", async () => {
    const coverage = new Coverage();
    for (let seed = 1; seed <= 8; seed++) {
      const result = await simulate(seed, OPTIONS);
      assert.equal(result.violation, null, `${replayLine(seed, OPTIONS)}`);
      assert.ok(result.events >= OPTIONS.events * 0.9);
      coverage.add(result.coverage);
    }
    const { counts } = coverage;
    assert.ok(counts.writeAcknowledged > 100, `${counts.writeAcknowledged} writes`);
    assert.ok(counts.readFollower > 20, `${counts.readFollower} reads`);
    assert.ok(counts.election >= 8 && counts.crash > 0 && counts.livenessChecked > 0);
  });

  it("does the same twice, and something else with another seed", async () => {
    const [first, again] = [await simulate(11, OPTIONS), await simulate(11, OPTIONS)];
    assert.equal(first.traceHash, again.traceHash);
    assert.equal(first.events, again.events);
    assert.notEqual(first.traceHash, (await simulate(12, OPTIONS)).traceHash);
  });

  it("runs every profile", async () => {
    for (const profile of PROFILES) {
      const options = { ...OPTIONS, events: 2_000, profile };
      const { violation } = await simulate(5, options);
      assert.equal(violation, null, replayLine(5, options));
    }
  });
});
