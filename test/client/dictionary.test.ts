/** Answers that refer to dictionary records, and servers that send records and references that make no sense. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectBlocks, connect } from "../../src/client/index.ts";
import {
  type ByteSink,
  CHUNK_HEADROOM_BYTES,
  EntryChunkWriter,
  FLAG,
  OP,
} from "../../src/protocol/index.ts";
import { answerFrame, type FakeRequest } from "./fake-server.ts";
import { EVERYTHING, failureOf, startPair, startServer, ULID_A } from "./fixture.ts";
import { ulidBytes } from "./plan-chunks.ts";

const DICTIONARY = 3;
const KEPT = { hello: { dictionaryMaxBytes: 10_000 } };
const LIST = { shard: 7, blocks: [ULID_A] };

/** Records by hand: kind, dictionary, id, length, content, zeros. */
function record(kind: number, id: number, content: Uint8Array, length = content.length): Buffer {
  const bytes = Buffer.alloc((16 + content.length + 7) & ~7);
  bytes.writeUInt32LE(kind, 0);
  bytes.writeUInt32LE(kind === 0 ? 0 : DICTIONARY, 4);
  bytes.writeUInt32LE(id, 8);
  bytes.writeUInt32LE(length, 12);
  bytes.set(content, 16);
  return bytes;
}

const FORGET = record(0, 0, new Uint8Array(0));

function text(id: number, value: string): Buffer {
  return record(1, id, Buffer.from(value));
}

function key(id: number, ...ints: readonly number[]): Buffer {
  return record(2, id, Buffer.from(Int32Array.from(ints).buffer), ints.length);
}

/** Tenant 1, dataset 2 with the label 4 = 2, made by 5. */
const RECORDS = [text(1, "acme"), text(2, "api"), text(4, "service_name"), text(5, "writer")];
const KEY = key(9, 1, 2, 1, 4, 2);

function sendRecords({ socket }: FakeRequest, ...records: readonly Uint8Array[]): void {
  const header = { opcode: OP.dictionary, requestId: 0, flags: 0 };
  socket.send(answerFrame(header, (sink) => sink.append(Buffer.concat(records))));
}

/** One stored entry with one dataset of key 9, in the canonical layout. */
function entryChunk(sink: ByteSink): void {
  const entry = Buffer.alloc(160);
  const words = new Int32Array(entry.buffer, entry.byteOffset, 40);
  words.set([20, 10 | (84 << 16), 4 | (76 << 16), 80, 0, 16]);
  entry.set(ulidBytes(ULID_A), 24);
  words[(24 + 52) / 4] = 7;
  words[(24 + 60) / 4] = 1;
  words[(24 + 64) / 4] = 5;
  words[24] = 112 - 4 - 96;
  words[25] = 160 - 4 - 100;
  words[27] = 1;
  words[(112 + 24) / 4] = 9;
  const writer = new EntryChunkWriter();
  writer.addEntry(DICTIONARY, entry);
  sink.append(writer.finish(42).view(CHUNK_HEADROOM_BYTES));
}

function answerEntries(request: FakeRequest): void {
  request.answer(entryChunk, FLAG.entries | FLAG.last);
}

