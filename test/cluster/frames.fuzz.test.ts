/**
 * Hostile streams, end to end: proper conversations with damaged frames in them, cut into pieces of any size. The
 * promise: whatever arrives, the connection goes on or ends with a counted reason; nothing is thrown, no memory is taken
 * for what has not arrived, and only messages and requests that a member could have sent come through.
 *
 * HEARTH_FUZZ_SEED and HEARTH_FUZZ_FRAMES repeat or extend a run; a failure prints its seed.
 */

import assert from "node:assert/strict";
import type { Server, Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { crc32c } from "@node-rs/crc32";
import fc from "fast-check";
import { Prng, SILENT_LOGGER, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import {
  createPeerNetwork,
  PEER_CALL,
  type PeerSockets,
  TCP_SOCKETS,
} from "../../src/cluster/index.ts";
import { encodeControl, encodeMessageHead, FRAME } from "../../src/cluster/frames/frame.ts";
import { encodeHello, encodeIntroduction, encodeRefusal } from "../../src/cluster/frames/hello.ts";
import { encodeMessage } from "../../src/raft/codec/index.ts";
import type { Message } from "../../src/raft/index.ts";
import { mutate } from "../fuzz/mutate.ts";
import { message as anyMessage } from "../raft/codec/arbitraries.ts";
import { cpuTimeMs } from "../support/cpu-time.ts";
import { CODEC, introductionOf, QUICK } from "./support.ts";

const FRAMES = Number(process.env.HEARTH_FUZZ_FRAMES ?? 20_000);
const SEED = Number(process.env.HEARTH_FUZZ_SEED ?? 20_261_128);
const HEAP_GROWTH_MAX_BYTES = 150 * 1024 * 1024;
/** Of the processor: how long it lets us wait for it says nothing. */
const SLOWEST_MAX_CPU_MS = 2_000;

/** A socket without a system behind it: bytes are pushed in, what comes out is thrown away. */
class FakeSocket extends Duplex {
  readonly remoteAddress = "192.0.2.1";
  readonly remotePort = 4_000;

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done();
  }
}

/** Connections come from the test. */
class FakeSockets implements PeerSockets {
  #onConnection: ((socket: Socket) => void) | null = null;

  connect(): Socket {
    return new FakeSocket() as unknown as Socket;
  }

  createServer(onConnection: (socket: Socket) => void): Server {
    this.#onConnection = onConnection;
    return TCP_SOCKETS.createServer((socket) => socket.destroy());
  }

  open(): FakeSocket {
    const socket = new FakeSocket();
    this.#onConnection?.(socket as unknown as Socket);
    return socket;
  }
}

const PEER = introductionOf("peer");

/** Not a Buffer: slices of those share memory, and damage would spread into the corpus. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

function messageFrame(message: Message, from = "peer"): Uint8Array {
  const { pieces, totalBytes } = encodeMessage({ ...message, from, to: "a" });
  return joined([encodeMessageHead(totalBytes), ...pieces]);
}

function controlCorpus(): Uint8Array[] {
  const bodies = [new Uint8Array(0), Uint8Array.from([1, 2, 3]), new Uint8Array(5_000)];
  return [
    encodeIntroduction(PEER),
    encodeIntroduction({ ...PEER, addresses: { peer: "p:1", http: "h:1", websocket: "w:1" } }),
    encodeRefusal({ reason: "duplicate", text: "words" }),
    encodeControl(FRAME.ping, { id: 3 }),
    encodeControl(FRAME.pong, { id: 1 }),
    encodeControl(FRAME.answer, { id: 1, tag: 1 }),
    encodeControl(FRAME.answer, { id: 1, tag: 0, body: new Uint8Array(40) }),
    encodeControl(0x8123, { body: Uint8Array.from([9]) }),
    ...bodies.map((body) => encodeControl(FRAME.request, { id: 2, tag: PEER_CALL.probe, body })),
  ].map(joined);
}

/** Of a process of its own: a nonce that damage has changed would retire the others. */
function helloFrame(connection: number): Uint8Array {
  const introduction = { ...PEER, bootNonce: connection.toString(16).padStart(16, "0") };
  return joined(encodeHello({ introduction, target: "a", dial: 1, link: "peer" }));
}

/** Without fitting checksums and length hardly a frame would get past its head. */
function reseal(prng: Prng, bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(Math.max(bytes.length, 32) / 8) * 8);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  if (prng.nextChance(0.8)) view.setUint32(8, padded.length, true);
  if (prng.nextChance(0.7)) view.setUint32(28, padded.length - 32, true);
  if (prng.nextChance(0.9)) view.setUint32(16, crc32c(padded.subarray(20)), true);
  view.setUint32(12, crc32c(padded.subarray(0, 12)), true);
  return padded;
}

