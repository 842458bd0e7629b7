import { until } from "../support/until.ts";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { encodeBlockMetaProto } from "../../src/protocol/index.ts";
import { blockOf, realBlocks } from "../protocol/support.ts";
import { CallError, GrpcClient } from "../support/grpc/client.ts";
import { decodeMessage, type Message } from "../support/grpc/schema.ts";
import { type ServerProcess, startServer } from "../support/server-process.ts";

const INDEX = "/metastore.v1.IndexService/";
const QUERY = "/metastore.v1.MetadataQueryService/";
const TENANT = "/metastore.v1.TenantService/";
const RAFT = "/raft_node.RaftNodeService/";
const HEALTH = "/grpc.health.v1.Health/";
const POLL = "/metastore.v1.CompactionService/PollCompactionJobs";

const ANY_TIME = { start_time: "0", end_time: String(2 ** 52) };

describe("a server over gRPC", { timeout: 240_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "hearth-grpc-"));
  let server: ServerProcess;
  let client: GrpcClient;

  before(async () => {
    server = await startServer({ directory, flags: ["-metastore.raft.server-id=node-0"] });
    client = new GrpcClient(server.grpcAddress);
  });

  after(async () => {
    client.close();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function refusal(path: string, request: Message): Promise<CallError> {
    const error = await client.call(path, request).catch((failure: unknown) => failure);
    assert.ok(error instanceof CallError, `${path} was not refused`);
    return error;
  }

  it("takes real blocks, and finds them by id and by query", async () => {
    for (const { meta } of realBlocks()) {
      const block = decodeMessage("metastore.v1.BlockMeta", encodeBlockMetaProto(meta));
      assert.deepEqual(await client.call(`${INDEX}AddBlock`, { block }), {});
      // Once more: a success without effect.
      assert.deepEqual(await client.call(`${INDEX}AddBlock`, { block }), {});
      const tenant = meta.stringTable[meta.tenant] ?? "";
      const blocks = { tenant, shard: meta.shard, blocks: [meta.id] };
      const found = await client.call(`${INDEX}GetBlockMetadata`, { blocks });
      assert.equal((found as { blocks: Message[] }).blocks.length, 1, meta.id);
    }
    const query = { tenant_id: ["anonymous"], ...ANY_TIME, query: "{}", labels: ["service_name"] };
    const plan = (await client.call(`${QUERY}QueryMetadata`, query)) as { blocks: Message[] };
    assert.ok(plan.blocks.length > 0);
    const rows = (await client.call(`${QUERY}QueryMetadataLabels`, query)) as { labels: Message[] };
    assert.ok(rows.labels.length > 0);
  });

  it("answers about tenants, also about one without data", async () => {
    const { tenant_ids: tenants } = await client.call(`${TENANT}GetTenants`);
    assert.ok(Array.isArray(tenants));
    const bytes = await client.callBytes(`${TENANT}GetTenant`, Buffer.from([0x0a, 1, 0x78]));
    // The message is there, and empty.
    assert.equal(Buffer.from(bytes).toString("hex"), "0a00");
    assert.deepEqual(await client.call(`${TENANT}DeleteTenant`, { tenant_id: "x" }), {});
  });

  it("hands out no jobs to a worker without capacity", async () => {
    const answer = await client.call(POLL, { job_capacity: 0 });
    assert.deepEqual(answer, { compaction_jobs: [], assignments: [] });
  });

  it("answers a worker whatever its results are", async () => {
    const block = decodeMessage("metastore.v1.BlockMeta", encodeBlockMetaProto(blockOf()));
    const compacted = { source_blocks: { shard: 3 }, new_blocks: [{ ...block, id: "no ulid" }] };
    // More blocks than one plan takes.
    const many = { source_blocks: { shard: 3 }, new_blocks: Array(3_000).fill(block) };
    const updates = [compacted, many, many].map((result, i) => ({
      name: `job-${i}`,
      token: "1",
      status: "COMPACTION_STATUS_SUCCESS",
      compacted_blocks: result,
    }));
    const answer = await client.call(POLL, { status_updates: updates });
    assert.deepEqual(answer, { compaction_jobs: [], assignments: [] });
  });

  it("describes the node", async () => {
    const { node } = (await client.call(`${RAFT}NodeInfo`)) as { node: Message };
    assert.equal(node.server_id, "node-0");
    assert.equal(node.leader_id, "node-0");
    assert.equal(node.state, "Leader");
    const { name, value } = node.stats as { name: string[]; value: string[] };
    assert.equal(name.length, value.length);
    assert.deepEqual(name, [...name].sort());
    assert.equal((node.peers as Message[]).length, 1);
    const read = await client.call(`${RAFT}ReadIndex`);
    assert.ok(Number(read.commit_index) > 0);
    assert.equal(read.term, node.current_term);
  });

  it("refuses changes of members as the contract says", async () => {
    const member = (server_id: string, current_term = "18446744073709551615"): Message => ({
      server_id,
      current_term,
    });
    assert.equal((await refusal(`${RAFT}PromoteToLeader`, member("node-0"))).code, 3);
    assert.equal((await refusal(`${RAFT}RemoveNode`, member("node-0"))).code, 2);
    assert.equal((await refusal(`${RAFT}DemoteLeader`, member("node-7"))).code, 2);
    assert.equal((await refusal(`${RAFT}DemoteLeader`, member("node-0"))).code, 2);
    assert.equal((await refusal(`${RAFT}RemoveNode`, member("node-7", "0"))).code, 3);
    assert.deepEqual(await client.call(`${RAFT}RemoveNode`, member("node-7")), {});
  });

  it("is healthy", async () => {
    const metastore = { service: "pyroscope.metastore" };
    assert.deepEqual(await client.call(`${HEALTH}Check`, metastore), { status: "SERVING" });
    assert.deepEqual(await client.call(`${HEALTH}Check`, { service: "" }), { status: "SERVING" });
    assert.equal((await refusal(`${HEALTH}Check`, { service: "other" })).code, 5);
    const list = await client.call(`${HEALTH}List`);
    assert.deepEqual(list, {
      statuses: { "": { status: "SERVING" }, "pyroscope.metastore": { status: "SERVING" } },
    });
  });

  it("refuses what can never succeed with INVALID_ARGUMENT", async () => {
    assert.equal((await refusal(`${INDEX}AddBlock`, {})).code, 3);
    const block = decodeMessage("metastore.v1.BlockMeta", encodeBlockMetaProto(blockOf()));
    const broken: Message[] = [
      { id: "not a ulid" },
      { tenant: 99 },
      { created_by: -1 },
      { min_time: "5", max_time: "4" },
      { datasets: [{ tenant: 1, name: 4, labels: [-1] }] },
      { datasets: [{ tenant: 1, name: 4, labels: [7, 3, 4] }] },
      { datasets: [{ tenant: 1, name: 99 }] },
    ];
    for (const changes of broken) {
      const error = await refusal(`${INDEX}AddBlock`, { block: { ...block, ...changes } });
      assert.equal(error.code, 3, JSON.stringify(changes));
      assert.equal(error.hint, null);
    }
    const query = { tenant_id: ["a"], ...ANY_TIME, query: "{" };
    assert.equal((await refusal(`${QUERY}QueryMetadata`, query)).code, 3);
    assert.equal((await refusal(`${QUERY}QueryMetadata`, { query: "{}" })).code, 3);
    assert.equal((await refusal(`${INDEX}GetBlockMetadata`, {})).code, 3);
    const garbage = client.callBytes(`${QUERY}QueryMetadata`, Buffer.from([0xff, 0xff]));
    await assert.rejects(garbage, (error: CallError) => error.code === 3);
    assert.equal((await refusal("/metastore.v1.IndexService/AddBlock", { block: {} })).code, 3);
  });

  it("counts calls by method and code, under the names of the reference", async () => {
    const wanted = [
      'pyroscope_request_duration_seconds_count{method="gRPC",route="/metastore.v1.IndexService/AddBlock",status_code="success",ws="false"}',
      'hearth_requests_total{protocol="grpc",route="/metastore.v1.IndexService/AddBlock",code="invalid_argument"}',
      'hearth_connections{protocol="grpc"}',
    ];
    let missing = wanted;
    // The node asks its threads every two seconds.
    await until(
      () => `missing: ${missing.join("\n")}`,
      async () => {
        const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
        missing = wanted.filter((line) => !text.includes(line));
        return missing.length === 0;
      },
    );
  });

  it("does not know other methods", async () => {
    const call = client.callBytes("/metastore.v1.IndexService/Nothing", new Uint8Array(0));
    await assert.rejects(call, (error: CallError) => error.code === 12);
  });
});
