import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import {
  appendAddBlockEntry,
  beginCommandRequest,
  type ByteSink,
  decodeHelloReply,
  decodeTenantReply,
  decodeTenantsReply,
  decodeWriteReply,
  encodeBlockBatch,
  encodeHello,
  encodeJsonMessage,
  OP,
} from "../../src/protocol/index.ts";
import { SERVER_DEFAULTS } from "../../src/server/index.ts";
import {
  type Answer,
  type Bench,
  BLOCK,
  blockPayload,
  createBench,
  encoded,
  frame,
  helloFrame,
  nextTurn,
  queryFrame,
  queryPayload,
  tenantPayload,
} from "./support.ts";

let open: Bench[] = [];
afterEach(() => {
  for (const bench of open) bench.deadlines.close();
  open = [];
});

/** A thread with one session that has said Hello. */
function greeted(overrides: Parameters<typeof createBench>[0] = {}): Bench {
  const bench = createBench(overrides);
  open.push(bench);
  bench.session.message(helloFrame());
  bench.connection.take();
  return bench;
}

function only(bench: Bench): Answer {
  const answers = bench.connection.take();
  assert.equal(answers.length, 1, "exactly one answer");
  return answers[0] as Answer;
}

function assertRefused(bench: Bench, code: string, reason: string, requestId: number): void {
  const answer = only(bench);
  assert.equal(answer.error?.code, code);
  assert.equal(answer.error?.reason, reason);
  assert.equal(answer.requestId, requestId);
  assert.equal(answer.isLast, true);
  assert.equal(bench.counters.snapshot().rejected[reason], 1, "the refusal is counted by its reason");
}

describe("hello", () => {
  test("answers with identity and limits", () => {
    const bench = createBench();
    bench.session.message(helloFrame(7));
    const answer = only(bench);
    assert.equal(answer.requestId, 7);
    const reply = decodeHelloReply(answer.payload);
    assert.equal(reply.nodeId, "n1");
    assert.equal(reply.clusterId, "c1");
    assert.equal(reply.protocol, 1);
    assert.equal(reply.inFlightMax, SERVER_DEFAULTS.session.inFlightMax);
    assert.equal(reply.frameMaxBytes, SERVER_DEFAULTS.session.frameMaxBytes);
  });

  test("a request before hello is refused, and hello still works after it", () => {
    const bench = createBench();
    bench.session.message(queryFrame(1));
    assertRefused(bench, "failed_precondition", "hello_missing", 1);
    bench.session.message(helloFrame(2));
    assert.equal(only(bench).error, null);
  });

  test("a second hello is refused", () => {
    const bench = greeted();
    bench.session.message(helloFrame(9));
    assertRefused(bench, "failed_precondition", "hello_repeated", 9);
  });

  test("a protocol version that is not spoken is refused", () => {
    const bench = createBench();
    const hello = { protocolMin: 9, protocolMax: 9, name: "x", role: "tool" };
    const payload = encoded((sink) => encodeHello(sink, hello));
    bench.session.message(frame({ opcode: OP.hello, requestId: 1, payload }));
    assertRefused(bench, "failed_precondition", "protocol_version", 1);
  });
});

describe("violations close the connection with an error that has no request id", () => {
  const cases: [string, string, Uint8Array][] = [
    ["an empty frame", "frame_too_short", new Uint8Array(0)],
    ["a short frame", "frame_too_short", queryFrame(1).subarray(0, 15)],
    ["another magic", "bad_magic", withByte(queryFrame(1), 0, 0x47)],
    ["version 0", "unsupported_version", withByte(queryFrame(1), 1, 0)],
    ["a later version", "unsupported_version", withByte(queryFrame(1), 1, 2)],
    ["request id 0", "request_id_zero", queryFrame(0)],
    ["cancel with flags", "unknown_flags", frame({ opcode: OP.cancel, requestId: 1, flags: 1 })],
  ];
  for (const [name, reason, bytes] of cases) {
    test(name, () => {
      const bench = greeted();
      bench.session.message(bytes);
      const answer = only(bench);
      assert.equal(answer.requestId, 0);
      assert.equal(answer.error?.code, "invalid_argument");
      assert.equal(answer.error?.reason, reason);
      assert.equal(bench.connection.closedWith, 1002);
      assert.equal(bench.counters.connections, 0);
      bench.session.message(queryFrame(1));
      assert.deepEqual(bench.connection.take(), [], "nothing is answered after the close");
    });
  }

  test("a request id that is in flight", () => {
    const bench = greeted();
    bench.progress.grant = -1;
    bench.session.message(queryFrame(5));
    bench.session.message(queryFrame(5));
    assert.equal(only(bench).error?.reason, "request_id_in_use");
    assert.equal(bench.connection.closedWith, 1002);
  });
});

