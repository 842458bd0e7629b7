/** Writes in a session: their numbers, what a repeat carries, and what is known when the session is gone. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SESSION_WINDOW_MAX } from "../../src/client/limits.ts";
import { decodeSessionWrite, OP } from "../../src/protocol/index.ts";
import { SESSION_LIMITS } from "../../src/session/index.ts";
import { type FakeRequest, refusal } from "./fake-server.ts";
import { failureOf, type Pair, startPair, type Teardown } from "./fixture.ts";

const BYTES = new Uint8Array(40);

/** Sessions are 100, 200, ...; every write is answered as told. */
async function start(t: Teardown, answer: (request: FakeRequest) => void): Promise<Pair> {
  const pair = await startPair(t, { exactlyOnce: true });
  let opened = 0;
  pair.server.script = (request) => {
    if (request.opcode !== OP.open_session) return answer(request);
    opened += 100;
    request.answerWrite({ logIndex: opened, term: 1 });
  };
  return pair;
}

function numbersOf(request: FakeRequest): readonly number[] {
  const { sessionId, sequence, ackedThrough } = decodeSessionWrite(request.payload);
  return [sessionId, sequence, ackedThrough];
}

function accept(request: FakeRequest): void {
  request.answerWrite({ logIndex: 1, term: 1 });
}

describe("exactly once", () => {
  it("writes are numbered, and say what is done without a gap", async (t) => {
    const { server, client } = await start(t, accept);
    for (let i = 0; i < 3; i++) await client.addBlock(BYTES);
    await client.addBlocks([BYTES]);
    const writes = server.received(OP.session_write);
    assert.deepEqual(writes.map(numbersOf), [
      [100, 1, 0],
      [100, 2, 1],
      [100, 3, 2],
      [100, 4, 3],
    ]);
    assert.deepEqual(
      writes.map(({ payload }) => decodeSessionWrite(payload).opcode),
      [OP.add_block, OP.add_block, OP.add_block, OP.add_blocks],
    );
    assert.equal(server.received(OP.open_session).length, 1);
  });

  it("a repeat has the number of the first attempt", async (t) => {
    let calls = 0;
    const { server, client } = await start(t, (request) => {
      calls += 1;
      if (calls === 1) request.fail(refusal("unavailable", { reason: "outcome_unknown" }));
      else accept(request);
    });
    await client.addBlock(BYTES);
    assert.deepEqual(server.received(OP.session_write).map(numbersOf), [
      [100, 1, 0],
      [100, 1, 0],
    ]);
  });

  it("a write that failed for good does not hold back those behind it", async (t) => {
    let calls = 0;
    const { server, client } = await start(t, (request) => {
      calls += 1;
      if (calls === 1) request.fail(refusal("invalid_argument"));
      else accept(request);
    });
    await failureOf(client.addBlock(BYTES));
    await client.addBlock(BYTES);
    assert.deepEqual(server.received(OP.session_write).map(numbersOf).at(-1), [100, 2, 1]);
  });

  it("no more numbers are open than the cluster takes", async (t) => {
    assert.equal(SESSION_WINDOW_MAX, SESSION_LIMITS.windowMax);
    const held: FakeRequest[] = [];
    const { server, client } = await start(t, (request) => held.push(request));
    const writes = Array.from({ length: SESSION_WINDOW_MAX + 2 }, () => client.addBlock(BYTES));
    await server.waitFor(OP.session_write, SESSION_WINDOW_MAX);
    const late = await failureOf(client.addBlock(BYTES, { timeoutMs: 20 }));
    assert.deepEqual([late.code, late.sent], ["deadline_exceeded", "no"]);
    assert.equal(held.length, SESSION_WINDOW_MAX);
    // The second one alone opens nothing: the first is still open.
    accept(held[1] as FakeRequest);
    await writes[1];
    assert.equal(held.length, SESSION_WINDOW_MAX);
    accept(held[0] as FakeRequest);
    await server.waitFor(OP.session_write, SESSION_WINDOW_MAX + 2);
    for (const request of held.slice(2)) accept(request);
    await Promise.all(writes);
  });

  it("a session that is gone is replaced when nothing can have happened", async (t) => {
    const { server, client } = await start(t, (request) => {
      if (numbersOf(request)[0] === 200) accept(request);
      else request.fail(refusal("failed_precondition", { reason: "session_expired" }));
    });
    await client.addBlock(BYTES);
    assert.deepEqual(server.received(OP.session_write).map(numbersOf), [
      [100, 1, 0],
      [200, 1, 0],
    ]);
  });

  it("and the outcome is unknown when an earlier attempt may have been executed", async (t) => {
    let calls = 0;
    const { client } = await start(t, (request) => {
      calls += 1;
      const isFirst = calls === 1;
      request.fail(
        isFirst
          ? refusal("unavailable", { reason: "outcome_unknown" })
          : refusal("failed_precondition", { reason: "session_expired" }),
      );
    });
    const error = await failureOf(client.addBlock(BYTES));
    assert.deepEqual([error.reason, error.sent], ["session_expired", "maybe"]);
  });

  it("a session that cannot be opened fails the writes that wait for it, and is tried again", async (t) => {
    const { server, client } = await startPair(t, { exactlyOnce: true });
    let isOpen = false;
    server.script = (request) => {
      if (request.opcode === OP.open_session && !isOpen) request.fail(refusal("internal"));
      else accept(request);
    };
    assert.equal((await failureOf(client.addBlock(BYTES))).code, "internal");
    isOpen = true;
    await client.addBlock(BYTES);
  });
});
