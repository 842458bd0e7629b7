/** One request, one answer: what is sent, how answers find their call, and what a refusal tells. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectBlocks, isHearthError } from "../../src/client/index.ts";
import {
  type BlockMeta,
  decodeBlock,
  decodeBlockBatch,
  decodeBlockListRequest,
  decodeJsonMessage,
  decodeTenantRequest,
  encodeJsonMessage,
  encodeTenantReply,
  encodeTenantsReply,
  OP,
} from "../../src/protocol/index.ts";
import { refusal } from "./fake-server.ts";
import { failureOf, startPair, ULID_A, ULID_B } from "./fixture.ts";
import { planChunk, ulidBytes } from "./plan-chunks.ts";

function block(id: string): BlockMeta {
  return {
    formatVersion: 1,
    id,
    tenant: 1,
    shard: 3,
    compactionLevel: 0,
    minTimeMs: 1_000,
    maxTimeMs: 2_000,
    createdBy: 2,
    sizeBytes: 2n ** 63n,
    datasets: [],
    stringTable: ["", "acme", "writer-0"],
    metadataOffset: 17n,
  };
}

describe("calls", () => {
  it("addBlock sends a block whole and resolves with its place in the log", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerWrite({ logIndex: 812, term: 7 });
    assert.deepEqual(await client.addBlock(block(ULID_A)), { logIndex: 812, term: 7 });
    const [request] = server.received(OP.add_block);
    assert.deepEqual(decodeBlock(request!.payload), block(ULID_A));
    assert.equal(request!.flags, 0);
    assert.notEqual(request!.requestId, 0);
    assert.ok(request!.timeoutMs > 9_000 && request!.timeoutMs <= 10_000);
  });

  it("addBlock takes encoded bytes as they are", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerWrite({ logIndex: 1, term: 1 });
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => i);
    await client.addBlock(bytes);
    assert.deepEqual(new Uint8Array(server.requests[0]!.payload), bytes);
  });

  it("addBlocks sends several blocks in one request", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerWrite({ logIndex: 5, term: 1 });
    await client.addBlocks([block(ULID_A), block(ULID_B)]);
    const [request] = server.received(OP.add_blocks);
    assert.deepEqual(decodeBlockBatch(request!.payload), [block(ULID_A), block(ULID_B)]);
  });

  it("addBlocks without blocks is refused before anything is sent", async (t) => {
    const { server, client } = await startPair(t);
    const error = await failureOf(client.addBlocks([]));
    assert.equal(error.code, "invalid_argument");
    assert.equal(error.sent, "no");
    assert.equal(server.requests.length, 0);
  });

  it("a value that cannot be encoded rejects, it does not throw", async (t) => {
    const { client } = await startPair(t);
    const error = await failureOf(client.addBlock({ ...block(ULID_A), id: "nonsense" }));
    assert.equal(error.code, "invalid_argument");
    const untyped = undefined as unknown as BlockMeta;
    assert.equal((await failureOf(client.addBlock(untyped))).code, "invalid_argument");
  });

  it("getBlockMetadata asks for ids and gives whole blocks", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerBytes(planChunk([ULID_A, ULID_B]));
    const blocks = await collectBlocks(
      client.getBlockMetadata({ shard: 7, blocks: [ULID_A, ULID_B] }, { consistency: "local" }),
    );
    assert.deepEqual(
      blocks.map(({ id, shard }) => [id, shard]),
      [
        [ULID_A, 7],
        [ULID_B, 7],
      ],
    );
    assert.deepEqual(decodeBlockListRequest(server.requests[0]!.payload), {
      tenant: "",
      shard: 7,
      ids: Uint8Array.from([...ulidBytes(ULID_A), ...ulidBytes(ULID_B)]),
      consistency: "local",
    });
  });

  it("tenants, node facts, read index and ping read their answers", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      if (request.opcode === OP.get_tenants) {
        const reply = { tenants: ["a", "b"], appliedIndex: 1 };
        return request.answer((sink) => encodeTenantsReply(sink, reply));
      }
      if (request.opcode === OP.get_tenant) {
        const reply = {
          dataIngested: true,
          oldestProfileTimeMs: 1,
          newestProfileTimeMs: 2,
          appliedIndex: 1,
        };
        return request.answer((sink) => encodeTenantReply(sink, reply));
      }
      if (request.opcode === OP.node_info) {
        return request.answer((sink) => encodeJsonMessage(sink, '{"nodeId":"node-0"}'));
      }
      if (request.opcode === OP.ping) return request.answer();
      request.answerWrite({ logIndex: 9, term: 2 });
    };
    assert.deepEqual(await client.getTenants(), ["a", "b"]);
    assert.deepEqual(await client.getTenant("a"), {
      dataIngested: true,
      oldestProfileAtMs: 1,
      newestProfileAtMs: 2,
    });
    const asked = server.received(OP.get_tenant)[0]!;
    assert.deepEqual(decodeTenantRequest(asked.payload), { tenant: "a", consistency: "strong" });
    assert.deepEqual(await client.nodeInfo(), { nodeId: "node-0" });
    assert.deepEqual(await client.readIndex(), { logIndex: 9, term: 2 });
    assert.ok((await client.ping()) >= 0);
  });

  it("rawCommand and inspect carry what tools give them", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      if (request.opcode === OP.inspect) {
        return request.answer((sink) => encodeJsonMessage(sink, "[1,2]"));
      }
      request.answerWrite({ logIndex: 3, term: 1 });
    };
    const entries = Uint8Array.from({ length: 16 }, (_, i) => i);
    await client.rawCommand(entries, { termAtLeast: 4, appendedAtMs: 5 });
    const { payload } = server.received(OP.command)[0]!;
    assert.deepEqual([payload.length, new Uint8Array(payload.slice(16))], [32, entries]);
    assert.equal(Buffer.from(payload).readDoubleLE(0), 4);
    assert.equal(Buffer.from(payload).readDoubleLE(8), 5);
    assert.deepEqual(await client.inspect({ op: "list_tombstones" }), [1, 2]);
    const question = decodeJsonMessage(server.received(OP.inspect)[0]!.payload);
    assert.deepEqual(JSON.parse(question), { op: "list_tombstones" });
  });

  it("answers in reverse order reach the calls that asked", async (t) => {
    const { server, client } = await startPair(t);
    const count = 100;
    server.script = () => {
      if (server.requests.length < count) return;
      for (const request of server.requests.toReversed()) {
        request.answerWrite({ logIndex: request.payload[0]!, term: 1 });
      }
    };
    const calls = Array.from({ length: count }, (_, i) => client.addBlock(Uint8Array.of(i)));
    const results = await Promise.all(calls);
    assert.deepEqual(
      results.map(({ logIndex }) => logIndex),
      Array.from({ length: count }, (_, i) => i),
    );
  });

  it("requests are not held back by answers that are missing", async (t) => {
    const { server, client } = await startPair(t);
    const stuck = client.getTenant("stuck");
    server.script = (request) => {
      if (request.opcode === OP.ping) request.answer();
    };
    await client.ping();
    assert.equal(server.received(OP.get_tenant).length, 1);
    server.received(OP.get_tenant)[0]!.fail(refusal("not_found"));
    assert.equal((await failureOf(stuck)).code, "not_found");
  });

  it("requests of one turn, and of all promises it wakes, travel together", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answer();
    await client.ping();
    let reads = 0;
    for (const socket of server.sockets) socket.on("data", () => reads++);
    const twice = Array.from({ length: 50 }, async () => {
      await client.ping();
      await client.ping();
    });
    await Promise.all(twice);
    assert.equal(server.received(OP.ping).length, 101);
    // One write per wave; the kernel may still split one, and the server's answers come in few pieces.
    assert.ok(reads <= 20, `100 requests came in ${reads} pieces`);
  });

  it("beyond the server's limit calls wait for a free place", async (t) => {
    const { server, client } = await startPair(t, {}, { hello: { inFlightMax: 2 } });
    const calls = [1, 2, 3].map((i) => client.addBlock(Uint8Array.of(i)));
    await server.waitFor(OP.add_block, 2);
    // A round trip outside of the client's order: had the third been sent, it would be there now.
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(server.requests.length, 2);
    server.requests[1]!.answerWrite({ logIndex: 2, term: 1 });
    const third = await server.waitFor(OP.add_block, 3);
    assert.equal(third.payload[0], 3);
    third.answerWrite({ logIndex: 3, term: 1 });
    server.requests[0]!.answerWrite({ logIndex: 1, term: 1 });
    assert.deepEqual(
      (await Promise.all(calls)).map(({ logIndex }) => logIndex),
      [1, 2, 3],
    );
  });

  it("an error of the server arrives with all that it said", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) =>
      request.fail(refusal("failed_precondition", { reason: "why", next: "do this" }));
    const error = await failureOf(client.readIndex());
    assert.ok(isHearthError(error));
    assert.deepEqual(
      [error.code, error.reason, error.next, error.sent, error.endpoint, error.attempts],
      ["failed_precondition", "why", "do this", "yes", server.endpoint, 1],
    );
    assert.equal(error.requestId, String(server.requests[0]!.requestId));
    assert.equal(error.retryable, false);
  });

  it("a frame over the server's limit is refused here, one at the limit is sent", async (t) => {
    const { server, client } = await startPair(t, {}, { hello: { frameMaxBytes: 1_000 } });
    server.script = (request) => request.answerWrite({ logIndex: 1, term: 1 });
    await client.addBlock(new Uint8Array(1_000 - 16));
    const error = await failureOf(client.addBlock(new Uint8Array(1_000 - 15)));
    assert.deepEqual(
      [error.code, error.reason, error.sent],
      ["invalid_argument", "frame_too_large", "no"],
    );
    assert.equal(server.requests.length, 1);
  });
});
