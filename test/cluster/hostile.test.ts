/** Attacks on the peer port: each is refused, counted by reason, logged, and changes nothing for the others. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { RefusalReason } from "../../src/cluster/index.ts";
import { decodeControl, encodeControl, FRAME } from "../../src/cluster/frames/frame.ts";
import { encodeIntroduction } from "../../src/cluster/frames/hello.ts";
import { PEER_LIMITS } from "../../src/cluster/limits.ts";
import { decodeErrorReply } from "../../src/protocol/index.ts";
import { untilTrue } from "../support/until.ts";
import { Stranger } from "./stranger.ts";
import { closeAll, dial, heartbeat, startMesh, TestNode } from "./support.ts";

let a: TestNode;
let b: TestNode;

beforeEach(async () => {
  [a, b] = (await startMesh(["a", "b"])) as [TestNode, TestNode];
});

/** Whatever has happened: the pair still talks, and nobody was told otherwise. */
afterEach(async () => {
  const before = b.messages.length;
  a.network.send(heartbeat("a", "b"));
  await untilTrue(() => b.messages.length === before + 1);
  assert.deepEqual(
    [...a.unreachable, ...b.unreachable].filter((id) => id !== "stranger"),
    [],
  );
  await closeAll([a, b]);
});

/** Refused for this reason, and no other: counted once, and in the log. */
async function expectRefused(stranger: Stranger, reason: RefusalReason): Promise<void> {
  await stranger.closed();
  assert.equal(a.network.stats.refused[reason], 1);
  const total = Object.values(a.network.stats.refused).reduce((sum, count) => sum + count, 0);
  assert.equal(
    total - a.network.stats.refused.duplicate,
    1,
    JSON.stringify(a.network.stats.refused),
  );
  const [line] = a.linesWith(reason);
  assert.ok(line !== undefined, "nothing in the log");
  assert.match(String(line.fields.remote), /^127\.0\.0\.1:/);
  assert.deepEqual(a.messages, []);
  assert.deepEqual(a.requests, []);
}

function headOf(kind: number, totalBytes: number): Uint8Array {
  const head = Buffer.concat(encodeControl(FRAME.ping)).subarray(0, 16);
  head.writeUInt16LE(kind, 4);
  head.writeUInt32LE(totalBytes, 8);
  return head;
}

describe("before the hello", () => {
  it("garbage", async () => {
    const stranger = await Stranger.dial(a);
    stranger.send([Buffer.alloc(4_096, 0xa5)]);
    await expectRefused(stranger, "not_a_peer");
    assert.deepEqual(stranger.received, []);
  });

  it("a web browser", async () => {
    const stranger = await Stranger.dial(a);
    stranger.send([Buffer.from("GET / HTTP/1.1\r\nHost: hearth\r\n\r\n")]);
    await expectRefused(stranger, "not_a_peer");
  });

  it("a stranger who says nothing, or one byte at a time", async () => {
    const strict = await TestNode.start("strict", { options: { handshakeTimeoutMs: 1_000 } });
    const silent = await Stranger.dial(strict);
    const slow = await Stranger.dial(strict);
    const bytes = Buffer.concat(encodeControl(FRAME.ping));
    let at = 0;
    const drip = setInterval(() => slow.send([bytes.subarray(at, ++at)]), 100);
    await Promise.all([silent.closed(), slow.closed()]);
    clearInterval(drip);
    assert.equal(strict.network.stats.refused.handshake_timeout, 2);
    assert.equal(silent.refusal?.reason, "handshake_timeout");
    // One address, one reason: one line.
    assert.equal(strict.linesWith("handshake_timeout").length, 1);
    await closeAll([strict]);
  });

  it("a length whose checksum is wrong", async () => {
    const stranger = await Stranger.dial(a);
    stranger.send([headOf(FRAME.hello, 1024)]);
    await expectRefused(stranger, "bad_frame");
  });

  it("a message or a request without a hello, and a frame too large for a stranger", async () => {
    const early = await Stranger.dial(a);
    early.send(encodeControl(FRAME.request, { id: 1, tag: 1 }));
    await expectRefused(early, "unexpected_frame");
    const large = await Stranger.dial(a);
    large.send(encodeControl(FRAME.request, { body: new Uint8Array(100_000) }));
    await large.closed();
    assert.equal(a.network.stats.refused.too_large, 1);
  });

  it("a flood of strangers takes their places only, and others come in when they have gone", async () => {
    const { handshakesMax } = PEER_LIMITS;
    const flood = await Promise.all(
      Array.from({ length: handshakesMax + 20 }, () => Stranger.dial(a)),
    );
    await untilTrue(() => flood.filter(({ isClosed }) => isClosed).length === 20);
    assert.equal(a.network.stats.refused.too_many_connections, 20);
    assert.equal(a.linesWith("too_many_connections").length, 1);
    for (const stranger of flood) stranger.leave();
    await Promise.all(flood.map((stranger) => stranger.closed()));
    await untilTrue(() => a.sockets.openCount <= 1);
    const guest = await Stranger.enter(a);
    assert.ok(guest.hasEntered);
    guest.leave();
  });
});

