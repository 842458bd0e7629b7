/** How a call ends before its answer: abort, time limit, and what an error then says about what was sent. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { collectBlocks } from "../../src/client/index.ts";
import { OP } from "../../src/protocol/index.ts";
import { withMoreTime } from "../support/more-time.ts";
import { refusal } from "./fake-server.ts";
import { EVERYTHING, failureOf, startPair, ULID_A } from "./fixture.ts";
import { planChunk } from "./plan-chunks.ts";

function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail("It did not fail"),
    (reason: unknown) => reason,
  );
}

describe("abort", () => {
  it("rejects with the reason itself and cancels at the server", async (t) => {
    const { server, client } = await startPair(t);
    const controller = new AbortController();
    const call = reasonOf(client.getTenants({ signal: controller.signal }));
    const request = await server.waitFor(OP.get_tenants);
    const reason = { any: "value" };
    controller.abort(reason);
    assert.equal(await call, reason);
    assert.equal((await server.waitFor(OP.cancel)).requestId, request.requestId);
  });

  it("before the call nothing is sent", async (t) => {
    const { server, client } = await startPair(t);
    const reason = new Error("not wanted");
    const signal = AbortSignal.abort(reason);
    assert.equal(await reasonOf(client.readIndex({ signal })), reason);
    const query = client.queryMetadata(EVERYTHING, { signal });
    assert.equal(await reasonOf(collectBlocks(query)), reason);
    assert.equal(server.requests.length, 0);
  });

  it("between two batches ends the loop at its next step, and the query at once", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      if (request.opcode === OP.query_metadata) request.answerBytes(planChunk([ULID_A]), 0);
    };
    const controller = new AbortController();
    const { signal } = controller;
    const batches = client.queryMetadata(EVERYTHING, { signal })[Symbol.asyncIterator]();
    await batches.next();
    controller.abort("enough");
    await server.waitFor(OP.cancel);
    assert.equal(await reasonOf(batches.next()), "enough");
    assert.equal((await batches.next()).done, true);
  });

  it("while waiting for a batch rejects that step", async (t) => {
    const { server, client } = await startPair(t);
    const controller = new AbortController();
    const query = client.queryMetadata(EVERYTHING, { signal: controller.signal });
    const call = reasonOf(collectBlocks(query));
    await server.waitFor(OP.query_metadata);
    controller.abort("enough");
    assert.equal(await call, "enough");
    await server.waitFor(OP.cancel);
  });

  it("a late answer to a cancelled call disturbs nobody", async (t) => {
    const { server, client } = await startPair(t);
    const controller = new AbortController();
    const call = reasonOf(client.getTenants({ signal: controller.signal }));
    const request = await server.waitFor(OP.get_tenants);
    controller.abort("enough");
    await call;
    server.script = (other) => {
      if (other.opcode === OP.ping) other.answer();
    };
    request.fail(refusal("cancelled"));
    await client.ping();
    assert.equal(server.connectionCount, 1);
  });

  it("leaves no listener on the signal when calls end in peace", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerWrite({ logIndex: 1, term: 1 });
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i++) await client.readIndex({ signal });
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });
});

describe("time limits", () => {
  it("the server is told the budget, and the call ends here when it is over", (t) =>
    withMoreTime(50, async (timeoutMs) => {
      const { server, client } = await startPair(t);
      const startMs = performance.now();
      const error = await failureOf(client.getTenants({ timeoutMs }));
      assert.ok(performance.now() - startMs >= timeoutMs - 5);
      assert.deepEqual(
        [error.code, error.sent, error.endpoint],
        ["deadline_exceeded", "maybe", server.endpoint],
      );
      const request = await server.waitFor(OP.get_tenants);
      assert.ok(request.timeoutMs > 0 && request.timeoutMs <= timeoutMs, `${request.timeoutMs}`);
      assert.equal(error.requestId, String(request.requestId));
      await server.waitFor(OP.cancel);
    }));

  it("Infinity tells the server to use its own limit", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerWrite({ logIndex: 1, term: 1 });
    await client.readIndex({ timeoutMs: Number.POSITIVE_INFINITY });
    assert.equal(server.requests[0]!.timeoutMs, 0);
  });

  it("covers a stream to its last batch", (t) =>
    withMoreTime(50, async (timeoutMs) => {
      const { server, client } = await startPair(t);
      server.script = (request) => {
        if (request.opcode === OP.query_metadata) request.answerBytes(planChunk([ULID_A]), 0);
      };
      const error = await failureOf(collectBlocks(client.queryMetadata(EVERYTHING, { timeoutMs })));
      assert.deepEqual([error.code, error.sent], ["deadline_exceeded", "yes"]);
      await server.waitFor(OP.cancel);
    }));

  it("ends repeats, and says what they met", (t) =>
    withMoreTime(400, async (timeoutMs) => {
      const { server, client } = await startPair(t);
      server.script = (request) => request.fail(refusal("unavailable", { reason: "no_leader" }));
      const error = await failureOf(client.getTenants({ timeoutMs }));
      assert.ok(server.requests.length >= 2);
      assert.ok(error.attempts >= 2);
      // Either the limit passed during a pause, or the next pause would not have fitted any more.
      assert.ok(["deadline_exceeded", "unavailable"].includes(error.code));
      assert.match(error.message, /refused with unavailable/);
      // The limit may also pass while a repeat is on its way: then nobody knows what became of it.
      assert.notEqual(error.sent, "no");
    }));

  it("that are over before anything was sent send nothing", async (t) => {
    const { server, client } = await startPair(t);
    const error = await failureOf(client.readIndex({ timeoutMs: 0 }));
    assert.deepEqual([error.code, error.sent, error.attempts], ["deadline_exceeded", "no", 0]);
    assert.equal(server.requests.length, 0);
  });

  it("a negative one is refused", async (t) => {
    const { client } = await startPair(t);
    assert.equal((await failureOf(client.readIndex({ timeoutMs: -1 }))).code, "invalid_argument");
  });
});
