/** Several frames in one message: what a session makes of them, and how its answers leave. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  BUNDLE_MAX_BYTES,
  BUNDLED_FRAME_MAX_BYTES,
  decodeHelloReply,
  OP,
} from "../../src/protocol/index.ts";
import { deliver } from "../../src/server/deliver.ts";
import { GATHER_MAX_MS } from "../../src/server/limits.ts";
import {
  type Answer,
  type Bench,
  blockPayload,
  bundleOf,
  createBench,
  frame,
  helloFrame,
  lookUpFrame,
  nextTurn,
  queryFrame,
  ULID_A,
  ULID_B,
} from "./support.ts";

/** A session whose peer takes bundles of that many bytes. */
function bundling(bundleMaxBytes = BUNDLE_MAX_BYTES): Bench {
  const bench = createBench();
  bench.session.message(helloFrame(1, 0, false, bundleMaxBytes));
  bench.connection.take();
  bench.connection.messages = 0;
  return bench;
}

function idsOf(answers: readonly Answer[]): number[] {
  return answers.map(({ requestId }) => requestId);
}

const ping = (requestId: number): Uint8Array => frame({ opcode: OP.ping, requestId });
const addBlock = (requestId: number): Uint8Array =>
  frame({ opcode: OP.add_block, requestId, payload: blockPayload() });

describe("a bundle of requests", () => {
  test("is answered in one message, in order", () => {
    const bench = bundling();
    bench.session.message(bundleOf(ping(5), queryFrame(6), lookUpFrame(7, ULID_B), ping(8)));
    assert.equal(bench.connection.messages, 1);
    const answers = bench.connection.take();
    assert.deepEqual(idsOf(answers), [5, 6, 7, 8]);
    assert.ok(answers.every(({ error, isLast }) => error === null && isLast));
    assert.deepEqual(bench.engine.lookedUp, [ULID_B]);
    assert.equal(bench.session.inFlight, 0);
  });

  test("comes the way of look-ups, too, and from any place in memory", () => {
    const bench = bundling();
    const bytes = bundleOf(lookUpFrame(5, ULID_A), lookUpFrame(6, ULID_B));
    deliver(bench.session, new Uint8Array(bytes).buffer);
    const elsewhere = new Uint8Array(bytes.length + 3).subarray(3);
    elsewhere.set(bytes);
    bench.session.message(elsewhere);
    assert.deepEqual(bench.engine.lookedUp, [ULID_A, ULID_B, ULID_A, ULID_B]);
    assert.deepEqual(idsOf(bench.connection.take()), [5, 6, 5, 6]);
  });

  test("counts as its frames", () => {
    const bench = bundling();
    const before = bench.counters.framesReceived;
    bench.session.message(bundleOf(ping(5), lookUpFrame(6)));
    assert.equal(bench.counters.framesReceived, before + 2);
  });

  test("is answered message by message for a peer that takes none itself", () => {
    const bench = bundling(0);
    bench.session.message(bundleOf(ping(5), ping(6)));
    assert.equal(bench.connection.messages, 2);
    assert.deepEqual(idsOf(bench.connection.take()), [5, 6]);
  });

  test("may hold what is refused: the others are answered", () => {
    const bench = bundling();
    bench.session.message(bundleOf(ping(5), frame({ opcode: 99, requestId: 6 }), ping(7)));
    const answers = bench.connection.take();
    assert.deepEqual(
      answers.map(({ error }) => error?.reason ?? null),
      [null, "unknown_opcode", null],
    );
    assert.equal(bench.connection.messages, 1);
    assert.equal(bench.session.isOpen, true);
  });

  test("ends with a violation in it; what was answered before is sent first", () => {
    const bench = bundling();
    bench.session.message(bundleOf(ping(5), frame({ opcode: OP.ping, requestId: 0 }), ping(7)));
    const answers = bench.connection.take();
    assert.deepEqual(idsOf(answers), [5, 0]);
    assert.equal(answers[1]?.error?.reason, "request_id_zero");
    assert.equal(bench.connection.closedWith, 1002);
    // The thread's other peers go on.
    const other = bench.connect();
    other.session.message(helloFrame(1, 0, false, BUNDLE_MAX_BYTES));
    other.session.message(bundleOf(ping(2), ping(3)));
    assert.equal(other.connection.messages, 2);
  });

  const damaged = bundleOf(ping(5), ping(6));
  damaged[12] = 3;
  const cases: [string, Uint8Array][] = [
    ["that is damaged", damaged],
    ["in another one", bundleOf(bundleOf(ping(5), ping(6)), ping(7))],
  ];
  for (const [name, message] of cases) {
    test(`${name} ends the connection, and has no effect`, () => {
      const bench = bundling();
      bench.session.message(message);
      const answers = bench.connection.take();
      assert.deepEqual(
        answers.map(({ requestId, error }) => [requestId, error?.reason]),
        [[0, "bad_bundle"]],
      );
      assert.equal(bench.connection.closedWith, 1002);
      assert.equal(bench.counters.snapshot().rejected.bad_bundle, 1);
    });
  }

  test("ahead of hello ends the connection", () => {
    const bench = createBench();
    bench.session.message(bundleOf(helloFrame(1), ping(2)));
    assert.equal(bench.connection.take()[0]?.error?.reason, "bad_bundle");
    assert.equal(bench.connection.closedWith, 1002);
  });
});