describe("bad requests get a typed error and the connection lives on", () => {
  const raw = { allowRawCommands: true };
  const garbage = new Uint8Array(64).fill(0xff);
  const json = (text: string) => encoded((sink) => encodeJsonMessage(sink, text));
  const cases: [string, string, string, Parameters<typeof frame>[0], Parameters<typeof createBench>[0]?][] = [
    ["unknown flags", "invalid_argument", "unknown_flags", { opcode: OP.ping, requestId: 1, flags: 4 }],
    ["opcode 0", "unimplemented", "unknown_opcode", { opcode: 0, requestId: 1 }],
    ["an unknown opcode", "unimplemented", "unknown_opcode", { opcode: 200, requestId: 1 }],
    ["delete tenant", "unimplemented", "unimplemented", { opcode: OP.delete_tenant, requestId: 1 }],
    ["an empty block", "invalid_argument", "bad_structure", { opcode: OP.add_block, requestId: 1 }],
    ["a garbage block", "invalid_argument", "bad_structure", { opcode: OP.add_block, requestId: 1, payload: garbage }],
    ["a garbage batch", "invalid_argument", "too_many_blocks", { opcode: OP.add_blocks, requestId: 1, payload: garbage }],
    ["no blocks", "invalid_argument", "no_blocks", { opcode: OP.add_blocks, requestId: 1, payload: new Uint8Array(8) }],
    ["a garbage query", "invalid_argument", "bad_structure", { opcode: OP.query_metadata, requestId: 1, payload: garbage }],
    ["a garbage label query", "invalid_argument", "bad_structure", { opcode: OP.query_metadata_labels, requestId: 1, payload: garbage }],
    ["a garbage look-up", "invalid_argument", "bad_structure", { opcode: OP.get_block_metadata, requestId: 1, payload: garbage }],
    ["a garbage tenant", "invalid_argument", "bad_structure", { opcode: OP.get_tenant, requestId: 1, payload: garbage }],
    ["a raw command where none are taken", "permission_denied", "raw_commands_off", { opcode: OP.command, requestId: 1, payload: garbage }],
    ["inspection where none is allowed", "permission_denied", "raw_commands_off", { opcode: OP.inspect, requestId: 1, payload: json("{}") }],
    ["a garbage command", "invalid_argument", "bad_structure", { opcode: OP.command, requestId: 1, payload: garbage }, raw],
    ["a command without entries", "invalid_argument", "bad_structure", { opcode: OP.command, requestId: 1, payload: new Uint8Array(16) }, raw],
    ["inspection that is not JSON", "invalid_argument", "bad_inspect", { opcode: OP.inspect, requestId: 1, payload: json("{") }, raw],
    ["inspection of a list", "invalid_argument", "bad_inspect", { opcode: OP.inspect, requestId: 1, payload: json("[]") }, raw],
    ["an unknown inspection", "invalid_argument", "bad_inspect", { opcode: OP.inspect, requestId: 1, payload: json('{"op":"x"}') }, raw],
    ["an inspection with a bad time", "invalid_argument", "bad_inspect", { opcode: OP.inspect, requestId: 1, payload: json('{"op":"list_tombstones","before":"x"}') }, raw],
  ];
  for (const [name, code, reason, parts, overrides] of cases) {
    test(name, async () => {
      const bench = greeted(overrides);
      bench.session.message(frame(parts));
      assertRefused(bench, code, reason, 1);
      assert.equal(bench.connection.closedWith, null);
      await nextTurn();
      assert.equal(bench.main.proposals.length, 0, "nothing was proposed");
      assert.equal(bench.writes.pendingBytes, 0);
      bench.session.message(frame({ opcode: OP.ping, requestId: 2 }));
      assert.equal(only(bench).error, null);
    });
  }

  test("a block that is well formed but not allowed", async () => {
    const bench = greeted();
    const payload = blockPayload({ minTimeMs: 5000, maxTimeMs: 1000 });
    bench.session.message(frame({ opcode: OP.add_block, requestId: 1, payload }));
    assertRefused(bench, "invalid_argument", "time_range_inverted", 1);
    await nextTurn();
    assert.equal(bench.main.proposals.length, 0);
  });

  test("what the engine throws becomes the answer", () => {
    const bench = greeted();
    bench.engine.failure = new HearthError("invalid_argument", "Bad selector", { reason: "selector" });
    bench.session.message(queryFrame(1));
    assertRefused(bench, "invalid_argument", "selector", 1);
    bench.engine.failure = new TypeError("a bug");
    bench.session.message(queryFrame(2));
    assertRefused(bench, "internal", "internal", 2);
    bench.engine.failure = null;
    bench.session.message(queryFrame(3));
    assert.equal(only(bench).error, null);
  });

  test("one request more than may be in flight is refused; after an answer it is taken", async () => {
    const bench = greeted({ session: { ...SERVER_DEFAULTS.session, inFlightMax: 2 } });
    for (const id of [1, 2, 3]) {
      bench.session.message(frame({ opcode: OP.add_block, requestId: id, payload: blockPayload() }));
    }
    assertRefused(bench, "resource_exhausted", "in_flight", 3);
    await nextTurn();
    bench.main.acknowledge();
    assert.equal(bench.connection.take().length, 2);
    bench.session.message(frame({ opcode: OP.add_block, requestId: 3, payload: blockPayload() }));
    assert.equal(bench.session.inFlight, 1);
  });

  test("a stopping thread refuses new requests", () => {
    const bench = greeted();
    bench.isStopping = true;
    bench.session.message(queryFrame(4));
    assertRefused(bench, "unavailable", "stopping", 4);
  });
});

