/** Requests of one turn in one message, and answers that come so. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createWebSocketTransport } from "../../src/client/index.ts";
import { BUNDLE_MAX_BYTES, BUNDLED_FRAME_MAX_BYTES, FLAG, OP } from "../../src/protocol/index.ts";
import { BLOCK, bundleOf } from "../server/support.ts";
import { answerFrame, type FakeRequest } from "./fake-server.ts";
import { failureOf, startPair } from "./fixture.ts";

const BUNDLES = { hello: { bundleMaxBytes: BUNDLE_MAX_BYTES } };
const WRITE = { logIndex: 7, term: 2 };

function answerWrites(request: FakeRequest): void {
  request.answerWrite(WRITE);
}

describe("a client of a server that takes bundles", () => {
  it("sends the requests of a turn in one message", async (t) => {
    const { server, client } = await startPair(t, {}, BUNDLES);
    assert.equal(server.hellos[0]?.bundleMaxBytes, BUNDLE_MAX_BYTES);
    server.script = answerWrites;
    const messages = server.messages;
    const calls = Array.from({ length: 10 }, () => client.addBlock(BLOCK));
    for (const { logIndex } of await Promise.all(calls)) assert.equal(logIndex, 7);
    assert.equal(server.messages - messages, 1);
    assert.equal(server.received(OP.add_block).length, 10);
  });

  it("sends a request that is alone as a message of its own", async (t) => {
    const { server, client } = await startPair(t, {}, BUNDLES);
    server.script = answerWrites;
    const bundles = server.bundles;
    await client.addBlock(BLOCK);
    await client.addBlock(BLOCK);
    assert.equal(server.bundles, bundles);
  });

  it("sends large requests alone, and none of its bundles is larger than the server takes", async (t) => {
    const { server, client } = await startPair(t, {}, { hello: { bundleMaxBytes: 20_000 } });
    server.script = answerWrites;
    const name = "x".repeat(BUNDLED_FRAME_MAX_BYTES);
    const large = { ...BLOCK, stringTable: [...BLOCK.stringTable, name] };
    const blocks = Array.from({ length: 100 }, (_, i) => (i === 50 ? large : BLOCK));
    await Promise.all(blocks.map((block) => client.addBlock(block)));
    const received = server.received(OP.add_block);
    assert.equal(received.length, 100);
    const place = received.findIndex(({ payload }) => payload.length > BUNDLED_FRAME_MAX_BYTES);
    assert.equal(place, 50, "in the order of the calls");
    assert.ok(server.largestBundle > 10_000 && server.largestBundle <= 20_000);
  });

  it("takes answers that come in bundles", async (t) => {
    const { server, client } = await startPair(t, {}, BUNDLES);
    const waiting: FakeRequest[] = [];
    server.script = (request) => {
      waiting.push(request);
      if (waiting.length < 3) return;
      const answers = waiting.map(({ opcode, requestId }) =>
        answerFrame({ opcode, requestId, flags: FLAG.last }, (sink) =>
          sink.append(new Uint8Array(0)),
        ),
      );
      request.socket.send(bundleOf(...answers));
    };
    await Promise.all(Array.from({ length: 3 }, () => client.ping()));
  });

  it("ends the connection for a bundle that makes no sense", async (t) => {
    const { server, client } = await startPair(t, {}, BUNDLES);
    server.script = ({ socket, opcode, requestId }) => {
      const answer = answerFrame({ opcode, requestId, flags: FLAG.last });
      const damaged = bundleOf(answer, answer);
      damaged[12] = 9;
      socket.send(damaged);
    };
    const error = await failureOf(client.ping());
    assert.equal(error.reason, "protocol_violation");
    assert.match(error.message, /bundle/);
  });
});

describe("a client whose transport takes small messages only", () => {
  it("asks for no larger bundles", async (t) => {
    const transport = createWebSocketTransport({ answerFrameMaxBytes: 20_000 });
    const { server } = await startPair(t, { transport }, BUNDLES);
    assert.equal(server.hellos[0]?.bundleMaxBytes, 20_000);
  });
});

describe("a client of a server that takes none", () => {
  it("sends each request as a message of its own", async (t) => {
    const { server, client } = await startPair(t);
    server.script = answerWrites;
    const messages = server.messages;
    await Promise.all(Array.from({ length: 5 }, () => client.addBlock(BLOCK)));
    assert.equal(server.messages - messages, 5);
    assert.equal(server.bundles, 0);
  });
});
