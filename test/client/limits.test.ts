/** Bounds of what a client holds, and how it ends. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectBlocks, type Transport } from "../../src/client/index.ts";
import { OP } from "../../src/protocol/index.ts";
import { EVERYTHING, failureOf, startPair, ULID_A } from "./fixture.ts";
import { planChunk } from "./plan-chunks.ts";

describe("bounds", () => {
  it("one call over maxInFlight is refused, the next fits when one has ended", async (t) => {
    const { server, client } = await startPair(t, { maxInFlight: 2 });
    const open = [client.readIndex(), client.readIndex()];
    const error = await failureOf(client.readIndex());
    assert.deepEqual(
      [error.code, error.reason, error.sent],
      ["resource_exhausted", "in_flight_limit", "no"],
    );
    const first = await server.waitFor(OP.read_index, 1);
    first.answerWrite({ logIndex: 1, term: 1 });
    await open[0];
    const again = client.readIndex();
    for (const i of [2, 3]) {
      (await server.waitFor(OP.read_index, i)).answerWrite({ logIndex: i, term: 1 });
    }
    await Promise.all([...open, again]);
  });

  it("bytes are bounded too: requests and the windows of streams", async (t) => {
    const { server, client } = await startPair(t, {
      maxBufferedBytes: 10_000,
      streamWindowBytes: 5_000,
    });
    server.script = (request) => request.answerBytes(planChunk([ULID_A]));
    const fits = client.addBlock(new Uint8Array(10_000 - 16)).catch(() => {});
    const error = await failureOf(client.addBlock(new Uint8Array(8)));
    assert.deepEqual([error.code, error.reason], ["resource_exhausted", "buffered_bytes_limit"]);
    const stream = await failureOf(collectBlocks(client.queryMetadata(EVERYTHING)));
    assert.equal(stream.reason, "buffered_bytes_limit");
    await fits;
    await collectBlocks(client.queryMetadata(EVERYTHING));
  });

  it("a peer that does not read fills the channel up to the bound", async (t) => {
    const { server } = await startPair(t);
    const { connect, createWebSocketTransport } = await import("../../src/client/index.ts");
    const inner = createWebSocketTransport();
    let bufferedBytes = 0;
    const transport: Transport = {
      open: (endpoint, listener) => {
        const channel = inner.open(endpoint, listener);
        return {
          send: (frame) => channel.send(frame),
          close: () => channel.close(),
          terminate: () => channel.terminate(),
          get bufferedBytes() {
            return bufferedBytes;
          },
        };
      },
    };
    const client = await connect({
      endpoints: [server.endpoint],
      transport,
      maxBufferedBytes: 1_000,
      streamWindowBytes: 100,
    });
    t.after(() => client.close());
    server.script = (request) => request.answerWrite({ logIndex: 1, term: 1 });
    bufferedBytes = 1_000 - 24;
    await client.addBlock(new Uint8Array(8));
    bufferedBytes += 1;
    const error = await failureOf(client.addBlock(new Uint8Array(8)));
    assert.deepEqual(
      [error.code, error.reason, error.sent],
      ["resource_exhausted", "channel_full", "no"],
    );
  });
});

describe("the end", () => {
  it("close() ends open calls at once and refuses new ones", async (t) => {
    const { server, client } = await startPair(t);
    const call = failureOf(client.readIndex());
    const stream = failureOf(collectBlocks(client.queryMetadata(EVERYTHING)));
    await server.waitFor(OP.query_metadata);
    await client.close();
    for (const error of [await call, await stream]) {
      assert.deepEqual(
        [error.code, error.reason, error.sent, error.retryable],
        ["cancelled", "client_closed", "maybe", false],
      );
    }
    const late = await failureOf(client.readIndex());
    assert.deepEqual([late.code, late.sent], ["failed_precondition", "no"]);
    await client.close();
    await client.drain();
  });

  it("close() ends calls that wait for a connection or for a repeat", async (t) => {
    const { server, client } = await startPair(t, { maxWaitForConnectionMs: 60_000 });
    await server.stop();
    const call = failureOf(client.readIndex({ timeoutMs: Number.POSITIVE_INFINITY }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await client.close();
    const error = await call;
    assert.equal(error.code, "cancelled");
  });

  it("drain() lets open calls finish, refuses new ones, then closes", async (t) => {
    const { server, client } = await startPair(t);
    const call = client.readIndex();
    const request = await server.waitFor(OP.read_index);
    const drained = client.drain();
    assert.equal((await failureOf(client.readIndex())).code, "failed_precondition");
    request.answerWrite({ logIndex: 4, term: 1 });
    assert.equal((await call).logIndex, 4);
    await drained;
    await server.whenDeserted();
  });

  it("await using closes", async (t) => {
    const { server, client } = await startPair(t);
    {
      await using scoped = client;
      server.script = (request) => request.answer();
      await scoped.ping();
    }
    assert.equal((await failureOf(client.ping())).code, "failed_precondition");
  });
});
