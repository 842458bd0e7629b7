/** The protobuf codecs by hand against protobufjs with the types of schemas/. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  BlockTranscoder,
  ByteSink,
  decodeAddBlockProto,
  decodeBlockListProto,
  decodeMemberProto,
  decodeQueryProto,
  decodeTenantProto,
  encodeBlockMetaProto,
  type JobPlan,
  putHealthList,
  putNodeInfo,
  putPollReply,
  putStatus,
  putTenants,
  putTenantStats,
  validateBlock,
} from "../../src/protocol/index.ts";
import { encodeUlid, isHearthError, ULID_BYTES } from "../../src/base/index.ts";
import { decodeMessage, encodeMessage, type Message } from "../support/grpc/schema.ts";
import {
  blockArbitrary,
  blockOf,
  realBlocks,
  textArbitrary,
  ulidArbitrary,
  wireOf,
} from "./support.ts";

const RUNS = { numRuns: 200 };
const TRANSCODER = new BlockTranscoder();

function transcode(message: Uint8Array): Uint8Array {
  const sink = new ByteSink();
  const length = TRANSCODER.append(sink, message);
  assert.equal(length, sink.length);
  return sink.copy();
}

function written(write: (sink: ByteSink) => void): Uint8Array {
  const sink = new ByteSink(16);
  write(sink);
  return sink.copy();
}

/** Cuts a message into its fields; those of wire type 2 and 0 only, which is all that blocks have. */
function fieldsOf(message: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] as number;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const start = at;
    const wire = varint() & 7;
    const value = varint();
    if (wire === 2) at += value;
    fields.push(message.subarray(start, at));
  }
  return fields;
}

/** Fields that nobody knows: a varint, fixed numbers, bytes and a group with a field in it. */
const UNKNOWN = Buffer.from([
  0xa0, 0x06, 0x05, 0xa9, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0xad, 0x06, 1, 2, 3, 4, 0xb2, 0x06, 2, 9, 9,
  0xbb, 0x06, 0x08, 0x01, 0xbc, 0x06,
]);

describe("a block out of protobuf", () => {
  it("is the block that the plain way makes, byte for byte", () => {
    for (const { name, meta } of realBlocks())
      assert.deepEqual(transcode(encodeBlockMetaProto(meta)), wireOf(meta), name);
    fc.assert(
      fc.property(blockArbitrary, (meta) => {
        const bytes = transcode(encodeBlockMetaProto(meta));
        assert.deepEqual(bytes, wireOf(meta));
        assert.equal(validateBlock(bytes), null);
      }),
      RUNS,
    );
  });

  it("does not depend on the order of fields, and ignores unknown ones", () => {
    fc.assert(
      fc.property(blockArbitrary, fc.infiniteStream(fc.nat()), (meta, numbers) => {
        const fields = fieldsOf(encodeBlockMetaProto(meta));
        // Repeated fields keep their order among themselves.
        const isRepeated = (field: Uint8Array): boolean => field[0] === 0x52 || field[0] === 0x5a;
        const single = fields.filter((field) => !isRepeated(field));
        const order = single
          .map((field) => ({ field, rank: numbers.next().value }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ field }) => field);
        const message = Buffer.concat([UNKNOWN, ...fields.filter(isRepeated), ...order, UNKNOWN]);
        assert.deepEqual(transcode(message), wireOf(meta));
      }),
      RUNS,
    );
  });

  it("takes lists that are not packed, and the last of what stands there twice", () => {
    const meta = blockOf();
    const [dataset] = meta.datasets;
    assert.ok(dataset !== undefined);
    // Labels 1 3 4 and sections 0 4549 7747, each number as a field of its own.
    const numbers = Buffer.from([
      0x08, 1, 0x10, 4, 0x28, 0, 0x40, 1, 0x28, 0xc5, 0x23, 0x40, 3, 0x40, 4, 0x28, 0xc3, 0x3c,
    ]);
    const times = fieldsOf(encodeBlockMetaProto(meta)).find((field) => field[0] === 0x52);
    const kept = fieldsOf((times as Uint8Array).subarray(2)).filter((field) =>
      [0x18, 0x20, 0x30].includes(field[0] as number),
    );
    const body = Buffer.concat([numbers, ...kept]);
    const others = fieldsOf(encodeBlockMetaProto(meta)).filter((field) => field[0] !== 0x52);
    const twice = Buffer.from([0x20, 99]);
    const message = Buffer.concat([twice, ...others, Buffer.from([0x52, body.length]), body]);
    assert.deepEqual(transcode(message), wireOf(meta));
  });

  it("with times that doubles do not hold is refused by the door", () => {
    for (const time of ["9007199254740993", "-9007199254740993", "9223372036854775807"]) {
      const block = decodeMessage("metastore.v1.BlockMeta", encodeBlockMetaProto(blockOf()));
      const message = encodeMessage("metastore.v1.BlockMeta", { ...block, max_time: time });
      assert.equal(validateBlock(transcode(message))?.reason, "bad_time", time);
    }
  });

  it("that is none leaves the sink as it was", () => {
    const sink = new ByteSink();
    sink.appendWords(1, 2);
    const message = encodeBlockMetaProto(blockOf());
    for (let end = 1; end < message.length; end++) {
      try {
        TRANSCODER.append(sink, message, 0, end);
        sink.length = 8;
      } catch (error) {
        assert.ok(isHearthError(error) && error.code === "invalid_argument", String(error));
        assert.equal(sink.length, 8);
      }
    }
  });

  it("of too many parts is refused before memory is taken", () => {
    const datasets = Buffer.alloc(2 * 70_000);
    for (let i = 0; i < datasets.length; i += 2) datasets[i] = 0x52;
    assert.throws(() => transcode(datasets), {
      code: "invalid_argument",
      reason: "block_too_large",
    });
  });
});