describe("reads", () => {
  test("an answer comes within the handler", () => {
    const bench = greeted();
    bench.session.message(queryFrame(2));
    const answer = only(bench);
    assert.deepEqual([...answer.payload], [1, 2, 3]);
    assert.equal(answer.isLast, true);
    assert.equal(answer.opcode, OP.query_metadata);
    assert.equal(bench.session.inFlight, 0);
  });

  test("tenants and their statistics carry the applied index", () => {
    const bench = greeted();
    bench.engine.applied = 12;
    bench.session.message(frame({ opcode: OP.get_tenants, requestId: 1, payload: tenantPayload("") }));
    assert.deepEqual(decodeTenantsReply(only(bench).payload), { tenants: ["a", "b"], appliedIndex: 12 });
    bench.session.message(frame({ opcode: OP.get_tenant, requestId: 2, payload: tenantPayload("a") }));
    const stats = decodeTenantReply(only(bench).payload);
    assert.equal(stats.dataIngested, true);
    assert.equal(stats.appliedIndex, 12);
  });

  test("a strong read waits until the granted index is applied, a local one does not", async () => {
    const bench = greeted();
    bench.progress.grant = 5;
    bench.engine.applied = 4;
    bench.session.message(queryFrame(1));
    assert.equal(bench.connection.take().length, 0, "too old a state answers nothing");
    bench.session.message(frame({ opcode: OP.get_tenants, requestId: 2, payload: tenantPayload("", "local") }));
    assert.equal(only(bench).requestId, 2);
    bench.engine.applied = 5;
    bench.progress.publish(5);
    await nextTurn();
    assert.equal(only(bench).requestId, 1);
    assert.equal(bench.reads.waitingCount, 0);
  });

  test("a wake-up without the index keeps the read waiting", async () => {
    const bench = greeted();
    bench.progress.grant = 5;
    bench.session.message(queryFrame(1));
    bench.progress.publish(4);
    await nextTurn();
    // Published, but not in the transaction: the transaction decides.
    bench.progress.publish(5);
    await nextTurn();
    assert.equal(bench.connection.take().length, 0);
    bench.engine.applied = 6;
    bench.progress.publish(6);
    await nextTurn();
    assert.equal(only(bench).error, null);
  });

  test("reads of one turn share one round to main", async () => {
    const bench = greeted();
    bench.progress.grant = -1;
    for (const id of [1, 2, 3]) bench.session.message(queryFrame(id));
    await nextTurn();
    assert.equal(bench.main.rounds.length, 1);
    bench.session.message(queryFrame(4));
    await nextTurn();
    assert.equal(bench.main.rounds.length, 2, "a later read is not served by an earlier round");
    bench.main.rounds[0]?.({ ok: true, index: 0, term: 1 });
    assert.deepEqual(bench.connection.take().map((answer) => answer.requestId), [1, 2, 3]);
    bench.main.rounds[1]?.({ ok: false, error: new HearthError("unavailable", "no leader", { reason: "no_leader" }) });
    assertRefused(bench, "unavailable", "no_leader", 4);
  });

  test("a read that is not granted in time is unavailable", async () => {
    const bench = greeted();
    bench.progress.grant = -1;
    bench.session.message(queryFrame(1, { timeoutMs: 100 }));
    await nextTurn();
    bench.clock.nowMs += 99;
    bench.deadlines.sweep();
    assert.equal(bench.connection.take().length, 0);
    bench.clock.nowMs += 1;
    bench.deadlines.sweep();
    assertRefused(bench, "unavailable", "not_caught_up", 1);
    bench.main.rounds[0]?.({ ok: true, index: 0, term: 1 });
    assert.equal(bench.connection.take().length, 0, "a late grant answers nobody");
    assert.equal(bench.engine.calls, 0);
  });

  test("read index answers the grant and its term", () => {
    const bench = greeted();
    bench.progress.grant = 41;
    bench.session.message(frame({ opcode: OP.read_index, requestId: 1 }));
    assert.deepEqual(decodeWriteReply(only(bench).payload), { logIndex: 41, term: 3 });
  });

  test("more waiting reads than allowed are refused", () => {
    const bench = greeted({ waitingReadsMax: 1 });
    bench.progress.grant = -1;
    bench.session.message(queryFrame(1));
    bench.session.message(queryFrame(2));
    assertRefused(bench, "resource_exhausted", "waiting_reads", 2);
  });
});