describe("a client that keeps dictionary records", () => {
  it("reads answers that refer to them, also to those of the answer before", async (t) => {
    const { server, client } = await startPair(t, {}, KEPT);
    let answers = 0;
    server.script = (request) => {
      if (answers++ === 0) sendRecords(request, ...RECORDS, KEY);
      answerEntries(request);
    };
    for (let i = 0; i < 2; i++) {
      const [block] = await collectBlocks(client.getBlockMetadata(LIST));
      assert.deepEqual(block?.stringTable, ["", "acme", "writer", "api", "service_name"]);
      assert.deepEqual(block?.datasets[0]?.labels, [1, 4, 3]);
    }
    assert.equal(server.connectionCount, 1);
  });

  it("keeps what an answer in hand refers to when it is told to forget", async (t) => {
    const { server, client } = await startPair(t, {}, KEPT);
    server.script = (request) => {
      sendRecords(request, ...RECORDS, KEY);
      request.answer(entryChunk, FLAG.entries);
      sendRecords(request, FORGET, text(1, "other"), ...RECORDS.slice(1), KEY);
      answerEntries(request);
    };
    const tenants: string[] = [];
    for await (const batch of client.getBlockMetadata(LIST)) {
      for (const block of batch) tenants.push(block.tenant);
    }
    assert.deepEqual(tenants, ["acme", "other"]);
  });

  it("takes records of an answer that was given up", async (t) => {
    const { server, client } = await startPair(t, {}, KEPT);
    const abort = new AbortController();
    server.script = (request) => {
      if (request.opcode !== OP.get_block_metadata) return;
      if (server.received(OP.get_block_metadata).length > 1) return answerEntries(request);
      abort.abort();
      sendRecords(request, ...RECORDS, KEY);
      answerEntries(request);
    };
    const { signal } = abort;
    await assert.rejects(collectBlocks(client.getBlockMetadata(LIST, { signal })));
    assert.equal((await collectBlocks(client.getBlockMetadata(LIST))).length, 1);
  });

  it("begins with nothing on a new connection", async (t) => {
    const { server, client } = await startPair(t, {}, KEPT);
    let requests = 0;
    server.script = (request) => {
      sendRecords(request, ...RECORDS, KEY);
      if (requests++ === 0) request.socket.terminate();
      else answerEntries(request);
    };
    // The call is repeated on a second connection, where the same records are no repetition.
    assert.equal((await collectBlocks(client.getBlockMetadata(LIST))).length, 1);
  });

  it("offers nothing when told to keep nothing", async (t) => {
    const { server } = await startPair(t, { dictionaryMaxBytes: 0 });
    assert.equal(server.hellos[0]?.dictionaryMaxBytes, 0);
  });
});

/** What a hostile server does when asked for a block. */
const ATTACKS: Readonly<Record<string, readonly [RegExp, (request: FakeRequest) => void]>> = {
  "refers to what it never sent": [/was not sent before/, answerEntries],
  "refers to what it told to forget": [
    /was not sent before/,
    (request) => {
      sendRecords(request, ...RECORDS, KEY);
      sendRecords(request, FORGET);
      answerEntries(request);
    },
  ],
  "sends more than agreed": [
    /records that cannot be read/,
    (request) => sendRecords(request, text(1, "x".repeat(11_000))),
  ],
  "sends a key without its strings": [
    /records that cannot be read/,
    (request) => sendRecords(request, KEY),
  ],
  "sends a cut record": [
    /records that cannot be read/,
    (request) => sendRecords(request, text(1, "acme").subarray(0, 16)),
  ],
  "sends zeros for entries": [
    /cannot be read/,
    (request) => request.answer((sink) => sink.append(new Uint8Array(8)), FLAG.entries | FLAG.last),
  ],
};

describe("a server that breaks the rules of dictionary records", () => {
  for (const [name, [expected, attack]] of Object.entries(ATTACKS)) {
    it(`${name}: the connection ends`, async (t) => {
      const { server, client } = await startPair(t, {}, KEPT);
      let attacks = 0;
      server.script = (request) => {
        attacks++;
        attack(request);
      };
      const failure = await failureOf(collectBlocks(client.getBlockMetadata(LIST)));
      assert.match(failure.message, expected);
      assert.ok(attacks > 0);
    });
  }

  it("sends entries where none were asked for: the connection ends", async (t) => {
    const { server, client } = await startPair(t, {}, KEPT);
    server.script = answerEntries;
    const failure = await failureOf(collectBlocks(client.queryMetadata(EVERYTHING)));
    assert.match(failure.message, /entries that were not asked for/);
  });

  it("sends records though nothing was agreed: the connection ends", async (t) => {
    const { server, client } = await startPair(t);
    server.script = (request) => sendRecords(request, ...RECORDS);
    const failure = await failureOf(collectBlocks(client.getBlockMetadata(LIST)));
    assert.match(failure.message, /without a request id/);
  });

  it("wants more kept than was offered: there is no connection", async (t) => {
    const server = await startServer(t, KEPT);
    const options = { endpoints: [server.endpoint], dictionaryMaxBytes: 100 };
    const failure = await failureOf(connect({ ...options, connectTimeoutMs: 60_000 }));
    assert.match(failure.message, /wants 10000 bytes kept of 100/);
  });
});
