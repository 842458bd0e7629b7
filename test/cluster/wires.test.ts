/** What wires do: silence, one direction only, readers that do not read. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { untilTrue } from "../support/until.ts";
import { Wire } from "./proxy.ts";
import { closeAll, heartbeat, QUICK, TestNode } from "./support.ts";

/** An answer comes within a few turns; a busy machine takes longer than an interval for each. */
const IMPATIENT = {
  handshakeTimeoutMs: 1_000,
  pingIntervalMs: 20,
  silentPingsMax: 15,
  lostPingsMax: 30,
};

/** Two members; "a" dials "b" through a wire, and "b" never dials. */
async function startThroughWire(options = {}): Promise<[TestNode, TestNode, Wire]> {
  const settings = { options: { ...IMPATIENT, ...options } };
  const [a, b] = [await TestNode.start("a", settings), await TestNode.start("b", settings)];
  const wire = await Wire.open(() => b.port);
  // By its own word, too, "b" is behind the wire: "a" would go around it when it is dead.
  b.introduce({ addresses: { ...b.introduction.addresses, peer: wire.address } });
  a.network.setMembers([a.member, { ...b.member, address: wire.address }]);
  await untilTrue(() => a.isConnectedTo("b") && b.isConnectedTo("a"));
  return [a, b, wire];
}

test("a wire that goes dead is noticed by both ends, and said in words", async (t) => {
  const [a, b, wire] = await startThroughWire();
  t.after(() => Promise.all([closeAll([a, b]), wire.close()]));
  wire.holdsForward = true;
  wire.holdsBackward = true;
  await untilTrue(() => !a.isConnectedTo("b") && !b.isConnectedTo("a"));
  assert.deepEqual(a.unreachable, ["b"]);
  assert.deepEqual(b.unreachable, ["a"]);
  assert.match(b.problemOf("a") ?? "gone", /gone|nothing arrives/);
  // The port answers, the node behind it does not: the next dial says so.
  await untilTrue(() => /no hello arrives within/.test(a.problemOf("b") ?? ""));
  wire.mend();
  await untilTrue(() => a.isConnectedTo("b"));
});

test("a wire that carries one direction only is given up, too", async (t) => {
  const [a, b, wire] = await startThroughWire();
  t.after(() => Promise.all([closeAll([a, b]), wire.close()]));
  wire.holdsForward = true;
  const chatter = setInterval(() => b.network.send(heartbeat("b", "a")), 5);
  t.after(() => clearInterval(chatter));
  await untilTrue(() => a.network.stats.closed.silent > 0 || b.network.stats.closed.silent > 0);
  await untilTrue(() => a.unreachable.length > 0 && b.unreachable.length > 0);
});

test("a process that was stopped for long does not give its peers up for that", async (t) => {
  const [a, b, wire] = await startThroughWire();
  t.after(() => Promise.all([closeAll([a, b]), wire.close()]));
  // Twice the silence that is allowed, in one turn of both.
  const endMs = performance.now() + 2 * IMPATIENT.pingIntervalMs * IMPATIENT.silentPingsMax;
  while (performance.now() < endMs);
  await new Promise((resolve) => setTimeout(resolve, 4 * IMPATIENT.pingIntervalMs));
  assert.deepEqual([...a.unreachable, ...b.unreachable], []);
});

test("a peer that does not read is cut off, never skipped", async (t) => {
  const sendQueueMaxBytes = QUICK.sendQueueMaxBytes;
  const [a, b, wire] = await startThroughWire({ silentPingsMax: 1_000, lostPingsMax: 1_000 });
  t.after(() => Promise.all([closeAll([a, b]), wire.close()]));
  wire.pause();
  const message = chunk("a", "b", 1024 * 1024);
  let queuedMaxBytes = 0;
  for (let i = 0; a.unreachable.length === 0; i++) {
    assert.ok(i < 1_000, "the queue has no bound");
    a.network.send(message);
    queuedMaxBytes = Math.max(queuedMaxBytes, a.network.peers()[0]?.queuedBytes ?? 0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(a.network.stats.closed.overflow, 1);
  assert.ok(queuedMaxBytes <= sendQueueMaxBytes, `${queuedMaxBytes}`);
  assert.deepEqual(a.unreachable, ["b"]);
  wire.mend();
  await untilTrue(() => a.isConnectedTo("b"));
  // What came before the gap came whole and in order; what comes after it comes over a new connection.
  a.network.send(heartbeat("a", "b", 99));
  await untilTrue(() => b.messages.some((got) => got.kind === 7 && got.commitIndex === 99));
});

function chunk(from: string, to: string, bytes: number) {
  const meta = {
    id: "s1",
    index: 1,
    term: 1,
    membership: {
      index: 1,
      membership: {
        members: [{ id: "a", serverId: "a", address: "a:1" }],
        voters: ["a"],
        votersOutgoing: [],
        learners: [],
        learnersNext: [],
      },
    },
    appendedAtMs: 1,
    sizeBytes: bytes,
    chunkBytes: bytes,
    chunkCount: 1,
    digest: "0".repeat(64),
  };
  return { kind: 11, from, to, term: 1, meta, chunk: 0, bytes: new Uint8Array(bytes) } as const;
}
