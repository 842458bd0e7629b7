/** Polls of compaction workers as the contract has them. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  decodePollProto,
  encodeBlockMetaProto,
  LIMITS,
  REPORT_STATUS,
} from "../../src/protocol/index.ts";
import { decodeMessage, encodeMessage } from "../support/grpc/schema.ts";
import { blockOf, wireOf } from "./support.ts";

describe("polls in protobuf", () => {
  it("carry results as blocks", () => {
    const message = {
      job_capacity: 7,
      status_updates: [
        { name: "a", token: "12", status: "COMPACTION_STATUS_IN_PROGRESS" },
        {
          name: "b",
          token: "9007199254740992",
          status: "COMPACTION_STATUS_SUCCESS",
          compacted_blocks: {
            source_blocks: { tenant: "t", shard: 4, blocks: [blockOf().id] },
            new_blocks: [decodeMessage("metastore.v1.BlockMeta", encodeBlockMetaProto(blockOf()))],
          },
        },
        { name: "c" },
      ],
    };
    const bytes = encodeMessage("metastore.v1.PollCompactionJobsRequest", message);
    assert.deepEqual(decodePollProto(bytes), {
      capacity: 7,
      reports: [
        { name: "a", token: 12, status: 1, reason: "", compacted: null },
        {
          name: "b",
          token: 2 ** 53,
          status: 2,
          reason: "",
          compacted: {
            source: { tenant: "t", shard: 4, blocks: [blockOf().id] },
            newBlocks: [wireOf(blockOf())],
          },
        },
        { name: "c", token: 0, status: 0, reason: "", compacted: null },
      ],
    });
  });

  it("count a result that no index could take as a failure, and nothing else", () => {
    const block = decodeMessage("metastore.v1.BlockMeta", encodeBlockMetaProto(blockOf()));
    const source = { shard: 4, blocks: [blockOf().id] };
    const bad: readonly [string, object][] = [
      ["no ulid", { source_blocks: source, new_blocks: [block, { ...block, id: "no ulid" }] }],
      ["string reference", { source_blocks: source, new_blocks: [{ ...block, tenant: 99 }] }],
      ["no ulid", { source_blocks: { blocks: ["no ulid"] }, new_blocks: [block] }],
      ["4096", { source_blocks: source, new_blocks: Array(4_097).fill({}) }],
    ];
    for (const [words, compacted] of bad) {
      const updates = [
        {
          name: "bad",
          token: "3",
          status: "COMPACTION_STATUS_SUCCESS",
          compacted_blocks: compacted,
        },
        { name: "good", token: "4", status: "COMPACTION_STATUS_IN_PROGRESS" },
      ];
      const message = { job_capacity: 1, status_updates: updates };
      const bytes = encodeMessage("metastore.v1.PollCompactionJobsRequest", message);
      const [failed, good] = decodePollProto(bytes).reports;
      assert.equal(failed?.status, REPORT_STATUS.failed);
      assert.equal(failed.token, 3);
      assert.equal(failed.compacted, null);
      assert.match(failed.reason, new RegExp(words));
      assert.ok(Buffer.byteLength(failed.reason) <= LIMITS.jobReasonMaxBytes);
      assert.equal(good?.status, REPORT_STATUS.inProgress);
    }
    // Bytes that are no message are refused as a whole: nobody knows what else they say.
    const torn = Buffer.from([0x0a, 7, 0x18, 2, 0x22, 3, 0x12, 1, 0xff]);
    assert.throws(() => decodePollProto(torn), { reason: "bad_protobuf" });
  });

  it("say one thing about each job", () => {
    const updates = [
      { name: "a", token: "1", status: 1 },
      { name: "b", token: "1", status: 2 },
      { name: "a", token: "2", status: 2, compacted_blocks: { source_blocks: { shard: 9 } } },
      { name: "b", token: "2", status: 1 },
      { name: "c", token: "1" },
      { name: "c", token: "2", status: 1 },
    ];
    const message = { status_updates: updates };
    const bytes = encodeMessage("metastore.v1.PollCompactionJobsRequest", message);
    const said = decodePollProto(bytes).reports.map(({ name, token, status }) => [
      name,
      token,
      status,
    ]);
    assert.deepEqual(said, [
      ["a", 2, REPORT_STATUS.success],
      ["b", 1, REPORT_STATUS.success],
      ["c", 2, REPORT_STATUS.inProgress],
    ]);
  });

  it("carry a result with a success alone", () => {
    const compacted = { source_blocks: { blocks: ["no ulid"] } };
    const update = { name: "a", token: "3", status: 1, compacted_blocks: compacted };
    const message = { status_updates: [update] };
    const bytes = encodeMessage("metastore.v1.PollCompactionJobsRequest", message);
    const { reports } = decodePollProto(bytes);
    assert.deepEqual(reports, [{ name: "a", token: 3, status: 1, reason: "", compacted: null }]);
  });
});
