import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LOAD_DEFAULTS, LoadGenerator, type LoadOptions } from "../../src/cli/load/index.ts";
import { type BlockMeta, ByteSink, encodeBlock, validateBlock } from "../../src/protocol/index.ts";

const START_MS = Date.parse("2026-11-21T00:00:00Z");
const OPTIONS: LoadOptions = {
  ...LOAD_DEFAULTS,
  blockCount: 2_000,
  startAtMs: START_MS,
  endAtMs: START_MS + 86_400_000,
};

function wireBytes(block: BlockMeta): Uint8Array {
  const sink = new ByteSink();
  encodeBlock(block, sink);
  return sink.view();
}

/** Time part of a ULID, Unix ms. */
function createdAtMs(id: string): number {
  return [...id.slice(0, 10)].reduce(
    (sum, letter) => sum * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".indexOf(letter),
    0,
  );
}

describe("generated load", () => {
  it("depends on the seed and the position alone", () => {
    const generator = new LoadGenerator(OPTIONS);
    const inOrder = [...generator.blocks(0, 50)];
    const again = new LoadGenerator(OPTIONS);
    for (const position of [49, 7, 0, 31])
      assert.deepEqual(again.block(position), inOrder[position], String(position));
    assert.notDeepEqual(new LoadGenerator({ ...OPTIONS, seed: 2 }).block(7), inOrder[7]);
  });

  it("passes the check at the door, every block", () => {
    for (const block of new LoadGenerator(OPTIONS).blocks()) {
      const bytes = wireBytes(block);
      assert.equal(validateBlock(bytes, 0, bytes.length), null, block.id);
    }
  });

  it("has ids that are all different and lie in its range", () => {
    const ids = [...new LoadGenerator(OPTIONS).blocks()].map((block) => block.id);
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(createdAtMs(ids[0] ?? ""), OPTIONS.startAtMs);
    assert.equal(createdAtMs(ids.at(-1) ?? ""), OPTIONS.endAtMs);
    assert.deepEqual(
      [...ids].map(createdAtMs).sort((a, b) => a - b),
      ids.map(createdAtMs),
    );
  });

  it("looks like the real thing", () => {
    const blocks = [...new LoadGenerator(OPTIONS).blocks()];
    const segments = blocks.filter((block) => block.compactionLevel === 0);
    const compacted = blocks.filter((block) => block.compactionLevel > 0);
    assert.ok(compacted.length > 50 && compacted.length < 150, `${compacted.length} compacted`);
    const sizes = segments.map((block) => wireBytes(block).length);
    const meanBytes = sizes.reduce((sum, bytes) => sum + bytes, 0) / sizes.length;
    assert.ok(meanBytes > 500 && meanBytes < 800, `segments have ${meanBytes} bytes`);
    for (const block of segments) {
      assert.equal(block.tenant, 0, "a segment is anonymous");
      assert.ok(block.datasets.length >= 1 && block.datasets.length <= 3);
      for (const dataset of block.datasets) assert.equal(dataset.tableOfContents.length, 3);
    }
    for (const block of compacted) {
      assert.notEqual(block.tenant, 0);
      assert.equal(block.datasets.length, 10);
      assert.equal(block.datasets.at(-1)?.format, 1);
    }
  });

  it("works with one tenant, one service, one shard and one block", () => {
    const smallest = {
      ...OPTIONS,
      tenantCount: 1,
      serviceCount: 1,
      shardCount: 1,
      blockCount: 1,
      endAtMs: START_MS,
    };
    for (const compactedShare of [0, 1]) {
      const block = new LoadGenerator({ ...smallest, compactedShare }).block(0);
      const bytes = wireBytes(block);
      assert.equal(validateBlock(bytes, 0, bytes.length), null);
    }
  });
});
