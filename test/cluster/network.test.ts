/** Members that find each other, keep one connection per pair, and get it back. Real sockets on 127.0.0.1. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { HearthError } from "../../src/base/index.ts";
import { MESSAGE, type Message } from "../../src/raft/index.ts";
import { entriesBody } from "../log/support/log-harness.ts";
import { findFreePorts } from "../support/ports.ts";
import { untilTrue } from "../support/until.ts";
import { closeAll, errorOf, heartbeat, joinMesh, startMesh, TestNode } from "./support.ts";

function append(from: string, to: string, firstIndex: number, payloadBytes: number): Message {
  const body = entriesBody(firstIndex, 1, payloadBytes);
  const batch = { kind: 1, firstIndex, term: 1, appendedAtMs: 7, count: 1 } as const;
  return {
    kind: MESSAGE.append,
    from,
    to,
    term: 1,
    previousIndex: firstIndex - 1,
    previousTerm: firstIndex === 1 ? 0 : 1,
    batches: [{ ...batch, body, bodyBytes: body.length }],
    commitIndex: 0,
  };
}

test("members that dial each other at once keep one connection per pair", async () => {
  for (let round = 0; round < 20; round++) {
    const nodes = await startMesh(["a", "b", "c"]);
    for (const node of nodes) {
      for (const other of nodes) {
        if (node !== other) node.network.send(heartbeat(node.id, other.id, round));
      }
    }
    await untilTrue(() => nodes.every(({ messages }) => messages.length === 2));
    for (const { unreachable } of nodes) assert.deepEqual(unreachable, [], `round ${round}`);
    await untilTrue(() => nodes.every(({ sockets }) => sockets.openCount === 2));
    await closeAll(nodes);
  }
});

test("messages arrive in order and whole, small ones and large ones", async () => {
  const [a, b] = (await startMesh(["a", "b"])) as [TestNode, TestNode];
  const sent: Message[] = [];
  for (let i = 1; i <= 300; i++) {
    const payloadBytes = i % 50 === 0 ? 1_000_000 : i * 7;
    sent.push(i % 3 === 0 ? heartbeat("a", "b", i) : append("a", "b", i, payloadBytes));
  }
  for (const message of sent) a.network.send(message);
  await untilTrue(() => b.messages.length === sent.length);
  for (const [i, message] of b.messages.entries()) assert.deepEqual(message, sent[i], `${i}`);
  for (const message of b.messages) {
    if (message.kind !== MESSAGE.append) continue;
    for (const { body } of message.batches) assert.equal(body.byteOffset % 8, 0);
  }
  assert.deepEqual(a.unreachable, []);
  await closeAll([a, b]);
});

test("a small batch does not hold on to a large receive buffer", async () => {
  const [a, b] = (await startMesh(["a", "b"])) as [TestNode, TestNode];
  for (let i = 1; i <= 100; i++) a.network.send(append("a", "b", i, 100));
  await untilTrue(() => b.messages.length === 100);
  for (const message of b.messages) {
    assert.ok(message.kind === MESSAGE.append);
    for (const { body } of message.batches) assert.ok(body.buffer.byteLength < 600);
  }
  await closeAll([a, b]);
});

test("requests are answered over the connection of the pair, errors with all they say", async () => {
  const [a, b] = (await startMesh(["a", "b"])) as [TestNode, TestNode];
  const body = Uint8Array.from([1, 2, 3]);
  const answer = await a.ask(b, body);
  assert.ok(answer.ok);
  assert.deepEqual(answer.body, body);
  assert.equal(answer.body.byteOffset % 8, 0);
  assert.equal(b.requests[0]?.from.serverId, "server-a");
  b.onRequest = (_request, reply) => {
    const leader = { id: "server-c", address: "10.0.0.3:9099" };
    const details = { reason: "not_leader", next: "Ask server-c", leader, retryAfterMs: 100 };
    reply({ ok: false, error: new HearthError("unavailable", "This node does not lead", details) });
  };
  const error = errorOf(await a.ask(b));
  assert.equal(error.code, "unavailable");
  assert.equal(error.message, "This node does not lead");
  assert.equal(error.reason, "not_leader");
  assert.equal(error.next, "Ask server-c");
  assert.deepEqual(error.leader, { id: "server-c", address: "10.0.0.3:9099" });
  assert.equal(error.retryAfterMs, 100);
  assert.equal(error.sent, "yes");
  await closeAll([a, b]);
});

test("an address is asked before anything is known of who is there", async () => {
  const a = await TestNode.start("a", { introduction: { clusterId: "" } });
  const b = await TestNode.start("b");
  const answer = await a.ask(b.address, Uint8Array.from([9]));
  assert.ok(answer.ok);
  assert.deepEqual([...answer.body], [9]);
  assert.equal(b.requests[0]?.from.nodeId, "a");
  assert.equal(a.isConnectedTo("b"), false);
  const own = errorOf(await a.ask(a.address));
  assert.equal(own.reason, "is_self");
  assert.equal(own.sent, "no");
  const nobody = errorOf(await a.ask("127.0.0.1:1"));
  assert.equal(nobody.reason, "refused");
  assert.equal(nobody.sent, "no");
  assert.match(nobody.message, /connection refused/);
  assert.equal(errorOf(await a.ask("nonsense")).reason, "bad_address");
  await closeAll([a, b]);
});

test("a node without a cluster learns it from the member that counts it in, then gets messages", async () => {
  const leader = await TestNode.start("a");
  const newcomer = await TestNode.start("b", { introduction: { clusterId: "" } });
  leader.network.setMembers([leader.member, newcomer.member]);
  await untilTrue(() => newcomer.introduced.length > 0);
  assert.equal(newcomer.introduced[0]?.clusterId, "c1");
  leader.network.send(heartbeat("a", "b"));
  await untilTrue(() => leader.unreachable.length === 1);
  newcomer.introduce({ clusterId: "c1" });
  await untilTrue(() => leader.introduced.at(-1)?.clusterId === "c1");
  leader.network.send(heartbeat("a", "b"));
  await untilTrue(() => newcomer.messages.length === 1);
  newcomer.network.send(heartbeat("b", "a"));
  await untilTrue(() => leader.messages.length === 1);
  await closeAll([leader, newcomer]);
});

test("a peer that comes back is connected again, and its lost messages were reported", async () => {
  // A port that nobody else is given while it is free.
  const [listenPort = 0] = await findFreePorts(1);
  const a = await TestNode.start("a");
  const b = await TestNode.start("b", { options: { listenPort } });
  await joinMesh([a, b]);
  await b.network.close();
  await untilTrue(() => a.unreachable.length === 1 && !a.isConnectedTo("b"));
  a.network.send(heartbeat("a", "b"));
  await untilTrue(() => a.unreachable.length === 2);
  await untilTrue(() => a.problemOf("b") === "connection refused");
  const error = errorOf(await a.ask(b));
  assert.equal(error.code, "unavailable");
  assert.equal(error.reason, "refused");
  assert.equal(error.sent, "no");
  const again = new TestNode("b", { options: { listenPort } });
  again.port = await again.network.listen();
  await untilTrue(() => a.isConnectedTo("b"));
  a.network.send(heartbeat("a", "b", 5));
  await untilTrue(() => again.messages.length === 1);
  assert.equal(a.problemOf("b"), null);
  await closeAll([a, again]);
});

test("a request in flight when its peer stops is answered: it may have been done", async () => {
  const [a, b] = (await startMesh(["a", "b"])) as [TestNode, TestNode];
  b.onRequest = () => {};
  const asked = a.ask(b);
  await untilTrue(() => b.requests.length === 1);
  await b.network.close();
  const error = errorOf(await asked);
  assert.equal(error.code, "unavailable");
  assert.equal(error.sent, "maybe");
  await a.network.close();
});

test("a request has its deadline and can be cancelled", async () => {
  const [a, b] = (await startMesh(["a", "b"])) as [TestNode, TestNode];
  b.onRequest = () => {};
  const late = errorOf(await a.ask(b, new Uint8Array(0), 30));
  assert.equal(late.code, "deadline_exceeded");
  assert.equal(late.sent, "maybe");
  const cancel = new AbortController();
  const options = { timeoutMs: 60_000, signal: cancel.signal };
  const asked = a.network.request({ nodeId: "b" }, 1, new Uint8Array(0), options);
  await untilTrue(() => b.requests.length === 2);
  cancel.abort();
  assert.equal(errorOf(await asked).code, "cancelled");
  await closeAll([a, b]);
});

test("round trips are measured and bytes counted", async () => {
  const [a, b] = (await startMesh(["a", "b"])) as [TestNode, TestNode];
  await untilTrue(() => (a.network.peers()[0]?.roundTripMs ?? null) !== null);
  const status = a.network.peers()[0];
  assert.ok(status !== undefined && status.roundTripMs !== null && status.roundTripMs < 60_000);
  assert.ok(status.sentBytes > 0 && status.receivedBytes > 0);
  assert.equal(status.introduction?.serverId, "server-b");
  assert.ok(a.network.stats.sentBytes >= status.sentBytes);
  await closeAll([a, b]);
});

test("a member that was removed is let go once it is quiet", async () => {
  const nodes = await startMesh(["a", "b"], { options: { idleMs: 60 } });
  const [a, b] = nodes as [TestNode, TestNode];
  a.network.setMembers([a.member]);
  b.network.setMembers([b.member]);
  await untilTrue(() => a.network.peers().length === 0 && b.network.peers().length === 0);
  await closeAll(nodes);
});