function feed(prng: Prng, socket: FakeSocket, bytes: Buffer): void {
  let at = 0;
  while (at < bytes.length) {
    const end = prng.nextChance(0.5) ? bytes.length : at + 1 + prng.nextInt(bytes.length - at);
    socket.push(bytes.subarray(at, end));
    at = end;
  }
}

test(`${FRAMES} damaged frames end their connections with a reason, or are harmless (seed ${SEED})`, async (t) => {
  const prng = new Prng(SEED, 0);
  const samples = fc.sample<Message>(anyMessage, { numRuns: 500, seed: SEED });
  const messages = samples.map((message) => messageFrame(message));
  const foreign = samples.map((message) => messageFrame(message, "another"));
  const controls = controlCorpus();
  const sockets = new FakeSockets();
  const network = createPeerNetwork(
    { ...QUICK, introduction: introductionOf("a") },
    {
      codec: CODEC,
      scheduler: SYSTEM_SCHEDULER,
      random: () => prng.nextU32(),
      logger: SILENT_LOGGER,
      sockets,
    },
  );
  let wrongMessages = 0;
  network.setHandler({
    onMessage: ({ from, to }) => {
      if (from !== "peer" || to !== "a") wrongMessages += 1;
    },
    onUnreachable: () => {},
    onRequest: ({ body }, answer) => answer({ ok: true, body }),
  });
  await network.listen();
  t.after(() => network.close());
  const heapBefore = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  let slowestMs = 0;
  for (let i = 0; i < FRAMES; i++) {
    const beforeMs = cpuTimeMs();
    const isControl = prng.nextChance(0.6);
    const damaged = isControl
      ? reseal(prng, mutate(prng, prng.pick(controls), prng.pick(controls)))
      : mutate(prng, prng.pick(prng.nextChance(0.1) ? foreign : messages), prng.pick(messages));
    const hello = helloFrame(i);
    const opening = prng.nextChance(0.1) ? reseal(prng, mutate(prng, hello, hello)) : hello;
    const socket = sockets.open();
    socket.on("error", () => {});
    const good = prng.pick(messages);
    feed(prng, socket, Buffer.concat([opening, good, damaged, prng.pick(controls), good]));
    socket.push(null);
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    slowestMs = Math.max(slowestMs, cpuTimeMs() - beforeMs);
  }
  const { stats } = network;
  const heap = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  t.diagnostic(
    JSON.stringify({ slowestMs: Math.round(slowestMs), heapGrowth: heap - heapBefore, ...stats }),
  );
  assert.equal(wrongMessages, 0);
  assert.ok(slowestMs < SLOWEST_MAX_CPU_MS, `one connection took ${slowestMs} ms`);
  assert.ok(heap - heapBefore < HEAP_GROWTH_MAX_BYTES, `memory grew by ${heap - heapBefore} bytes`);
  assert.equal(stats.accepted, FRAMES);
  for (const reason of [
    "bad_frame",
    "too_large",
    "bad_message",
    "unknown_kind",
    "bad_hello",
    "misaddressed",
  ] as const) {
    assert.ok(stats.refused[reason] > 0, `"${reason}" was not reached`);
  }
  assert.ok(stats.receivedMessages > FRAMES / 2, "hardly a message came through");
  assert.ok(stats.receivedRequests > FRAMES / 20, "hardly a request came through");
});
