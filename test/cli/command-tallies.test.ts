import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommandTallies } from "../../src/cli/server/command-tallies.ts";
import { METRIC_CATALOG, MetricRegistry } from "../../src/metrics/index.ts";
import { COMMAND } from "../../src/protocol/index.ts";
import { encodeEntry, toCommittedBatch } from "../support/entries.ts";

const AT = { firstIndex: 1, term: 1, appendedAtMs: 0 };
const NAME = "pyroscope_metastore_fsm_apply_command";

describe("what commands cost", () => {
  it("is told by the reference's numbers, each entry with its share of the range", async () => {
    const metrics = new MetricRegistry({ hasDefaultMetrics: false }, { specs: METRIC_CATALOG });
    const tallies = new CommandTallies(metrics);
    const entries = [
      encodeEntry(COMMAND.addBlocks, new Uint8Array(100)),
      encodeEntry(COMMAND.addBlocks, new Uint8Array(10)),
      encodeEntry(COMMAND.updateCompactionPlan, new Uint8Array(7)),
      encodeEntry(COMMAND.noop, new Uint8Array(0)),
    ];
    tallies.note([toCommittedBatch(Buffer.concat(entries), AT)], 4);
    const { body } = await metrics.expose();
    for (const line of [
      `${NAME}_size_bytes_sum{command="1"} 110`,
      `${NAME}_size_bytes_count{command="1"} 2`,
      `${NAME}_duration_seconds_count{command="1"} 2`,
      `${NAME}_duration_seconds_sum{command="1"} 2`,
      `${NAME}_duration_seconds_sum{command="3"} 1`,
      `${NAME}_size_bytes_sum{command="8"} 0`,
    ])
      assert.ok(body.includes(`${line}\n`), line);
    // A scrape later nothing has come.
    const again = await metrics.expose();
    assert.ok(again.body.includes(`${NAME}_duration_seconds_sum{command="1"} 2\n`));
  });
});