describe("streamed answers", () => {
  const chunks = [1, 2, 3, 4].map((value) => new Uint8Array(100).fill(value));

  test("stop when the credit is used up and go on with more", () => {
    const bench = greeted();
    bench.engine.chunks = chunks;
    bench.session.message(queryFrame(1, { aux: 150 }));
    assert.deepEqual(bench.connection.take().map((answer) => answer.payload[0]), [1, 2]);
    bench.session.message(frame({ opcode: OP.credit, requestId: 1, aux: 50 }));
    assert.deepEqual(bench.connection.take(), [], "the credit only pays the debt");
    bench.session.message(frame({ opcode: OP.credit, requestId: 1, aux: 1 }));
    assert.deepEqual(bench.connection.take().map((answer) => answer.payload[0]), [3]);
    bench.session.message(frame({ opcode: OP.credit, requestId: 1, aux: 1000 }));
    const last = only(bench);
    assert.equal(last.payload[0], 4);
    assert.equal(last.isLast, true);
    assert.equal(bench.session.inFlight, 0);
    assert.equal(bench.counters.queuedAnswerBytes, 0);
  });

  test("other requests are answered while a stream waits", () => {
    const bench = greeted();
    bench.engine.chunks = chunks;
    bench.session.message(queryFrame(1, { aux: 1 }));
    bench.connection.take();
    bench.session.message(frame({ opcode: OP.ping, requestId: 2 }));
    assert.equal(only(bench).requestId, 2);
  });

  test("a stream over the bound fails alone", () => {
    const session = { ...SERVER_DEFAULTS.session, queuedAnswerMaxBytes: 200 };
    const bench = greeted({ session });
    bench.engine.chunks = chunks;
    bench.session.message(queryFrame(1, { aux: 1 }));
    const answers = bench.connection.take();
    assert.deepEqual(answers.map((answer) => answer.isLast), [false, true]);
    assert.equal(answers[1]?.error?.reason, "answer_queue");
    assert.equal(bench.counters.queuedAnswerBytes, 0, "what was kept for it is released");
    bench.session.message(queryFrame(2));
    assert.equal(bench.connection.take().length, 4);
  });

  test("the bound of the thread counts all connections", () => {
    const session = { ...SERVER_DEFAULTS.session, queuedAnswersPerThreadMaxBytes: 300 };
    const bench = greeted({ session });
    bench.engine.chunks = chunks;
    bench.session.message(queryFrame(1, { aux: 1 }));
    bench.connection.take();
    const other = bench.connect();
    other.session.message(helloFrame());
    other.session.message(queryFrame(2, { aux: 1 }));
    assert.equal(other.connection.take().at(-1)?.error?.reason, "answer_queue");
    bench.connection.drop();
    assert.equal(bench.counters.queuedAnswerBytes, 0);
  });

  test("wait for a socket that is full, and go on after its drain", () => {
    const bench = greeted();
    bench.engine.chunks = chunks;
    bench.connection.bufferedBytes = 1 << 20;
    bench.session.message(queryFrame(1));
    assert.deepEqual(bench.connection.take(), []);
    bench.connection.bufferedBytes = 0;
    bench.session.drain();
    assert.deepEqual(bench.connection.take().map((answer) => answer.payload[0]), [1, 2, 3, 4]);
  });

  test("a stream that nobody takes ends at its deadline", () => {
    const bench = greeted();
    bench.engine.chunks = chunks;
    bench.session.message(queryFrame(1, { aux: 1, timeoutMs: 10 }));
    bench.connection.take();
    bench.clock.nowMs += 10;
    bench.deadlines.sweep();
    assertRefused(bench, "deadline_exceeded", "deadline", 1);
    assert.equal(bench.counters.queuedAnswerBytes, 0);
  });

  test("a query that runs past its deadline is ended in the middle", () => {
    const bench = greeted();
    bench.engine.chunks = chunks;
    bench.engine.beforeChunk = () => void (bench.clock.nowMs += 4);
    bench.session.message(queryFrame(1, { timeoutMs: 10 }));
    const answers = bench.connection.take();
    assert.deepEqual(answers.map((answer) => answer.error?.code), [undefined, undefined, "deadline_exceeded"]);
  });

  test("a cancelled stream answers cancelled and nothing more", () => {
    const bench = greeted();
    bench.engine.chunks = chunks;
    bench.session.message(queryFrame(1, { aux: 1 }));
    bench.connection.take();
    bench.session.message(frame({ opcode: OP.cancel, requestId: 1 }));
    assertRefused(bench, "cancelled", "cancelled", 1);
    bench.session.message(frame({ opcode: OP.credit, requestId: 1, aux: 1000 }));
    assert.deepEqual(bench.connection.take(), []);
  });

  test("a connection that overflows stops its producer", () => {
    const bench = greeted();
    bench.engine.chunks = chunks;
    bench.connection.sendResult = "overflow";
    bench.session.message(queryFrame(1));
    assert.equal(bench.session.isOpen, false);
    assert.equal(bench.session.inFlight, 0);
  });
});

