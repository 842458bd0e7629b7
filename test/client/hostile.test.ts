/** Servers that break the protocol: the connection ends with a typed error, and nothing is thrown at nobody. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FLAG, OP } from "../../src/protocol/index.ts";
import { collectBlocks } from "../../src/client/index.ts";
import { until } from "../support/until.ts";
import { answerFrame, type FakeRequest, refusal } from "./fake-server.ts";
import { EVERYTHING, failureOf, nextStatus, startPair } from "./fixture.ts";

/** What a hostile server sends instead of an answer to ReadIndex, and what the error says of it. */
const ATTACKS: Readonly<Record<string, readonly [RegExp, (request: FakeRequest) => unknown]>> = {
  "an empty message": [/frame too short/, ({ socket }) => socket.send(new Uint8Array(0))],
  "half a header": [/frame too short/, ({ socket }) => socket.send(new Uint8Array(15))],
  "a wrong magic": [/bad magic/, ({ socket }) => socket.send(new Uint8Array(64))],
  "a version of the future": [
    /unsupported version/,
    (request) => {
      const frame = answerFrame({ ...request, flags: FLAG.last });
      frame[1] = 9;
      request.socket.send(frame);
    },
  ],
  "unknown flags": [/unknown flags/, (request) => request.answer(() => {}, 0x80)],
  "an answer to nobody": [
    /unknown request/,
    (request) => request.socket.send(answerFrame({ ...request, requestId: 999, flags: 1 })),
  ],
  "an answer without an id": [
    /without a request id/,
    (request) => request.socket.send(answerFrame({ ...request, requestId: 0, flags: 1 })),
  ],
  "an answer to another question": [
    /opcode 16 answers a request of opcode 10/,
    (request) => request.socket.send(answerFrame({ ...request, opcode: OP.ping, flags: 1 })),
  ],
  "a payload of zeros": [/cannot be read/, (request) => request.answerBytes(new Uint8Array(64))],
  "no payload": [/cannot be read/, (request) => request.answer()],
  "an error that is none": [
    /cannot be read/,
    (request) => request.answer(() => {}, FLAG.last | FLAG.error),
  ],
  "two frames for one value": [
    /second frame/,
    (request) => {
      request.answer((sink) => sink.append(validWriteReply()), 0);
      request.answer((sink) => sink.append(validWriteReply()), FLAG.last);
    },
  ],
  "a leader that is none": [
    /a leader that cannot be read/,
    ({ socket }) => socket.send(leaderFrame(0, new Uint8Array(64).fill(255))),
  ],
  "a leader with flags": [
    /without a request id/,
    ({ socket }) => socket.send(leaderFrame(FLAG.last, new Uint8Array(64))),
  ],
  "a text message": [/text message/, ({ socket }) => socket.send("hello")],
};

function leaderFrame(flags: number, payload: Uint8Array): Uint8Array {
  const header = { opcode: OP.leader_changed, requestId: 0, flags };
  return answerFrame(header, (sink) => sink.append(payload));
}

function validWriteReply(): Uint8Array {
  // vtable of two doubles, written by hand: 8 bytes of vtable, then the table with its two fields at 8 and 16.
  const bytes = Buffer.alloc(40);
  bytes.writeUInt32LE(16, 0);
  bytes.writeUInt16LE(8, 8);
  bytes.writeUInt16LE(24, 10);
  bytes.writeUInt16LE(8, 12);
  bytes.writeUInt16LE(16, 14);
  bytes.writeInt32LE(8, 16);
  bytes.writeDoubleLE(5, 24);
  bytes.writeDoubleLE(6, 32);
  return bytes;
}

describe("a server that sends", () => {
  it("a reply written by hand is understood", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerBytes(validWriteReply());
    assert.deepEqual(await client.readIndex(), { logIndex: 5, term: 6 });
  });

  for (const [name, [expected, attack]] of Object.entries(ATTACKS)) {
    it(`${name} loses the connection, and open calls learn why`, async (t) => {
      const { server, client } = await startPair(t);
      const bystander = failureOf(client.getTenant("x", { timeoutMs: 60_000 }));
      await server.waitFor(OP.get_tenant);
      const statuses = client.status()[Symbol.asyncIterator]();
      server.script = (request) => {
        if (request.opcode === OP.read_index) attack(request);
      };
      const asker = failureOf(client.readIndex({ timeoutMs: 60_000 }));
      const lost = await nextStatus(statuses, "disconnected");
      assert.match(lost.reason.message, expected);
      // Ends those that are to be repeated: after what is no violation, a text message.
      await client.close();
      for (const { code } of [await asker, await bystander])
        assert.ok(["internal", "cancelled"].includes(code), code);
    });
  }

  it("a leader that nobody asked for loses the connection", async (t) => {
    const { server, client } = await startPair(t, { followLeader: false });
    server.script = ({ socket }) => socket.send(leaderFrame(0, new Uint8Array(64)));
    const error = await failureOf(client.readIndex());
    assert.match(error.message, /without a request id/);
  });

  it("garbage in a chunk loses the connection, and the loop learns why", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => request.answerBytes(new Uint8Array(64).fill(255));
    const error = await failureOf(collectBlocks(client.queryMetadata(EVERYTHING)));
    assert.deepEqual(
      [error.code, error.reason, error.sent],
      ["internal", "protocol_violation", "yes"],
    );
  });

  it("an error for the whole connection ends it with that error", async (t) => {
    const { server, client } = await startPair(t);
    const reason = refusal("resource_exhausted", { reason: "too_many_connections" });
    server.script = (request) => {
      Object.assign(request, { requestId: 0 });
      request.fail(reason);
    };
    const error = await failureOf(client.readIndex());
    assert.deepEqual([error.code, error.reason], ["resource_exhausted", "too_many_connections"]);
  });

  it("random bytes, many times over, never takes the process down", async (t) => {
    const { server, client } = await startPair(t);
    let state = 12_345;
    const random = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return state;
    };
    server.script = (request) => {
      const frame = answerFrame({ ...request, flags: FLAG.last }, (sink) =>
        sink.append(validWriteReply()),
      );
      for (let i = 0; i < 1 + (random() % 4); i++) frame[random() % frame.length] = random();
      request.socket.send(frame);
    };
    for (let i = 0; i < 100; i++) await client.readIndex({ timeoutMs: 20 }).catch(() => {});
    server.script = (request) => request.answer();
    // What was sent for the last one may still be on its way, and ends the connection under a call.
    await until("the client works", () =>
      client.ping().then(
        () => true,
        () => false,
      ),
    );
  });
});