describe("requests", () => {
  it("of queries are read as they were meant", () => {
    const times = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
    const clamp = (value: bigint): number =>
      Number(value > 2n ** 53n ? 2n ** 53n : value < -(2n ** 53n) ? -(2n ** 53n) : value);
    const texts = fc.array(textArbitrary, { maxLength: 5 });
    fc.assert(
      fc.property(
        texts,
        times,
        times,
        textArbitrary,
        texts,
        (tenants, start, end, query, labels) => {
          const message = {
            tenant_id: tenants,
            start_time: `${start}`,
            end_time: `${end}`,
            query,
            labels,
          };
          const request = decodeQueryProto(
            encodeMessage("metastore.v1.QueryMetadataRequest", message),
          );
          assert.deepEqual(
            { ...request, startMs: request.startMs + 0, endMs: request.endMs + 0 },
            {
              tenants,
              startMs: clamp(start),
              endMs: clamp(end),
              selector: query,
              labels,
              consistency: "strong",
              maxStalenessMs: 0,
            },
          );
        },
      ),
      RUNS,
    );
  });

  it("for blocks carry ids as bytes", () => {
    fc.assert(
      fc.property(
        textArbitrary,
        fc.nat(0xffff_ffff),
        fc.array(ulidArbitrary),
        (tenant, shard, ids) => {
          const message = { blocks: { tenant, shard, blocks: ids } };
          const list = decodeBlockListProto(
            encodeMessage("metastore.v1.GetBlockMetadataRequest", message),
          );
          assert.ok(list !== null);
          assert.equal(list.tenant, tenant);
          assert.equal(list.shard, shard);
          assert.deepEqual(
            ids.map((_, i) => encodeUlid(list.ids, i * ULID_BYTES)),
            ids,
          );
        },
      ),
      RUNS,
    );
    assert.equal(decodeBlockListProto(new Uint8Array(0)), null);
    const bad = { blocks: { blocks: ["no ulid"] } };
    const bytes = encodeMessage("metastore.v1.GetBlockMetadataRequest", bad);
    assert.throws(() => decodeBlockListProto(bytes), { reason: "bad_block_id" });
  });

  it("with a block in two pieces are put together", () => {
    const whole = encodeMessage("metastore.v1.AddBlockRequest", {
      block: decodeMessage("metastore.v1.BlockMeta", encodeBlockMetaProto(blockOf())),
    });
    const fields = fieldsOf(encodeBlockMetaProto(blockOf()));
    const pieces = [fields.slice(0, 4), fields.slice(4)].map((part) => {
      const bytes = Buffer.concat(part);
      const length =
        bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
      return Buffer.concat([Buffer.from([0x0a, ...length]), bytes]);
    });
    assert.deepEqual(decodeAddBlockProto(Buffer.concat(pieces)), decodeAddBlockProto(whole));
    assert.equal(decodeAddBlockProto(new Uint8Array(0)), null);
  });

  it("about members and tenants are read", () => {
    const wish = { server_id: "node-1", current_term: "18446744073709551615" };
    const bytes = encodeMessage("raft_node.AddNodeRequest", wish);
    assert.deepEqual(decodeMemberProto(bytes), { serverId: "node-1", currentTerm: 2 ** 53 });
    const tenant = encodeMessage("metastore.v1.GetTenantRequest", { tenant_id: "é" });
    assert.equal(decodeTenantProto(tenant), "é");
    assert.throws(() => decodeTenantProto(Buffer.from([0x0a, 2, 0xc3, 0x28])), {
      reason: "bad_protobuf",
    });
  });
});

