/** The protocol on a session: hello, violations, refusals, control frames. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import {
  decodeHelloReply,
  decodeLeaderNotice,
  encodeHello,
  encodeJsonMessage,
  OP,
} from "../../src/protocol/index.ts";
import { SERVER_DEFAULTS } from "../../src/server/index.ts";
import {
  type Answer,
  assertRefused,
  blockPayload,
  createBench,
  encoded,
  frame,
  greeted,
  helloFrame,
  lookUpFrame,
  nextTurn,
  only,
  queryFrame,
  queryPayload,
} from "./support.ts";

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

  test("names the leader, if it is known; peers that ask for it are told of the next one", () => {
    const bench = createBench();
    const leader = { id: "n2", address: "n2:4041", term: 4 };
    const next = { id: "n3", address: "n3:4041", term: 5 };
    bench.session.message(helloFrame(1, 0, true));
    assert.equal(decodeHelloReply(only(bench).payload).leader, null);
    const shy = bench.connect();
    bench.leaderNews.tell(leader);
    const notice = only(bench);
    assert.deepEqual(
      [notice.opcode, notice.requestId, notice.flags],
      [OP.leader_changed, 0, 0],
      "it answers no request",
    );
    assert.deepEqual(decodeLeaderNotice(notice.payload), leader);
    shy.session.message(helloFrame(1));
    const [reply] = shy.connection.take();
    assert.deepEqual(decodeHelloReply((reply as Answer).payload).leader, leader);
    bench.leaderNews.tell(null);
    bench.leaderNews.tell(next);
    assert.deepEqual(decodeLeaderNotice(only(bench).payload), next);
    assert.deepEqual(shy.connection.take(), [], "an older peer would not know the frame");
    bench.session.close();
    bench.leaderNews.tell(leader);
    assert.deepEqual(bench.connection.take(), []);
  });

  test("a peer that takes no more is dropped by the news, the others hear it", () => {
    const bench = createBench();
    bench.session.message(helloFrame(1, 0, true));
    const other = bench.connect();
    other.session.message(helloFrame(1, 0, true));
    bench.connection.sendResult = "overflow";
    other.connection.take();
    bench.leaderNews.tell({ id: "n2", address: "n2:4041", term: 4 });
    assert.equal(bench.session.isOpen, false);
    assert.equal(other.connection.take().length, 1);
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
    const versions = { protocolMin: 9, protocolMax: 9 };
    const wants = { dictionaryMaxBytes: 0, wantsLeader: false, bundleMaxBytes: 0 };
    const hello = { ...versions, name: "x", role: "tool", ...wants };
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
  const cases: [
    string,
    string,
    string,
    Parameters<typeof frame>[0],
    Parameters<typeof createBench>[0]?,
  ][] = [
    [
      "unknown flags",
      "invalid_argument",
      "unknown_flags",
      { opcode: OP.ping, requestId: 1, flags: 4 },
    ],
    ["opcode 0", "unimplemented", "unknown_opcode", { opcode: 0, requestId: 1 }],
    ["an unknown opcode", "unimplemented", "unknown_opcode", { opcode: 200, requestId: 1 }],
    [
      "delete tenant",
      "invalid_argument",
      "bad_structure",
      { opcode: OP.delete_tenant, requestId: 1 },
    ],
    ["an empty block", "invalid_argument", "bad_structure", { opcode: OP.add_block, requestId: 1 }],
    [
      "a garbage block",
      "invalid_argument",
      "bad_structure",
      { opcode: OP.add_block, requestId: 1, payload: garbage },
    ],
    [
      "a garbage batch",
      "invalid_argument",
      "too_many_blocks",
      { opcode: OP.add_blocks, requestId: 1, payload: garbage },
    ],
    [
      "no blocks",
      "invalid_argument",
      "no_blocks",
      { opcode: OP.add_blocks, requestId: 1, payload: new Uint8Array(8) },
    ],
    [
      "a garbage query",
      "invalid_argument",
      "bad_structure",
      { opcode: OP.query_metadata, requestId: 1, payload: garbage },
    ],
    [
      "a garbage label query",
      "invalid_argument",
      "bad_structure",
      { opcode: OP.query_metadata_labels, requestId: 1, payload: garbage },
    ],
    [
      "a garbage look-up",
      "invalid_argument",
      "bad_structure",
      { opcode: OP.get_block_metadata, requestId: 1, payload: garbage },
    ],
    [
      "a garbage tenant",
      "invalid_argument",
      "bad_structure",
      { opcode: OP.get_tenant, requestId: 1, payload: garbage },
    ],
    [
      "a raw command where none are taken",
      "permission_denied",
      "raw_commands_off",
      { opcode: OP.command, requestId: 1, payload: garbage },
    ],
    [
      "inspection where none is allowed",
      "permission_denied",
      "raw_commands_off",
      { opcode: OP.inspect, requestId: 1, payload: json("{}") },
    ],
    [
      "a garbage command",
      "invalid_argument",
      "bad_structure",
      { opcode: OP.command, requestId: 1, payload: garbage },
      raw,
    ],
    [
      "a command without entries",
      "invalid_argument",
      "bad_structure",
      { opcode: OP.command, requestId: 1, payload: new Uint8Array(16) },
      raw,
    ],
    [
      "inspection that is not JSON",
      "invalid_argument",
      "bad_inspect",
      { opcode: OP.inspect, requestId: 1, payload: json("{") },
      raw,
    ],
    [
      "inspection of a list",
      "invalid_argument",
      "bad_inspect",
      { opcode: OP.inspect, requestId: 1, payload: json("[]") },
      raw,
    ],
    [
      "an unknown inspection",
      "invalid_argument",
      "bad_inspect",
      { opcode: OP.inspect, requestId: 1, payload: json('{"op":"x"}') },
      raw,
    ],
    [
      "an inspection with a bad time",
      "invalid_argument",
      "bad_inspect",
      { opcode: OP.inspect, requestId: 1, payload: json('{"op":"list_tombstones","before":"x"}') },
      raw,
    ],
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
    bench.engine.failure = new HearthError("invalid_argument", "Bad selector", {
      reason: "selector",
    });
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
      bench.session.message(
        frame({ opcode: OP.add_block, requestId: id, payload: blockPayload() }),
      );
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

describe("a look-up as words", () => {
  const words = (requestId: number): Int32Array => new Int32Array(lookUpFrame(requestId).buffer);

  test("is answered in its handler and counted as any other request", () => {
    const bench = greeted();
    const before = bench.counters.framesReceived;
    for (const id of [5, 6, 5]) {
      assert.equal(bench.session.maybeAnswer(words(id)), true);
      const answer = only(bench);
      assert.equal(answer.requestId, id);
      assert.equal(answer.opcode, OP.get_block_metadata);
      assert.deepEqual([...answer.payload], [1, 2, 3]);
    }
    assert.equal(bench.session.inFlight, 0);
    assert.equal(bench.counters.framesReceived, before + 3);
    const counted = bench.counters.snapshot().requests;
    assert.equal(counted.find(({ route }) => route === "get_block_metadata")?.count, 3);
  });

  test("that fails is answered with the error", () => {
    const bench = greeted();
    bench.engine.failure = new HearthError("data_loss", "damaged", { reason: "damaged_entry" });
    assert.equal(bench.session.maybeAnswer(words(2)), true);
    assertRefused(bench, "data_loss", "damaged_entry", 2);
  });

  test("that has to be refused or has to wait is left alone", async () => {
    const shy = createBench();
    assert.equal(shy.session.maybeAnswer(words(1)), false, "before hello");
    const bench = greeted({ session: { ...SERVER_DEFAULTS.session, inFlightMax: 1 } });
    assert.equal(bench.session.maybeAnswer(words(0)), false, "request id 0");
    bench.isStopping = true;
    assert.equal(bench.session.maybeAnswer(words(2)), false, "stopping");
    bench.isStopping = false;
    bench.progress.grant = 5;
    assert.equal(bench.session.maybeAnswer(words(2)), false, "not applied yet");
    bench.progress.grant = -1;
    bench.progress.publish(0);
    assert.equal(bench.session.maybeAnswer(words(2)), false, "no grant");
    assert.equal(bench.session.inFlight, 0);
    assert.equal(bench.engine.calls, 0);
    bench.session.message(lookUpFrame(2));
    assert.equal(bench.session.inFlight, 1);
    bench.progress.grant = 0;
    bench.progress.publish(0);
    assert.equal(bench.session.maybeAnswer(words(2)), false, "an id in flight");
    assert.equal(bench.session.maybeAnswer(words(3)), false, "too many in flight");
    assert.equal(bench.connection.take().length, 0);
    await nextTurn();
    bench.main.rounds[0]?.({ ok: true, index: 0, term: 1 });
    assert.equal(only(bench).requestId, 2);
    bench.connection.drop();
    assert.equal(bench.session.maybeAnswer(words(4)), false, "closed");
    assert.equal(shy.connection.take().length, 0);
  });

  test("whose asker has no credit left is kept, and the next one does not disturb it", () => {
    const bench = greeted();
    bench.engine.chunks = [new Uint8Array([1]), new Uint8Array([2])];
    const first = words(1);
    first[3] = 1;
    assert.equal(bench.session.maybeAnswer(first), true);
    assert.deepEqual([...only(bench).payload], [1]);
    assert.equal(bench.session.inFlight, 1);
    assert.equal(bench.session.maybeAnswer(words(2)), true);
    assert.deepEqual(
      bench.connection.take().map(({ requestId, isLast }) => [requestId, isLast]),
      [
        [2, false],
        [2, true],
      ],
    );
    bench.session.message(frame({ opcode: OP.credit, requestId: 1, aux: 10 }));
    const rest = only(bench);
    assert.deepEqual([rest.requestId, rest.isLast, ...rest.payload], [1, true, 2]);
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
  const ofQuery = durations.filter(({ route }) => route === "query_metadata");
  assert.deepEqual(
    ofQuery.map(({ outcome, count }) => [outcome, count]),
    [
      ["success", 1],
      ["error", 1],
    ],
  );
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
