/** Reads on a session: when they are answered, and how long answers are streamed. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import {
  decodeTenantReply,
  decodeTenantsReply,
  decodeWriteReply,
  OP,
} from "../../src/protocol/index.ts";
import { SERVER_DEFAULTS } from "../../src/server/index.ts";
import { whenMemoryIsFreed } from "../support/freed-memory.ts";
import {
  assertRefused,
  frame,
  greeted,
  helloFrame,
  lookUpFrame,
  nextTurn,
  only,
  queryFrame,
  tenantPayload,
  ULID_A,
  ULID_B,
} from "./support.ts";

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
    bench.session.message(
      frame({ opcode: OP.get_tenants, requestId: 1, payload: tenantPayload("") }),
    );
    assert.deepEqual(decodeTenantsReply(only(bench).payload), {
      tenants: ["a", "b"],
      appliedIndex: 12,
    });
    bench.session.message(
      frame({ opcode: OP.get_tenant, requestId: 2, payload: tenantPayload("a") }),
    );
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
    bench.session.message(
      frame({ opcode: OP.get_tenants, requestId: 2, payload: tenantPayload("", "local") }),
    );
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
    assert.equal(bench.connection.take().length, 0);
    bench.engine.applied = 6;
    bench.progress.publish(6);
    await nextTurn();
    assert.equal(only(bench).error, null);
  });

  test("a read is given up when another state takes the place of the one it was promised", async () => {
    const bench = greeted();
    bench.progress.grant = 5;
    bench.session.message(queryFrame(1));
    bench.engine.applied = 3;
    // Published, but not in the transaction: the transaction decides, and waiting would not help.
    bench.progress.publish(5);
    await nextTurn();
    const { error } = only(bench);
    assert.deepEqual([error?.code, error?.reason], ["aborted", "state_replaced"]);
    assert.equal(bench.reads.waitingCount, 0);
  });

  test("look-ups of one turn share a grant until something is published", async () => {
    const bench = greeted();
    bench.progress.grant = 5;
    bench.engine.applied = 5;
    bench.session.message(lookUpFrame(1));
    bench.session.message(lookUpFrame(2));
    assert.deepEqual(
      bench.connection.take().map((answer) => answer.requestId),
      [1, 2],
    );
    assert.equal(bench.progress.grants, 1, "one grant for both");
    // A write is acknowledged in the middle of the turn, which the open transaction does not have.
    bench.progress.grant = 6;
    bench.progress.publish(5);
    bench.session.message(lookUpFrame(3));
    assert.equal(
      bench.connection.take().length,
      0,
      "the grant before the publish covers no later read",
    );
    bench.engine.applied = 6;
    bench.progress.publish(6);
    await nextTurn();
    assert.equal(only(bench).requestId, 3);
  });

  test("a grant that was withdrawn in the middle of a turn covers no later look-up", async () => {
    const bench = greeted();
    bench.session.message(lookUpFrame(1));
    assert.equal(only(bench).requestId, 1);
    bench.progress.grant = -1;
    bench.progress.publish(0);
    bench.session.message(lookUpFrame(2));
    assert.equal(bench.connection.take().length, 0);
    await nextTurn();
    bench.main.rounds[0]?.({ ok: true, index: 0, term: 1 });
    assert.equal(only(bench).requestId, 2);
  });

  test("a grant covers the transaction that it was compared with, and no other", async () => {
    const bench = greeted();
    bench.session.message(lookUpFrame(1));
    assert.equal(only(bench).requestId, 1);
    bench.progress.grant = 6;
    bench.session.message(queryFrame(2));
    bench.session.message(lookUpFrame(3));
    assert.equal(bench.connection.take().length, 0, "the query had the transaction renewed");
    bench.engine.applied = 6;
    bench.progress.publish(6);
    await nextTurn();
    assert.deepEqual(
      bench.connection.take().map((answer) => answer.requestId),
      [2, 3],
    );
  });

  test("a look-up that waits keeps its ids while others are decoded", async () => {
    const bench = greeted();
    bench.progress.grant = 5;
    bench.session.message(lookUpFrame(1, ULID_A));
    bench.session.message(lookUpFrame(2, ULID_B));
    bench.engine.applied = 5;
    bench.progress.publish(5);
    await nextTurn();
    assert.deepEqual(bench.engine.lookedUp, [ULID_A, ULID_B]);
  });

  test("a look-up that throws is answered with the error, and the next one in a new transaction", () => {
    const bench = greeted();
    bench.engine.failure = new HearthError("data_loss", "damaged", { reason: "damaged_entry" });
    bench.session.message(lookUpFrame(1));
    assertRefused(bench, "data_loss", "damaged_entry", 1);
    bench.engine.failure = null;
    bench.session.message(lookUpFrame(2));
    assert.equal(only(bench).error, null);
    assert.equal(bench.transactions.begun, 2);
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
    assert.deepEqual(
      bench.connection.take().map((answer) => answer.requestId),
      [1, 2, 3],
    );
    bench.main.rounds[1]?.({
      ok: false,
      error: new HearthError("unavailable", "no leader", { reason: "no_leader" }),
    });
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

  test("a follower that is too far behind refuses at once, a leader waits for itself", () => {
    for (const [distance, isLeader, isRefused] of [
      [10, false, false],
      [11, false, true],
      [11, true, false],
    ] as const) {
      const bench = greeted({ readIndexMaxDistance: 10 });
      bench.engine.applied = 5;
      bench.progress.grant = 5 + distance;
      bench.progress.isLeader = isLeader;
      bench.session.message(queryFrame(1));
      if (isRefused) assertRefused(bench, "unavailable", "too_far_behind", 1);
      else assert.deepEqual(bench.connection.take(), [], `${distance} ${isLeader}`);
    }
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
    assert.deepEqual(
      bench.connection.take().map((answer) => answer.payload[0]),
      [1, 2],
    );
    bench.session.message(frame({ opcode: OP.credit, requestId: 1, aux: 50 }));
    assert.deepEqual(bench.connection.take(), [], "the credit only pays the debt");
    bench.session.message(frame({ opcode: OP.credit, requestId: 1, aux: 1 }));
    assert.deepEqual(
      bench.connection.take().map((answer) => answer.payload[0]),
      [3],
    );
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
    assert.deepEqual(
      answers.map((answer) => answer.isLast),
      [false, true],
    );
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
    assert.deepEqual(
      bench.connection.take().map((answer) => answer.payload[0]),
      [1, 2, 3, 4],
    );
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
    bench.engine.beforeChunk = () => bench.clock.pass(4);
    bench.session.message(queryFrame(1, { timeoutMs: 10 }));
    const answers = bench.connection.take();
    assert.deepEqual(
      answers.map((answer) => answer.error?.code),
      [undefined, undefined, "deadline_exceeded"],
    );
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

  test("what was kept of an answer is given back as it leaves, and all of it when its asker has gone", async () => {
    const mib = 1024 * 1024;
    await whenMemoryIsFreed();
    const bench = greeted();
    bench.engine.chunks = [1, 2, 3, 4, 5].map((value) => new Uint8Array(mib).fill(value));
    const heldBytes = (): number => process.memoryUsage().arrayBuffers;
    bench.session.message(queryFrame(1, { aux: 1 }));
    bench.connection.take();
    const before = heldBytes();
    // Frames that arrived are copies, in the place of what left: nothing is freed by taking them.
    bench.session.message(frame({ opcode: OP.credit, requestId: 1, aux: 1 + mib }));
    const arrived = bench.connection.take();
    assert.deepEqual(
      arrived.map(({ payload }) => payload[mib - 1]),
      [2],
    );
    assert.ok(heldBytes() <= before + mib / 4, "the copy that was kept is gone");
    bench.connection.drop();
    assert.ok(before - heldBytes() >= 2.75 * mib, `${before} bytes, and ${heldBytes()} later`);
  });

  test("a connection that overflows while kept chunks leave releases each of them once", () => {
    const bench = greeted();
    bench.engine.chunks = chunks;
    bench.session.message(queryFrame(1, { aux: 1 }));
    bench.connection.sendResult = "overflow";
    bench.session.message(frame({ opcode: OP.credit, requestId: 1, aux: 1000 }));
    assert.equal(bench.counters.queuedAnswerBytes, 0);
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