describe("the hello", () => {
  const GOOD = {
    cluster: "c1",
    node: "stranger",
    server: "s",
    peer: "",
    http: "",
    websocket: "",
    version: "1",
    boot: "00000000000000ff",
    target: "a",
    dial: 1,
    link: "peer",
  };

  it("is taken when it is good, with fields that are not known left alone", async () => {
    const stranger = await Stranger.dial(a);
    stranger.rawHello({ ...GOOD, later: { anything: [1] } });
    await untilTrue(() => stranger.hasEntered);
    stranger.leave();
  });

  const BAD: Readonly<Record<string, unknown>> = {
    "no JSON": "{",
    "no object": [1],
    null: null,
    "a node id with a path in it": { ...GOOD, node: "../../etc" },
    "no node id": { ...GOOD, node: "" },
    "a cluster that is a number": { ...GOOD, cluster: 1 },
    "a name of a kilobyte": { ...GOOD, server: "x".repeat(1024) },
    "a name with a line break": { ...GOOD, server: "x\nroot: compromised" },
    "an address that is no text": { ...GOOD, peer: {} },
    "a boot nonce that is none": { ...GOOD, boot: "0" },
    "a negative dial": { ...GOOD, dial: -1 },
    "a dial beyond all counting": { ...GOOD, dial: 1e300 },
    "a link of an unknown kind": { ...GOOD, link: "root" },
    "the pair's connection for whoever answers": { ...GOOD, target: "" },
    "a prototype": '{"__proto__":{"cluster":"c1"},"node":"x"}',
  };
  for (const [name, body] of Object.entries(BAD)) {
    it(`with ${name} is refused`, async () => {
      const stranger = await Stranger.dial(a);
      stranger.rawHello(body);
      await expectRefused(stranger, "bad_hello");
    });
  }

  it("that arrives damaged is refused", async () => {
    const stranger = await Stranger.dial(a);
    const pieces = encodeControl(FRAME.hello, { body: new TextEncoder().encode("{}") });
    const bytes = Buffer.concat(pieces);
    bytes[33] = 0x21;
    stranger.send([bytes]);
    await expectRefused(stranger, "bad_frame");
  });

  it("of another cluster is refused, in words on both sides", async () => {
    const stranger = await Stranger.enter(a, { clusterId: "c2" });
    await expectRefused(stranger, "wrong_cluster");
    assert.equal(stranger.refusal?.reason, "wrong_cluster");
    assert.match(stranger.refusal.text, /belongs to cluster c2, data of server-a to c1/);
  });

  it("that means another node is refused: a new disk behind an old address", async () => {
    const stranger = await Stranger.enter(a, {}, { target: "before" });
    await expectRefused(stranger, "wrong_target");
    assert.match(stranger.refusal?.text ?? "", /this is node a .* not node before/);
  });

  it("of versions that are not spoken here is refused before the rest is read", async () => {
    for (const [first, last] of [
      [0, 0],
      [2, 9],
    ] as const) {
      const stranger = await Stranger.dial(a);
      stranger.rawHello("of the future", first | (last << 16));
      await stranger.closed();
      assert.equal(stranger.refusal?.reason, "unsupported_version");
    }
    const later = await Stranger.dial(a);
    later.rawHello(GOOD, 1 | (9 << 16));
    await untilTrue(() => later.hasEntered);
    later.leave();
  });

  it("with the node's own id is refused", async () => {
    const copy = await Stranger.enter(a, { nodeId: "a" });
    await expectRefused(copy, "is_self");
    assert.match(copy.refusal?.text ?? "", /may have been copied/);
  });

  it("of a process that was replaced is refused, and the later one stays", async () => {
    const old = await Stranger.enter(a, { bootNonce: "00000000000000aa" });
    const young = await Stranger.enter(a, { bootNonce: "00000000000000bb" });
    assert.ok(old.hasEntered && young.hasEntered);
    await old.closed();
    const back = await Stranger.enter(a, { bootNonce: "00000000000000aa" }, { dial: 2 });
    await expectRefused(back, "old_incarnation");
    assert.equal(young.isClosed, false);
    young.leave();
  });
});