describe("answers", () => {
  const text = textArbitrary;
  const u32 = fc.nat(0xffff_ffff);
  const int64 = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);

  it("about tenants", () => {
    fc.assert(
      fc.property(fc.array(text), (tenants) => {
        const bytes = written((sink) => putTenants(sink, tenants));
        assert.deepEqual(decodeMessage("metastore.v1.GetTenantsResponse", bytes), {
          tenant_ids: tenants,
        });
      }),
      RUNS,
    );
    const stats = { dataIngested: true, oldestProfileTimeMs: -5, newestProfileTimeMs: 2 ** 53 };
    assert.deepEqual(
      decodeMessage(
        "metastore.v1.GetTenantResponse",
        written((sink) => putTenantStats(sink, stats)),
      ),
      {
        stats: {
          data_ingested: true,
          oldest_profile_time: "-5",
          newest_profile_time: "9007199254740992",
        },
      },
    );
  });

  it("of jobs with tombstones", () => {
    const blocks = fc.record({
      name: text,
      shard: u32,
      tenant: text,
      compactionLevel: u32,
      blocks: fc.array(text),
    });
    const shard = fc.record({
      name: text,
      timestampNs: int64,
      durationNs: int64,
      shard: u32,
      tenant: text,
    });
    const job: fc.Arbitrary<JobPlan> = fc.record({
      name: text,
      tenant: text,
      shard: u32,
      level: u32,
      sourceBlocks: fc.array(text),
      tombstones: fc.array(fc.record({ blocks: fc.option(blocks), shard: fc.option(shard) }), {
        maxLength: 3,
      }),
    });
    fc.assert(
      fc.property(fc.array(job, { maxLength: 3 }), (jobs) => {
        const assignments = jobs.map(({ name }, i) => ({
          name,
          token: i * 2 ** 40,
          leaseMs: 15_000,
        }));
        const bytes = written((sink) =>
          putPollReply(sink, { jobs, assignments }, 1_700_000_000_123),
        );
        const answer = decodeMessage("metastore.v1.PollCompactionJobsResponse", bytes);
        const expected = encodeMessage("metastore.v1.PollCompactionJobsResponse", {
          compaction_jobs: jobs.map(jobMessage),
          assignments: assignments.map(({ name, token }) => ({
            name,
            token: String(token),
            lease_expires_at: "1700000015123000000",
          })),
        });
        assert.deepEqual(
          answer,
          decodeMessage("metastore.v1.PollCompactionJobsResponse", expected),
        );
      }),
      RUNS,
    );
  });

  it("about the node, of health, and of a status", () => {
    const node = {
      serverId: "node-0",
      advertisedAddress: "127.0.0.1:9099",
      state: "Leader",
      leaderId: "node-0",
      commitIndex: 2 ** 40,
      appliedIndex: 6,
      lastIndex: 7,
      stats: [
        ["a", "1"],
        ["b", ""],
      ] as const,
      peers: [{ serverId: "node-0", serverAddress: "127.0.0.1:9099", suffrage: "Voter" }],
      configurationIndex: 1,
      currentTerm: 3,
      buildVersion: "1",
      buildRevision: "",
    };
    const { node: read } = decodeMessage(
      "raft_node.NodeInfoResponse",
      written((sink) => putNodeInfo(sink, node)),
    ) as { node: Message };
    assert.deepEqual(read.stats, { name: ["a", "b"], value: ["1", ""] });
    assert.equal(read.commit_index, String(2 ** 40));
    assert.equal((read.peers as Message[]).length, 1);
    const health = written((sink) => putHealthList(sink, { "": "serving", x: "notServing" }));
    assert.deepEqual(decodeMessage("grpc.health.v1.HealthListResponse", health), {
      statuses: { "": { status: "SERVING" }, x: { status: "NOT_SERVING" } },
    });
    const status = written((sink) => putStatus(sink, { code: 14, message: "m", leader: null }));
    assert.deepEqual(decodeMessage("google.rpc.Status", status), {
      code: 14,
      message: "m",
      details: [],
    });
  });
});

function jobMessage(job: JobPlan): Message {
  return {
    name: job.name,
    shard: job.shard,
    tenant: job.tenant,
    compaction_level: job.level,
    source_blocks: job.sourceBlocks,
    tombstones: job.tombstones.map(({ blocks, shard }) => ({
      ...(blocks === null
        ? {}
        : {
            blocks: {
              name: blocks.name,
              shard: blocks.shard,
              tenant: blocks.tenant,
              compaction_level: blocks.compactionLevel,
              blocks: blocks.blocks,
            },
          }),
      ...(shard === null
        ? {}
        : {
            shard: {
              name: shard.name,
              timestamp: String(shard.timestampNs),
              duration: String(shard.durationNs),
              shard: shard.shard,
              tenant: shard.tenant,
            },
          }),
    })),
  };
}
