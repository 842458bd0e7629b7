/** The demo's own judgement: it notices what it exists to notice. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mergeBlocks } from "../../src/cli/worker/index.ts";
import type { BlockMeta, CompactionJob } from "../../src/client/index.ts";
import { Ledger } from "./ledger.ts";
import { plotLevels } from "./plot.ts";
import { SegmentSource } from "./segments.ts";

const JOB = "1-T-S1-L0";

function job(name: string, sources: readonly BlockMeta[]): CompactionJob {
  return {
    name,
    tenant: "",
    shard: 1,
    level: 0,
    sourceBlocks: sources.map(({ id }) => id),
    tombstones: [],
    token: 1,
    signal: new AbortController().signal,
    reported: Promise.resolve(true),
    complete: () => {},
    fail: () => {},
  };
}

/** Four acknowledged segments, of which a job took the first two. */
function arrange(): { ledger: Ledger; segments: BlockMeta[]; merged: BlockMeta } {
  const source = new SegmentSource(1, 1);
  const segments = Array.from({ length: 4 }, (_, i) => source.next(1_000_000 + i));
  const ledger = new Ledger();
  for (const block of segments) {
    ledger.sent(block, 100);
    ledger.acked(block.id, 110);
  }
  const taken = job(JOB, segments.slice(0, 2));
  ledger.taken(taken);
  ledger.compacted(taken, 350);
  return { ledger, segments, merged: mergeBlocks(segments.slice(0, 2), "w")[0] as BlockMeta };
}

describe("ledger of the demo", () => {
  it("finds every segment once where all is well", () => {
    const { ledger, segments, merged } = arrange();
    const blocks = [merged, ...segments.slice(2)];
    const findings = ledger.check({ blocks, tombstones: new Set([JOB]) });
    assert.deepEqual(findings, { once: 2, waiting: 2, lost: 0, twice: 0, wrongBytes: [] });
    assert.deepEqual(ledger.latenciesMs(), [250, 250]);
  });

  it("finds a segment that is gone, and its bytes", () => {
    const { ledger, segments, merged } = arrange();
    const findings = ledger.check({
      blocks: [merged, segments[2] as BlockMeta],
      tombstones: new Set([JOB]),
    });
    assert.equal(findings.lost, 1);
    assert.equal(findings.wrongBytes.length, 1);
  });

  it("finds segments that two completed jobs were made of", () => {
    const { ledger, segments, merged } = arrange();
    ledger.taken(job("2-T-S1-L0", segments.slice(1, 3)));
    const blocks = [merged, ...segments.slice(3)];
    const findings = ledger.check({ blocks, tombstones: new Set([JOB, "2-T-S1-L0"]) });
    assert.equal(findings.twice, 1);
  });

  it("finds a segment that is still there although its job is completed", () => {
    const { ledger, segments, merged } = arrange();
    const findings = ledger.check({ blocks: [merged, ...segments], tombstones: new Set([JOB]) });
    assert.equal(findings.twice, 2);
    assert.ok(findings.wrongBytes.length > 0);
  });

  it("believes tombstones, not workers: a job that left none has not taken effect", () => {
    const { ledger, segments } = arrange();
    const findings = ledger.check({ blocks: segments, tombstones: new Set() });
    assert.deepEqual([findings.waiting, findings.once], [4, 0]);
  });
});

describe("plot of the demo", () => {
  it("draws each level through all samples, and says the end in words", () => {
    const samples = [
      { atMs: 0, blocks: [0, 0] },
      { atMs: 2_000, blocks: [40, 2] },
    ];
    const svg = plotLevels({ title: "a < b", samples, marks: [{ atMs: 1_000, text: "kill -9" }] });
    assert.match(svg, /<title>a &lt; b<\/title>/);
    assert.match(svg, /at the end 40 of level 0, 2 of level 1/);
    assert.equal(svg.match(/<polyline [^>]*points="64,372 840,/g)?.length, 4);
    assert.match(svg, />kill -9</);
  });
});