describe("cancel and credit", () => {
  test("for requests that do not exist are ignored", () => {
    const bench = greeted();
    bench.session.message(frame({ opcode: OP.cancel, requestId: 77 }));
    bench.session.message(frame({ opcode: OP.credit, requestId: 77, aux: 5 }));
    assert.deepEqual(bench.connection.take(), []);
    assert.equal(bench.connection.closedWith, null);
  });
});

describe("writes", () => {
  const add = (requestId: number, payload = blockPayload()) =>
    frame({ opcode: OP.add_block, requestId, payload });

  test("of one turn go to main together and are answered with their own index", async () => {
    const bench = greeted();
    bench.main.nextIndex = 10;
    bench.session.message(add(1));
    const batch = encoded((sink: ByteSink) => encodeBlockBatch(sink, [BLOCK, BLOCK]));
    bench.session.message(frame({ opcode: OP.add_blocks, requestId: 2, payload: batch }));
    bench.session.message(add(3));
    assert.equal(bench.main.proposals.length, 0);
    await nextTurn();
    assert.equal(bench.main.proposals.length, 1);
    assert.equal(bench.main.proposals[0]?.proposal.count, 3);
    bench.main.acknowledge();
    const answers = bench.connection.take();
    assert.deepEqual(
      answers.map((answer) => [answer.requestId, decodeWriteReply(answer.payload).logIndex]),
      [[1, 10], [2, 11], [3, 12]],
    );
    assert.equal(bench.connection.corks, 1, "answers of a batch leave together");
    assert.equal(bench.writes.pendingBytes, 0);
  });

  test("a refused write leaves the others of its turn as they were", async () => {
    const bench = greeted();
    bench.session.message(add(1));
    bench.session.message(add(2, new Uint8Array([1, 2, 3])));
    bench.session.message(add(3));
    bench.connection.take();
    await nextTurn();
    const body = bench.main.proposals[0]?.proposal.body;
    const expected = encoded((sink) => {
      appendAddBlockEntry(sink, blockPayload());
      appendAddBlockEntry(sink, blockPayload());
    });
    assert.deepEqual(body, expected);
  });

  test("several connections share a batch and get their own answers", async () => {
    const bench = greeted();
    const other = bench.connect();
    other.session.message(helloFrame());
    other.connection.take();
    bench.session.message(add(1));
    other.session.message(add(1));
    await nextTurn();
    bench.main.acknowledge();
    assert.equal(decodeWriteReply(only(bench).payload).logIndex, 1);
    assert.equal(decodeWriteReply((other.connection.take()[0] as Answer).payload).logIndex, 2);
  });

  test("above the bound of what may wait they are refused, until main answers", async () => {
    const size = encoded((sink) => void appendAddBlockEntry(sink, blockPayload())).length;
    const bench = greeted({ pendingWriteMaxBytes: size });
    bench.session.message(add(1));
    bench.session.message(add(2));
    assertRefused(bench, "resource_exhausted", "write_backlog", 2);
    await nextTurn();
    bench.main.acknowledge();
    bench.connection.take();
    bench.session.message(add(3));
    assert.deepEqual(bench.connection.take(), []);
  });

  test("a refusal of main reaches every write of the batch", async () => {
    const bench = greeted();
    bench.session.message(add(1));
    bench.session.message(add(2));
    await nextTurn();
    const leader = { id: "n2", address: "host:4041" };
    const error = new HearthError("unavailable", "not leader", { reason: "not_leader", leader });
    bench.main.proposals[0]?.done({ ok: false, error });
    const answers = bench.connection.take();
    assert.equal(answers.length, 2);
    for (const answer of answers) assert.deepEqual(answer.error?.leader, leader);
  });

  test("a duplicate is a success, a command that cannot apply is not", async () => {
    const bench = greeted();
    bench.session.message(add(1));
    await nextTurn();
    bench.main.acknowledge(1);
    assert.equal(only(bench).error, null);
    bench.session.message(add(2));
    await nextTurn();
    bench.main.acknowledge(2);
    assertRefused(bench, "failed_precondition", "some_reason", 2);
  });

  test("whose time is up may still be applied; the late answer is dropped", async () => {
    const bench = greeted();
    bench.session.message(frame({ opcode: OP.add_block, requestId: 1, timeoutMs: 5, payload: blockPayload() }));
    await nextTurn();
    bench.clock.nowMs += 5;
    bench.deadlines.sweep();
    assertRefused(bench, "deadline_exceeded", "deadline", 1);
    bench.main.acknowledge();
    assert.deepEqual(bench.connection.take(), []);
  });

  test("go on when their connection closes", async () => {
    const bench = greeted();
    bench.session.message(add(1));
    bench.connection.drop();
    await nextTurn();
    assert.equal(bench.main.proposals.length, 1);
    bench.main.acknowledge();
    assert.equal(bench.writes.isBusy, false);
  });

  test("raw commands carry term and time, where they are allowed", async () => {
    const bench = greeted({ allowRawCommands: true });
    const payload = encoded((sink) => {
      beginCommandRequest(sink, { termAtLeast: 4, appendedAtMs: 99 });
      appendAddBlockEntry(sink, blockPayload());
      appendAddBlockEntry(sink, blockPayload());
    });
    bench.session.message(frame({ opcode: OP.command, requestId: 1, payload }));
    const proposal = bench.main.proposals[0]?.proposal;
    assert.equal(proposal?.termAtLeast, 4);
    assert.equal(proposal?.appendedAtMs, 99);
    assert.equal(proposal?.count, 2);
    bench.main.acknowledge();
    assert.equal(decodeWriteReply(only(bench).payload).logIndex, 2, "the index of the last entry");
  });
});