describe("behind the hello", () => {
  it("Raft messages in the name of somebody else", async () => {
    const stranger = await Stranger.enter(a);
    stranger.message(heartbeat("b", "a"));
    await expectRefused(stranger, "misaddressed");
  });

  it("Raft messages for somebody else", async () => {
    const stranger = await Stranger.enter(a);
    stranger.message(heartbeat("stranger", "b"));
    await expectRefused(stranger, "misaddressed");
  });

  it("Raft messages of a node without a cluster", async () => {
    const stranger = await Stranger.enter(a, { clusterId: "" });
    stranger.message(heartbeat("stranger", "a"));
    await expectRefused(stranger, "no_cluster");
  });

  it("Raft messages on a call", async () => {
    const stranger = await Stranger.enter(a, {}, { link: "call", target: "" });
    stranger.message(heartbeat("stranger", "a"));
    await expectRefused(stranger, "no_cluster");
  });

  it("a Raft message that is none", async () => {
    const stranger = await Stranger.enter(a);
    const head = (await import("../../src/cluster/frames/frame.ts")).encodeMessageHead(64);
    stranger.send([head, new Uint8Array(64)]);
    await expectRefused(stranger, "bad_message");
  });

  it("a length of gigabytes is not believed", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const stranger = await Stranger.enter(a);
    const { crc32c } = await import("@node-rs/crc32");
    const head = Buffer.from(headOf(FRAME.request, 0xffff_fff8));
    head.writeUInt32LE(crc32c(head.subarray(0, 12)), 12);
    stranger.send([head]);
    await stranger.closed();
    assert.equal(a.network.stats.refused.too_large, 1);
    assert.ok(process.memoryUsage().arrayBuffers - before < 50 * 1024 * 1024);
  });

  it("a node of no cluster is not taken at its word for megabytes", async () => {
    const stranger = await Stranger.enter(a, { clusterId: "" });
    stranger.send(encodeControl(FRAME.request, { id: 1, tag: 1, body: new Uint8Array(900_000) }));
    await untilTrue(() => stranger.received.some(({ kind }) => kind === FRAME.answer));
    stranger.send(encodeControl(FRAME.request, { id: 2, tag: 1, body: new Uint8Array(1_100_000) }));
    await stranger.closed();
    assert.equal(a.network.stats.refused.too_large, 1);
    assert.equal(a.requests.length, 1);
  });

  it("guests do not take the places of members", async () => {
    const { guestsMax } = PEER_LIMITS;
    const guests: Stranger[] = [];
    // More at a time would be a flood.
    while (guests.length < guestsMax) {
      const group = Array.from({ length: PEER_LIMITS.handshakesMax / 2 }, (_, i) =>
        Stranger.enter(a, { nodeId: `guest-${guests.length + i}`, clusterId: "" }),
      );
      guests.push(...(await Promise.all(group)));
    }
    assert.ok(guests.every(({ hasEntered }) => hasEntered));
    const late = await Stranger.enter(a, { nodeId: "late", clusterId: "" });
    await late.closed();
    assert.equal(late.refusal?.reason, "too_many_connections");
    b.sockets.cut();
    await untilTrue(() => a.unreachable.includes("b") && b.unreachable.includes("a"));
    b.sockets.mend();
    await untilTrue(() => a.isConnectedTo("b") && b.isConnectedTo("a"));
    for (const guest of guests) guest.leave();
    await untilTrue(() => a.network.peers().length === 1 && a.unreachable.length > guestsMax);
    a.unreachable.length = 0;
    b.unreachable.length = 0;
  });

  it("frames of later versions: those that may be skipped are, others end the connection", async () => {
    const stranger = await Stranger.enter(a, {}, { link: "call", target: "" });
    stranger.send(encodeControl(0x8001, { body: Uint8Array.from([1, 2, 3]) }));
    stranger.send(encodeControl(FRAME.ping, { id: 7 }));
    await untilTrue(() => stranger.received.some(({ kind }) => kind === FRAME.pong));
    assert.equal(a.network.stats.skippedFrames, 1);
    stranger.send(encodeControl(99));
    await expectRefused(stranger, "unknown_kind");
  });

  it("a second hello", async () => {
    const stranger = await Stranger.enter(a);
    stranger.hello();
    await expectRefused(stranger, "unexpected_frame");
  });

  it("an introduction as somebody else", async () => {
    const stranger = await Stranger.enter(a);
    stranger.send(encodeIntroduction({ ...stranger.introduction, nodeId: "b" }));
    await expectRefused(stranger, "bad_hello");
  });

  it("an introduction to another cluster", async () => {
    const stranger = await Stranger.enter(a, { clusterId: "" });
    stranger.send(encodeIntroduction({ ...stranger.introduction, clusterId: "c2" }));
    await expectRefused(stranger, "wrong_cluster");
  });

  it("answers to nothing are forgotten", async () => {
    const stranger = await Stranger.enter(a, {}, { link: "call", target: "" });
    for (const id of [0, 1, 77, 0xffff_ffff]) stranger.send(encodeControl(FRAME.answer, { id }));
    stranger.send(encodeControl(FRAME.pong, { id: 12 }));
    stranger.send(encodeControl(FRAME.ping, { id: 7 }));
    await untilTrue(() => stranger.received.some(({ kind }) => kind === FRAME.pong));
    stranger.leave();
  });

  it("requests that do not exist are answered, and more than may wait are refused", async () => {
    const stranger = await Stranger.enter(a, {}, { link: "call", target: "" });
    const answers = (): { readonly id: number; readonly code: string }[] =>
      stranger.received.flatMap(({ kind, frame }) => {
        const control = kind === FRAME.answer ? decodeControl(frame) : null;
        if (control === null) return [];
        const code = control.tag === 1 ? "ok" : decodeErrorReply(control.body).code;
        return [{ id: control.id, code }];
      });
    stranger.send(encodeControl(FRAME.request, { id: 5, tag: 999 }));
    await untilTrue(() => answers().length === 1);
    assert.deepEqual(answers(), [{ id: 5, code: "unimplemented" }]);
    a.onRequest = () => {};
    const { requestsMax } = PEER_LIMITS;
    for (let id = 1; id <= requestsMax + 3; id++) {
      stranger.send(encodeControl(FRAME.request, { id: id + 5, tag: 1 }));
    }
    await untilTrue(() => answers().length === 4);
    assert.deepEqual(
      answers()
        .slice(1)
        .map(({ code }) => code),
      ["resource_exhausted", "resource_exhausted", "resource_exhausted"],
    );
    assert.equal(a.requests.length, requestsMax);
    stranger.leave();
  });

  it("a connection that breaks in the middle of a frame", async () => {
    const stranger = await Stranger.enter(a);
    const bytes = Buffer.concat(
      encodeControl(FRAME.request, { id: 1, tag: 1, body: Buffer.alloc(5_000) }),
    );
    stranger.send([bytes.subarray(0, 3_000)]);
    const socket = await dial(a);
    stranger.leave();
    socket.destroy();
    await untilTrue(() => !a.isConnectedTo("stranger"));
    assert.deepEqual(a.requests, []);
  });
});