describe("answers to a peer that takes bundles", () => {
  test("hello says how large they may be", () => {
    const bench = createBench();
    bench.session.message(helloFrame(1, 0, false, BUNDLE_MAX_BYTES));
    const [answer] = bench.connection.take();
    const reply = decodeHelloReply((answer as Answer).payload);
    assert.equal(reply.bundleMaxBytes, BUNDLE_MAX_BYTES);
  });

  test("writes that main answers together leave together", async () => {
    const bench = bundling();
    bench.session.message(addBlock(5));
    bench.session.message(addBlock(6));
    await nextTurn();
    bench.main.acknowledge();
    assert.equal(bench.connection.messages, 1);
    assert.deepEqual(idsOf(bench.connection.take()), [5, 6]);
  });

  test("a request that comes alone is answered alone", () => {
    const bench = bundling();
    bench.session.message(ping(5));
    bench.session.message(ping(6));
    assert.equal(bench.connection.messages, 2);
  });

  test("a large answer travels alone, in its place", () => {
    const bench = bundling();
    bench.engine.chunks = [new Uint8Array(BUNDLED_FRAME_MAX_BYTES)];
    bench.session.message(bundleOf(ping(5), ping(6), queryFrame(7), ping(8), ping(9)));
    assert.equal(bench.connection.messages, 3);
    assert.deepEqual(idsOf(bench.connection.take()), [5, 6, 7, 8, 9]);
  });

  test("bundles keep to the size that the peer takes", () => {
    const bench = bundling(20_000);
    bench.engine.chunks = [new Uint8Array(9_000)];
    bench.session.message(bundleOf(...[5, 6, 7, 8, 9].map((id) => queryFrame(id))));
    assert.equal(bench.connection.messages, 3);
    assert.deepEqual(idsOf(bench.connection.take()), [5, 6, 7, 8, 9]);
  });

  test("an answer does not wait for long work behind it", () => {
    const bench = bundling();
    let sent = 0;
    bench.engine.beforeChunk = () => {
      sent = bench.connection.messages;
      bench.clock.pass(GATHER_MAX_MS);
    };
    bench.session.message(bundleOf(ping(5), queryFrame(6), queryFrame(7), ping(8)));
    assert.equal(sent, 1, "the first two left when the first query was over");
    assert.equal(bench.connection.messages, 3);
    assert.deepEqual(idsOf(bench.connection.take()), [5, 6, 7, 8]);
  });

  test("what another peer is sent meanwhile goes its own way", () => {
    const bench = bundling();
    const other = bench.connect();
    other.session.message(helloFrame(1, 0, false, BUNDLE_MAX_BYTES));
    other.connection.take();
    bench.engine.beforeChunk = () => other.session.message(bundleOf(ping(3), ping(4)));
    bench.session.message(bundleOf(ping(5), queryFrame(6), ping(7)));
    assert.deepEqual(idsOf(other.connection.take()), [3, 4]);
    assert.equal(bench.connection.messages, 1);
    assert.deepEqual(idsOf(bench.connection.take()), [5, 6, 7]);
  });

  test("a peer that takes no more is dropped, and nothing of its bundle is executed any more", () => {
    const bench = bundling(20_000);
    bench.engine.chunks = [new Uint8Array(15_000)];
    bench.connection.sendResult = "overflow";
    const ids = [5, 6, 7, 8, 9];
    bench.session.message(bundleOf(...ids.map((id) => queryFrame(id))));
    assert.equal(bench.session.isOpen, false);
    assert.equal(bench.engine.calls, 2, "the second answer pushed out the first one");
  });
});
