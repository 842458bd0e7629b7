/** Forwarded writes on the connection that Raft messages need: what is sent of them, what is held back, what becomes of it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type AnswerPeer, PEER_CALL, type PeerAnswer } from "../../src/cluster/index.ts";
import { untilTrue } from "../support/until.ts";
import { closeAll, errorOf, heartbeat, startMesh, type TestNode } from "./support.ts";

const KIB = 1024;
const OPTIONS = { writeWindowBytes: 256 * KIB, requestQueueMaxBytes: 1024 * KIB };

interface Bench {
  readonly follower: TestNode;
  readonly leader: TestNode;
  /** Writes that the leader has and has not answered, oldest first: their first byte, and how. */
  readonly taken: { readonly number: number; readonly answer: AnswerPeer }[];
  write(number: number, bytes: number, timeoutMs?: number): Promise<PeerAnswer>;
}

async function start(): Promise<Bench> {
  const [follower, leader] = (await startMesh(["a", "b"], { options: OPTIONS })) as [
    TestNode,
    TestNode,
  ];
  const taken: Bench["taken"] = [];
  leader.onRequest = ({ body }, answer) => taken.push({ number: body[0] as number, answer });
  const write = (number: number, bytes: number, timeoutMs = 60_000): Promise<PeerAnswer> => {
    const body = new Uint8Array(bytes).fill(number);
    return follower.network.request({ nodeId: "b" }, PEER_CALL.propose, body, { timeoutMs });
  };
  return { follower, leader, taken, write };
}

const DONE: PeerAnswer = { ok: true, body: new Uint8Array(8) };

test("messages overtake writes that are held back, and never wait behind more than the window", async (t) => {
  const { follower, leader, taken, write } = await start();
  t.after(() => closeAll([follower, leader]));
  const answers = Array.from({ length: 8 }, (_, i) => write(i, 100 * KIB));
  for (const round of [1, 2, 3]) follower.network.send(heartbeat("a", "b", round));
  await untilTrue(() => leader.messages.length === 3);
  const rounds = leader.messages.map((message) => "commitIndex" in message && message.commitIndex);
  assert.deepEqual(rounds, [1, 2, 3], "messages stay in order");
  const numbers: number[] = [];
  for (let i = 0; i < 8; i++) {
    await untilTrue(() => taken.length > 0);
    assert.ok(taken.length <= 2, `${taken.length} writes of 100 KiB are in a window of 256`);
    const next = taken.shift();
    numbers.push(next?.number ?? -1);
    next?.answer(DONE);
  }
  assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7], "writes stay in order, none is dropped");
  for (const answer of await Promise.all(answers)) assert.ok(answer.ok);
});

test("a write that is larger than the window is sent alone", async (t) => {
  const { follower, leader, taken, write } = await start();
  t.after(() => closeAll([follower, leader]));
  const answers = [write(1, 8), write(2, 300 * KIB), write(3, 8)];
  for (const number of [1, 2, 3]) {
    await untilTrue(() => taken.length > 0);
    assert.deepEqual(
      taken.map((each) => each.number),
      [number],
    );
    taken.shift()?.answer(DONE);
  }
  for (const answer of await Promise.all(answers)) assert.ok(answer.ok);
});

test("a write that is out of time before it is sent has certainly not happened, and its place is free", async (t) => {
  const { follower, leader, taken, write } = await start();
  t.after(() => closeAll([follower, leader]));
  const first = write(1, 200 * KIB);
  const late = errorOf(await write(2, 200 * KIB, 20));
  assert.deepEqual([late.code, late.sent], ["deadline_exceeded", "no"]);
  const third = write(3, 200 * KIB);
  await untilTrue(() => taken.length > 0);
  taken.shift()?.answer(DONE);
  assert.ok((await first).ok);
  await untilTrue(() => taken.length > 0);
  assert.equal(taken[0]?.number, 3);
  taken.shift()?.answer(DONE);
  assert.ok((await third).ok);
});

test("a write that was given up keeps its place until the peer has answered: it is on the wire", async (t) => {
  const { follower, leader, taken, write } = await start();
  t.after(() => closeAll([follower, leader]));
  const late = errorOf(await write(1, 200 * KIB, 20));
  assert.deepEqual([late.code, late.sent], ["deadline_exceeded", "maybe"]);
  const second = errorOf(await write(2, 200 * KIB, 20));
  assert.equal(second.sent, "no");
  await untilTrue(() => taken.length > 0);
  taken.shift()?.answer(DONE);
  void write(3, 200 * KIB);
  await untilTrue(() => taken.length > 0);
  assert.equal(taken[0]?.number, 3);
});

test("above the bound writes are refused, small requests are not held back, and a lost connection tells all", async (t) => {
  const { follower, leader, taken, write } = await start();
  t.after(() => closeAll([follower, leader]));
  const answers = Array.from({ length: 5 }, (_, i) => write(i, 200 * KIB));
  const refused = errorOf(await write(5, 400 * KIB));
  assert.deepEqual([refused.code, refused.sent], ["resource_exhausted", "no"]);
  await untilTrue(() => taken.length === 1);
  void follower.ask(leader, new Uint8Array([99]));
  await untilTrue(() => taken.length === 2);
  assert.equal(taken[1]?.number, 99);
  leader.sockets.cut();
  const sent = (await Promise.all(answers)).map((answer) => errorOf(answer).sent);
  assert.deepEqual(sent, ["maybe", ...new Array<string>(4).fill("no")]);
});
