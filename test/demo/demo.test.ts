/** A short demo with objects: what an index made from its bucket answers, and what verify says of what was taken away. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runDemo } from "./demo.ts";
import { type DemoOptions, parseOptions } from "./options.ts";

const SEGMENTS = 800;

describe("demo with objects", () => {
  it("ends with a bucket of which the same index can be made, and with nothing missing or too much", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hearth-demo-plot-"));
    try {
      const size = ["--minutes", "0.1", "--rate", String(10 * SEGMENTS), "--shards", "16"];
      const pace = ["--work-ms", "50", "--max-age-ms", "400"];
      const plot = ["--plot", join(directory, "plot.svg")];
      const options = parseOptions(["--objects", ...size, ...pace, ...plot]) as DemoOptions;
      const { problems, segments, compactedOnce, levels, objects } = await runDemo(options);
      assert.deepEqual(problems, []);
      assert.deepEqual([segments, compactedOnce], [SEGMENTS, SEGMENTS]);
      assert.ok(objects !== null);
      const blocks = levels.reduce((sum, count) => sum + count, 0);
      assert.equal(objects.objects, blocks);
      assert.ok(objects.deleted > 0, JSON.stringify(objects));
      assert.ok(objects.deleted + objects.deletedAtEnd >= SEGMENTS, JSON.stringify(objects));
      const hundredth = Math.ceil(blocks / 100);
      assert.deepEqual([objects.missing, objects.orphans], [hundredth, hundredth]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
