/** Answers in chunks: batches, credit, cancelling by leaving the loop, and errors in the middle. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectBlocks, collectLabels } from "../../src/client/index.ts";
import { decodeQueryRequest, FLAG, OP } from "../../src/protocol/index.ts";
import { refusal } from "./fake-server.ts";
import { EVERYTHING, failureOf, startPair, ULID_A, ULID_B, ULID_C } from "./fixture.ts";
import { labelsChunk, planChunk } from "./plan-chunks.ts";

describe("streamed answers", () => {
  it("a query is asked as given and its batches read in place", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      request.answerBytes(planChunk([ULID_A, ULID_B], "api"), 0);
      request.answerBytes(planChunk([ULID_C], "web"));
    };
    const seen: unknown[] = [];
    const query = { ...EVERYTHING, labels: ["service_name"] };
    const options = { consistency: { maxStalenessMs: 500 } };
    for await (const batch of client.queryMetadata(query, options)) {
      assert.equal(batch.appliedIndex, 42);
      for (const block of batch) {
        const dataset = block.dataset(0);
        seen.push([block.id, block.sizeBytes, dataset.name, dataset.labelSets]);
      }
    }
    assert.deepEqual(seen, [
      [ULID_A, 123n, "api", [[{ name: "service_name", value: "api" }]]],
      [ULID_B, 123n, "api", [[{ name: "service_name", value: "api" }]]],
      [ULID_C, 123n, "web", [[{ name: "service_name", value: "web" }]]],
    ]);
    assert.deepEqual(decodeQueryRequest(server.requests[0]!.payload), {
      tenants: ["acme"],
      startMs: 0,
      endMs: 10_000,
      selector: "{}",
      labels: ["service_name"],
      consistency: "bounded",
      maxStalenessMs: 500,
    });
  });

  it("collectBlocks gives plain objects with a compact string table", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerBytes(planChunk([ULID_A]));
    const [block] = await collectBlocks(client.queryMetadata(EVERYTHING));
    assert.deepEqual(block!.stringTable, ["", "acme", "api", "service_name"]);
    assert.deepEqual(block!.datasets[0]!.labels, [1, 3, 2]);
    assert.deepEqual(block!.datasets[0]!.tableOfContents, [10n, 20n]);
  });

  it("label rows keep their order across chunks", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      request.answerBytes(labelsChunk(["a", "b"], [["1", ""]]), 0);
      request.answerBytes(labelsChunk(["a", "b"], [["2", "x"]]));
    };
    const rows = await collectLabels(
      client.queryMetadataLabels({ ...EVERYTHING, labels: ["a", "b"] }),
    );
    assert.deepEqual(rows, [
      [
        { name: "a", value: "1" },
        { name: "b", value: "" },
      ],
      [
        { name: "a", value: "2" },
        { name: "b", value: "x" },
      ],
    ]);
  });

  it("an empty answer gives no batch, with and without a payload", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerBytes(planChunk([]));
    assert.deepEqual(await collectBlocks(client.queryMetadata(EVERYTHING)), []);
    server.script = (request) => request.answer();
    assert.deepEqual(await collectBlocks(client.queryMetadata(EVERYTHING)), []);
  });

  it("nothing is sent before the first step, and every loop asks anew", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerBytes(planChunk([ULID_A]));
    const query = client.queryMetadata(EVERYTHING);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(server.requests.length, 0);
    await collectBlocks(query);
    await collectBlocks(query);
    assert.equal(server.received(OP.query_metadata).length, 2);
  });

  it("credit starts with the window and is given back as the consumer goes on", async (t) => {
    const { server, client } = await startPair(t, { streamWindowBytes: 4_096 });
    const chunk = planChunk([ULID_A]);
    const total = 100;
    let sent = 0;
    let credit = 0;
    server.script = (request) => {
      const query = server.received(OP.query_metadata)[0]!;
      credit += request.aux;
      // As a server does it: while there is credit, one more chunk.
      while (credit > 0 && sent < total) {
        sent += 1;
        credit -= chunk.length;
        query.answerBytes(chunk, sent === total ? FLAG.last : 0);
      }
    };
    let seen = 0;
    let maxAhead = 0;
    for await (const batch of client.queryMetadata(EVERYTHING)) {
      assert.equal(batch.blockCount, 1);
      seen += 1;
      maxAhead = Math.max(maxAhead, sent - seen);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(seen, total);
    assert.equal(server.received(OP.query_metadata)[0]!.aux, 4_096);
    assert.ok(server.received(OP.credit).length >= 5);
    assert.ok(maxAhead * chunk.length <= 4_096 + chunk.length, `${maxAhead} chunks ahead`);
  });

  it("the window is never below two chunks of the server", async (t) => {
    const hello = { chunkMaxBytes: 100_000 };
    const { server, client } = await startPair(t, { streamWindowBytes: 1 }, { hello });
    server.script = (request) => request.answerBytes(planChunk([]));
    await collectBlocks(client.queryMetadata(EVERYTHING));
    assert.equal(server.requests[0]!.aux, 200_000);
  });

  it("leaving the loop cancels the query and frees the client for others", async (t) => {
    const { server, client } = await startPair(t, { maxInFlight: 1 });
    server.script = (request) => {
      if (request.opcode === OP.query_metadata) request.answerBytes(planChunk([ULID_A]), 0);
      if (request.opcode === OP.ping) request.answer();
    };
    for await (const batch of client.queryMetadata(EVERYTHING)) {
      assert.equal(batch.blockCount, 1);
      break;
    }
    const cancel = await server.waitFor(OP.cancel);
    assert.equal(cancel.requestId, server.received(OP.query_metadata)[0]!.requestId);
    // What still arrives for it goes nowhere, and the connection lives.
    server.received(OP.query_metadata)[0]!.answerBytes(planChunk([ULID_B]), 0);
    server.received(OP.query_metadata)[0]!.fail(refusal("cancelled"));
    await client.ping();
  });

  it("a finished loop sends no cancel", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      if (request.opcode === OP.ping) request.answer();
      else request.answerBytes(planChunk([ULID_A]));
    };
    for await (const _ of client.queryMetadata(EVERYTHING));
    await client.ping();
    assert.equal(server.received(OP.cancel).length, 0);
  });

  it("an error in the middle comes after the batches before it", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      request.answerBytes(planChunk([ULID_A]), 0);
      request.fail(refusal("unavailable"));
    };
    let seen = 0;
    const error = await failureOf(
      (async () => {
        for await (const batch of client.queryMetadata(EVERYTHING)) seen += batch.blockCount;
      })(),
    );
    assert.deepEqual([seen, error.code, error.attempts], [1, "unavailable", 1]);
  });

  it("an error before the first batch is repeated", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => {
      if (server.requests.length === 1) request.fail(refusal("unavailable"));
      else request.answerBytes(planChunk([ULID_A]));
    };
    assert.equal((await collectBlocks(client.queryMetadata(EVERYTHING))).length, 1);
    assert.equal(server.requests.length, 2);
  });

  it("a server that ignores the credit loses the connection", async (t) => {
    const { server, client } = await startPair(t, { streamWindowBytes: 1_024 });
    const huge = new Uint8Array(4 * 1024 * 1024);
    server.script = (request) => {
      request.answerBytes(planChunk([ULID_A]), 0);
      for (let i = 0; i < 6; i++) request.answerBytes(huge, 0);
    };
    const batches = client.queryMetadata(EVERYTHING)[Symbol.asyncIterator]();
    const ended = client.status()[Symbol.asyncIterator]();
    await batches.next();
    for (;;) {
      const { value } = await ended.next();
      if (value?.kind !== "disconnected") continue;
      assert.equal(value.reason.reason, "protocol_violation");
      break;
    }
    await ended.return?.();
    await failureOf(
      (async () => {
        for (;;) await batches.next();
      })(),
    );
  });
});
