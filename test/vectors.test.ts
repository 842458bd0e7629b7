/** The conformance vectors of the metadata index, against the engine in this process. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inRoot } from "./support/project.ts";
import { loadCompactionVectors, runCompactionCase } from "./support/vectors/compaction/run.ts";
import { createEngineTargets } from "./support/vectors/engine-target.ts";
import { areSameMessages } from "./support/vectors/messages.ts";
import { loadVectors, runCase } from "./support/vectors/run.ts";
import type { VectorFile } from "./support/vectors/types.ts";

const targets = createEngineTargets();

for (const { name, content } of loadVectors(inRoot("test", "vectors", "index"))) {
  describe(`vectors ${name}`, () => {
    for (const vectorCase of content.cases) {
      it(vectorCase.name, async () => {
        assert.equal(await runCase(content, vectorCase, targets), null);
      });
    }
  });
}

const compactionFiles = loadCompactionVectors(inRoot("test", "vectors", "compaction"));

for (const { name, content } of compactionFiles) {
  describe(`compaction vectors ${name}`, () => {
    for (const vectorCase of content.cases) {
      it(vectorCase.id, async () => {
        const outcome = await runCompactionCase(content, vectorCase);
        assert.equal(outcome.kind === "failed" ? outcome.failure : null, null);
      });
    }
  });
}

describe("compaction vectors", () => {
  it("are run for every part of compaction, of retention and of the placement", () => {
    const names = compactionFiles.map((file) => file.name);
    const placement = ["distribution_stats", "encoding", "ewma", "load_balancing", "ruler"];
    const more = ["placement_policy", "scheduler", "shard_allocator", "tombstones"];
    const compaction = ["job_names", "planner", "poll", "queue", "restart", "retention"];
    assert.deepEqual(
      names,
      ["dlq_paths", "dlq_sweep", ...placement, ...more, ...compaction].sort(),
    );
  });

  it("fail where an encoding comes out differently", async () => {
    const file = compactionFiles.find(({ name }) => name === "encoding");
    const vectorCase = file?.content.cases.find(({ id }) => id === "enc-log-entry");
    assert.ok(file !== undefined && vectorCase !== undefined);
    const wrong = { ...vectorCase, value: { command: 3, payload_hex: "" } };
    const outcome = await runCompactionCase(file.content, wrong);
    assert.equal(outcome.kind, "failed");
  });
});

describe("the comparison of messages", () => {
  it("takes an absent field and its default for the same", () => {
    const isSame = areSameMessages({ size: "0", labels: [], id: "x" }, { id: "x" }, false);
    assert.equal(isSame, true);
  });

  it("tells an absent message from an empty one", () => {
    assert.equal(areSameMessages({ stats: {} }, {}, false), false);
  });

  it("keeps the order of lists unless told otherwise", () => {
    const [left, right] = [{ ids: ["a", "b"] }, { ids: ["b", "a"] }];
    assert.equal(areSameMessages(left, right, false), false);
    assert.equal(areSameMessages(left, right, true), true);
    assert.equal(areSameMessages({ ids: ["a", "a"] }, { ids: ["a", "b"] }, true), false);
  });

  it("keeps empty strings in lists", () => {
    assert.equal(areSameMessages({ string_table: [""] }, {}, false), false);
  });
});

describe("the runner", () => {
  it("reports a wrong answer, with its step", async () => {
    const file: VectorFile = {
      format: 1,
      title: "",
      description: "",
      spec: [],
      setup: [],
      cases: [
        {
          name: "wrong",
          steps: [
            { op: "get_tenants", expect: { code: "OK", response: { tenant_ids: ["nobody"] } } },
          ],
        },
      ],
    };
    const failure = await runCase(file, file.cases[0]!, targets);
    assert.match(failure ?? "", /^step 1, get_tenants: responses differ/);
  });
});
