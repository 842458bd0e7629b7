/** `hearth bench worker`: what it makes of metadata, and that it takes and finishes jobs of a real server. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { mergeBlocks } from "../../src/cli/worker/index.ts";
import { type BlockMeta, connect } from "../../src/client/index.ts";
import { ByteSink, encodeBlock, validateBlock } from "../../src/protocol/index.ts";
import { SegmentSource } from "../demo/segments.ts";
import { startServer } from "../support/server-process.ts";
import { until } from "../support/until.ts";
import { hearth, hearthAt } from "./support.ts";

const NOW_MS = Date.parse("2026-11-22T10:00:00Z");

function segments(count: number): BlockMeta[] {
  const source = new SegmentSource(1, 1);
  return Array.from({ length: count }, (_, i) => source.next(NOW_MS + i));
}

function only(blocks: readonly BlockMeta[]): BlockMeta {
  assert.equal(blocks.length, 1);
  return blocks[0] as BlockMeta;
}

function profileBytes(blocks: readonly BlockMeta[]): bigint {
  const datasets = blocks.flatMap((block) => block.datasets.filter(({ format }) => format === 0));
  return datasets.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n);
}

describe("merged metadata", () => {
  it("is one valid block per tenant, of the next level, with every byte of the sources", () => {
    const sources = segments(20);
    const merged = only(mergeBlocks(sources, "w"));
    const sink = new ByteSink();
    encodeBlock(merged, sink);
    assert.equal(validateBlock(sink.view()), null);
    assert.equal(merged.stringTable[merged.tenant], "anonymous");
    assert.deepEqual([merged.compactionLevel, merged.shard], [1, 1]);
    assert.equal(profileBytes([merged]), profileBytes(sources));
    const services = new Set(
      sources.map(({ datasets, stringTable }) => stringTable[datasets[0]?.name ?? 0]),
    );
    assert.equal(merged.datasets.length, services.size + 1);
    assert.deepEqual([merged.minTimeMs, merged.maxTimeMs], [NOW_MS, NOW_MS + 19]);
  });

  it("of merged blocks keeps the bytes and makes the tenant's index anew", () => {
    const sources = segments(20);
    const halves = [sources.slice(0, 10), sources.slice(10)].map((half) =>
      only(mergeBlocks(half, "w")),
    );
    const merged = only(mergeBlocks(halves, "w"));
    assert.equal(merged.compactionLevel, 2);
    assert.equal(profileBytes([merged]), profileBytes(sources));
    assert.equal(merged.datasets.filter(({ format }) => format === 1).length, 1);
  });

  it("has an id that depends on the sources and their order, and on nothing else", () => {
    const sources = segments(3);
    const id = only(mergeBlocks(sources, "w")).id;
    assert.equal(only(mergeBlocks(sources, "another")).id, id);
    assert.notEqual(only(mergeBlocks([...sources].reverse(), "w")).id, id);
    assert.equal(id.slice(0, 10), sources[0]?.id.slice(0, 10));
  });

  it("keeps tenants apart", () => {
    const [first, second] = segments(2) as [BlockMeta, BlockMeta];
    const other = { ...second, stringTable: second.stringTable.with(1, "acme") };
    const merged = mergeBlocks([first, other], "w");
    const tenants = merged.map(({ stringTable, tenant }) => stringTable[tenant]);
    assert.deepEqual(tenants, ["acme", "anonymous"]);
    assert.notEqual(merged[0]?.id, merged[1]?.id);
  });
});

describe("hearth bench worker", () => {
  it("finishes jobs of a running server, whatever it is told to do wrong on the way", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-worker-"));
    const server = await startServer({ directory });
    const client = await connect({ endpoints: [server.endpoint], name: "test" });
    try {
      // The first poll turns compaction on.
      await client.pollCompactionJobs({
        worker: "first",
        requestId: 1,
        capacity: 0,
        waitMs: 0,
        reports: [],
      });
      await client.addBlocks(segments(100).map((block) => ({ ...block, shard: 7 })));
      const argv = ["bench", "worker", "--work", "1ms", "--jobs", "5", "--for", "3s", "--json"];
      const faults = ["--fail", "0.2", "--late", "0.2", "--silence", "50ms", "--seed", "3"];
      let ended = 0;
      // Three seconds are plenty for a job, but not on a machine that is busy with something else.
      await until("a job ends", async () => {
        const said = await hearthAt(server.httpUrl, ...argv, ...faults);
        assert.equal(said.code, 0, said.talk);
        const { schema, completed, failed, sourceBlocks, newBlocks } = JSON.parse(said.out);
        assert.equal(schema, "hearth/bench-worker/v1");
        assert.equal(sourceBlocks, 20 * completed);
        assert.equal(newBlocks, completed);
        ended += completed + failed;
        return ended > 0;
      });
      const more = ["bench", "worker", "--work", "0s", "--for", "1s", "--json"];
      const rest = await hearthAt(server.httpUrl, ...more);
      assert.equal(rest.code, 0, rest.talk);
    } finally {
      await client.close();
      await server.kill();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("refuses shares that make no sense before it connects", async () => {
    const said = await hearth(["bench", "worker", "--fail", "0.6", "--crash", "0.6"]);
    assert.equal(said.code, 2);
    assert.match(said.talk, /more than 1 together/);
    assert.match((await hearth(["bench", "worker", "--late", "-1"])).talk, /--late/);
  });
});
