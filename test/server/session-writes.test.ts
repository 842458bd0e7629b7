/** Writes on a session: gathered, checked, bounded, answered. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import {
  appendAddBlockEntry,
  beginCommandRequest,
  beginSessionWrite,
  type ByteSink,
  COMMAND,
  decodeSessionEntry,
  decodeWriteReply,
  encodeBlockBatch,
  iterateEntries,
  OP,
} from "../../src/protocol/index.ts";
import {
  type Answer,
  assertRefused,
  BLOCK,
  blockPayload,
  encoded,
  frame,
  greeted,
  helloFrame,
  nextTurn,
  only,
} from "./support.ts";

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
      [
        [1, 10],
        [2, 11],
        [3, 12],
      ],
    );
    assert.equal(bench.connection.corks, 1, "answers of a batch leave together");
    assert.equal(bench.writes.pendingBytes, 0);
  });

  test("a write of a session stands in the log in its envelope, checked like any other", async () => {
    const bench = greeted();
    const numbers = { sessionId: 7, sequence: 3, ackedThrough: 2 };
    const inSession = (requestId: number, payload: Uint8Array, opcode: 2 | 3 = OP.add_block) =>
      frame({
        opcode: OP.session_write,
        requestId,
        payload: encoded((sink: ByteSink) => {
          beginSessionWrite(sink, { ...numbers, opcode });
          sink.append(payload);
        }),
      });
    const batch = encoded((sink: ByteSink) => encodeBlockBatch(sink, [BLOCK]));
    bench.session.message(frame({ opcode: OP.open_session, requestId: 1 }));
    bench.session.message(inSession(2, blockPayload()));
    bench.session.message(inSession(3, batch, OP.add_blocks));
    bench.session.message(inSession(4, new Uint8Array([1, 2, 3])));
    assertRefused(bench, "invalid_argument", "bad_structure", 4);
    const other = frame({
      opcode: OP.session_write,
      requestId: 5,
      payload: new Uint8Array(32).fill(0).fill(9, 24, 25),
    });
    bench.session.message(other);
    assert.equal(bench.connection.take().length, 1, "an operation that cannot stand in a session");
    await nextTurn();
    const { body, count } = bench.main.proposals[0]?.proposal ?? assert.fail("nothing proposed");
    assert.equal(count, 3);
    const found: unknown[] = [];
    iterateEntries(body, body.length, (command, _version, offset, length) => {
      if (command === COMMAND.openSession) return found.push(["open", length]);
      const { sessionId, sequence, ackedThrough, ...inner } = decodeSessionEntry(
        body,
        offset,
        length,
      );
      return found.push([inner.command, sessionId, sequence, ackedThrough]);
    });
    const entry = [COMMAND.addBlocks, 7, 3, 2];
    assert.deepEqual(found, [["open", 0], entry, entry]);
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

  test("main is told until when somebody waits for any write of a batch", async () => {
    const bench = greeted();
    for (const [requestId, timeoutMs] of [
      [1, 100],
      [2, 400],
      [3, 200],
    ] as const)
      bench.session.message(
        frame({ opcode: OP.add_block, requestId, timeoutMs, payload: blockPayload() }),
      );
    await nextTurn();
    bench.session.message(
      frame({ opcode: OP.add_block, requestId: 4, timeoutMs: 50, payload: blockPayload() }),
    );
    await nextTurn();
    const deadlines = bench.main.proposals.map(({ proposal }) => proposal.deadlineAtMs);
    assert.deepEqual(deadlines, [bench.clock.nowMs + 400, bench.clock.nowMs + 50]);
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

  test("one that is larger than the bound is taken while less waits", async () => {
    const bench = greeted({ pendingWriteMaxBytes: 1 });
    bench.session.message(add(1));
    bench.session.message(add(2));
    assertRefused(bench, "resource_exhausted", "write_backlog", 2);
    await nextTurn();
    assert.equal(bench.main.proposals.length, 1);
    bench.main.acknowledge();
    assert.equal(only(bench).requestId, 1);
  });

  test("above the number of those that may wait they are refused, however small they are", async () => {
    const bench = greeted({ pendingWritesMax: 3 });
    for (const id of [1, 2, 3]) bench.session.message(add(id));
    await nextTurn();
    bench.session.message(add(4));
    assertRefused(bench, "resource_exhausted", "write_backlog", 4);
    bench.main.acknowledge();
    assert.equal(bench.connection.take().length, 3);
    for (const id of [5, 6, 7, 8]) bench.session.message(add(id));
    const [refused] = bench.connection.take();
    assert.equal(refused?.requestId, 8);
    assert.equal(refused?.error?.reason, "write_backlog");
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
    bench.session.message(
      frame({ opcode: OP.add_block, requestId: 1, timeoutMs: 5, payload: blockPayload() }),
    );
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
