/** Lost connections: what open calls learn, what is repeated, and how the client comes back. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectBlocks } from "../../src/client/index.ts";
import { OP } from "../../src/protocol/index.ts";
import { withMoreTime } from "../support/more-time.ts";
import { FakeServer, refusal } from "./fake-server.ts";
import {
  EVERYTHING,
  failureOf,
  nextStatus,
  startClient,
  startPair,
  startServer,
  ULID_A,
} from "./fixture.ts";
import { planChunk } from "./plan-chunks.ts";

describe("a lost connection", () => {
  it("is mended, and a read that was open is repeated", async (t) => {
    const { server, client } = await startPair(t);
    server.script = () => {
      if (server.requests.length === 1) server.kill();
      else server.requests.at(-1)!.answerBytes(planChunk([ULID_A]));
    };
    assert.equal((await collectBlocks(client.queryMetadata(EVERYTHING))).length, 1);
    assert.equal(server.hellos.length, 2);
  });

  it("addBlock is repeated, since the first write of an id wins", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      if (server.requests.length <= 2) server.kill();
      else request.answerWrite({ logIndex: 3, term: 1 });
    };
    assert.deepEqual(await client.addBlock(new Uint8Array(8)), { logIndex: 3, term: 1 });
    const payloads = server.received(OP.add_block).map(({ payload }) => payload.length);
    assert.deepEqual(payloads, [8, 8, 8]);
  });

  it("other writes are not: the caller learns that it may have been sent", async (t) => {
    const { server, client } = await startPair(t);
    server.script = () => server.kill();
    const error = await failureOf(client.rawCommand(new Uint8Array(16)));
    assert.deepEqual([error.code, error.sent, error.attempts], ["unavailable", "maybe", 1]);
    assert.equal(server.received(OP.command).length, 1);
  });

  it("other writes are repeated when the member said that it does not lead", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      if (server.requests.length > 1) return request.answerWrite({ logIndex: 1, term: 1 });
      request.fail(refusal("unavailable", { reason: "not_leader" }));
    };
    await client.rawCommand(new Uint8Array(16));
    assert.equal(server.received(OP.command).length, 2);
  });

  it("'maybe' of one attempt outlives a refusal of the next", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      if (server.requests.length === 1) server.kill();
      else request.fail(refusal("invalid_argument"));
    };
    const error = await failureOf(client.addBlock(new Uint8Array(8)));
    assert.deepEqual([error.code, error.sent, error.attempts], ["invalid_argument", "maybe", 2]);
  });

  it("a read in the middle of its batches fails", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      request.answerBytes(planChunk([ULID_A]), 0);
      request.socket.close();
    };
    const error = await failureOf(collectBlocks(client.queryMetadata(EVERYTHING)));
    assert.deepEqual([error.code, error.reason], ["unavailable", "connection_lost"]);
  });

  it("status tells each step", async (t) => {
    const { server, client } = await startPair(t);
    const statuses = client.status()[Symbol.asyncIterator]();
    const connected = await nextStatus(statuses, "connected");
    assert.deepEqual(connected, {
      kind: "connected",
      endpoint: server.endpoint,
      nodeId: "node-0",
      clusterId: "cluster-0",
      version: "0.0.0-test",
    });
    server.kill();
    const lost = await nextStatus(statuses, "disconnected");
    assert.deepEqual([lost.endpoint, lost.reason.code], [server.endpoint, "unavailable"]);
    await nextStatus(statuses, "connecting");
    await nextStatus(statuses, "connected");
    await client.close();
    await nextStatus(statuses, "closed");
    assert.equal((await statuses.next()).done, true);
  });

  it("moves to another endpoint when its server goes away", async (t) => {
    const servers = [await startServer(t), await startServer(t)];
    const client = await startClient(
      t,
      servers.map(({ endpoint }) => endpoint),
    );
    const statuses = client.status()[Symbol.asyncIterator]();
    const first = await nextStatus(statuses, "connected");
    const gone = servers.find(({ endpoint }) => endpoint === first.endpoint)!;
    gone.closeAll(1001);
    assert.equal((await nextStatus(statuses, "serverDraining")).endpoint, first.endpoint);
    assert.notEqual((await nextStatus(statuses, "connected")).endpoint, first.endpoint);
  });

  it("comes back when the server was away for a while", async (t) => {
    const { server, client } = await startPair(t);
    const { port } = server;
    await server.stop();
    const call = client.getTenants({ timeoutMs: 60_000 });
    await new Promise((resolve) => setTimeout(resolve, 30));
    const next = await FakeServer.start({ port });
    t.after(() => next.stop());
    next.script = (request) => request.fail(refusal("not_found"));
    assert.equal((await failureOf(call)).code, "not_found");
  });

  it("calls fail after maxWaitForConnectionMs, at once with 0, and nothing was sent", async (t) => {
    const { server, client } = await startPair(t, { maxWaitForConnectionMs: 0 });
    await server.stop();
    const statuses = client.status()[Symbol.asyncIterator]();
    await nextStatus(statuses, "disconnected");
    const error = await failureOf(client.addBlock(new Uint8Array(8)));
    assert.deepEqual(
      [error.code, error.reason, error.sent, error.retryable],
      ["unavailable", "no_connection", "no", true],
    );
    assert.match(error.message, /^Not connected \(.*: connection (lost|refused)\)$/);
  });

  it("a silent server is noticed and left", async (t) => {
    const { server, client } = await startPair(t, { keepAliveIntervalMs: 20 });
    const statuses = client.status()[Symbol.asyncIterator]();
    const lost = await nextStatus(statuses, "disconnected");
    assert.match(lost.reason.message, /no sign of life/);
    await server.waitFor(OP.ping);
  });

  it("a server that answers probes is kept", (t) =>
    withMoreTime(300, async (keepAliveIntervalMs) => {
      const { server, client } = await startPair(t, { keepAliveIntervalMs });
      server.script = (request) => request.answer();
      await server.waitFor(OP.ping, 4);
      assert.equal(server.hellos.length, 1);
      await client.ping();
    }));
});

describe("a leader elsewhere", () => {
  it("is followed by writes, and remembered; reads stay", async (t) => {
    const leader = await startServer(t, { hello: { nodeId: "node-1" } });
    const { server, client } = await startPair(t);
    const hint = { id: "node-1", address: leader.endpoint };
    const statuses = client.status()[Symbol.asyncIterator]();
    server.script = (request) => {
      if (request.opcode === OP.ping) return request.answer();
      request.fail(refusal("unavailable", { reason: "not_leader", leader: hint }));
    };
    leader.script = (request) => request.answerWrite({ logIndex: 1, term: 2 });
    await client.addBlock(new Uint8Array(8));
    assert.deepEqual((await nextStatus(statuses, "leaderChanged")).leader, hint);
    await client.addBlock(new Uint8Array(8));
    await client.ping();
    assert.equal(server.received(OP.add_block).length, 1);
    assert.equal(leader.received(OP.add_block).length, 2);
    assert.equal(server.received(OP.ping).length, 1);
  });

  it("that is gone is asked for again", async (t) => {
    const leader = await startServer(t, { hello: { nodeId: "node-1" } });
    const { server, client } = await startPair(t);
    const hint = { id: "node-1", address: leader.endpoint };
    let isLeading = false;
    server.script = (request) => {
      if (isLeading) return request.answerWrite({ logIndex: 2, term: 3 });
      request.fail(refusal("unavailable", { reason: "not_leader", leader: hint }));
    };
    leader.script = (request) => request.answerWrite({ logIndex: 1, term: 2 });
    await client.addBlock(new Uint8Array(8));
    isLeading = true;
    await leader.stop();
    assert.deepEqual(await client.addBlock(new Uint8Array(8)), { logIndex: 2, term: 3 });
  });

  it("that points back does not make the client spin", async (t) => {
    const other = await startServer(t, { hello: { nodeId: "node-1" } });
    const { server, client } = await startPair(t);
    const pointTo = (target: FakeServer, id: string): FakeServer["script"] => {
      const leader = { id, address: target.endpoint };
      return (request) => request.fail(refusal("unavailable", { reason: "not_leader", leader }));
    };
    server.script = pointTo(other, "node-1");
    other.script = pointTo(server, "node-0");
    await withMoreTime(150, async (timeoutMs) => {
      const requests = (): number => server.requests.length + other.requests.length;
      const before = requests();
      const error = await failureOf(client.addBlock(new Uint8Array(8), { timeoutMs }));
      assert.ok(["deadline_exceeded", "unavailable"].includes(error.code));
      const count = requests() - before;
      assert.ok(count >= 3 && count < 0.4 * timeoutMs, `${count} requests in ${timeoutMs} ms`);
    });
  });
});