test("inspection answers in JSON", () => {
  const bench = greeted({ allowRawCommands: true });
  const question = '{"op":"tombstone_exists","tenant":"a","shard":1,"block":"b"}';
  const payload = encoded((sink) => encodeJsonMessage(sink, question));
  bench.session.message(frame({ opcode: OP.inspect, requestId: 1, payload }));
  assert.match(Buffer.from(only(bench).payload).toString(), /\{"result":true\}/);
});

test("requests are counted by operation and code", () => {
  const bench = greeted();
  bench.session.message(queryFrame(1));
  bench.session.message(queryFrame(2, { payload: new Uint8Array(3) }));
  const { requests, durations } = bench.counters.snapshot();
  assert.deepEqual(
    requests.filter(({ route }) => route === "query_metadata"),
    [
      { route: "query_metadata", code: 0, count: 1 },
      { route: "query_metadata", code: 3, count: 1 },
    ],
  );
  assert.equal(durations.find(({ route }) => route === "query_metadata")?.count, 2);
});

test("a query with the selector of the frame reaches the engine", () => {
  const bench = greeted();
  bench.session.message(queryFrame(1, { payload: queryPayload('{a="b"}') }));
  assert.equal(bench.engine.calls, 1);
});

function withByte(bytes: Uint8Array, position: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[position] = value;
  return copy;
}
