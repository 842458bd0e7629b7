/** The proxies between peers do to a stream what they say, and nothing else. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { after, test } from "node:test";
import { PeerProxies } from "../support/cluster/index.ts";
import { until, untilTrue } from "../support/until.ts";

/** Long enough for bytes that must not pass to be seen where they do. */
const SETTLE_MS = 60;
const SLOW_MS = 200;

const cleanups: (() => void)[] = [];
after(() => {
  for (const cleanup of cleanups) cleanup();
});

interface Pair {
  readonly proxies: PeerProxies;
  readonly dialer: Socket;
  readonly target: Socket;
  /** What has arrived so far. */
  readonly atDialer: () => string;
  readonly atTarget: () => string;
}

/** Node "a" dials node "b" through the proxy of "b". */
async function openPair(prepare: (proxies: PeerProxies) => void = () => {}): Promise<Pair> {
  const proxies = new PeerProxies();
  prepare(proxies);
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const dialer = connect(await proxies.open("b", address.port), "127.0.0.1");
  const [target] = (await accepted) as [Socket];
  cleanups.push(() => {
    dialer.destroy();
    target.destroy();
    server.close();
    void proxies.close();
  });
  for (const socket of [dialer, target]) socket.on("error", () => {});
  dialer.write('{"cluster":"1","server":"a","boot":"x"}');
  return { proxies, dialer, target, atDialer: collect(dialer), atTarget: collect(target) };
}

function collect(socket: Socket): () => string {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}

/** Until what the dialer says first has arrived. Result: what has. */
async function greeted(atTarget: () => string): Promise<string> {
  await until(atTarget, () => /"server":"a".*}/.test(atTarget()));
  return atTarget();
}

test("bytes pass in both directions, and the sender is recognised", async () => {
  const { proxies, target, atDialer, atTarget } = await openPair();
  target.write("hello back");
  await greeted(atTarget);
  await until(atDialer, () => atDialer() === "hello back");
  assert.equal(proxies.connections, 1);
});

test("a cut link holds one direction only, and gives the bytes back late and in order", async () => {
  const { proxies, dialer, target, atDialer, atTarget } = await openPair();
  const before = await greeted(atTarget);
  proxies.cut("a", "b");
  dialer.write("one,");
  dialer.write("two");
  target.write("back");
  await until(atDialer, () => atDialer() === "back" && proxies.heldChunks > 0);
  await sleep(SETTLE_MS);
  assert.equal(atTarget(), before);
  proxies.mend("late");
  await until(atTarget, () => atTarget() === `${before}one,two`);
});

test("a connection that is opened over a cut link is a black hole, not a refusal", async () => {
  const { proxies, dialer, atTarget } = await openPair((cutting) => cutting.cut("a", "b"));
  await sleep(SETTLE_MS);
  assert.equal(atTarget(), "");
  assert.equal(dialer.readyState, "open");
  proxies.mend("late");
  await greeted(atTarget);
});

test("a link that is mended by breaking ends its connections, and only those", async () => {
  const cut = await openPair();
  await greeted(cut.atTarget);
  cut.proxies.cut("b", "a");
  cut.target.write("never");
  cut.proxies.mend("broken");
  await untilTrue(() => cut.dialer.readyState === "closed");
  assert.equal(cut.atDialer(), "");
  const whole = await openPair();
  await greeted(whole.atTarget);
  whole.proxies.cut("a", "c");
  whole.proxies.mend("broken");
  await sleep(SETTLE_MS);
  assert.equal(whole.dialer.readyState, "open");
});

test("the end of a connection does not pass a cut link either", async () => {
  const { proxies, dialer, target, atTarget } = await openPair();
  await greeted(atTarget);
  proxies.cut("a", "b");
  dialer.destroy();
  await sleep(SETTLE_MS);
  assert.equal(target.readyState, "open");
  proxies.mend("late");
  await untilTrue(() => target.readyState === "closed");
});

test("a slow link delays and keeps the order", async () => {
  const { proxies, dialer, atTarget } = await openPair();
  const before = await greeted(atTarget);
  proxies.slow("a", "b", SLOW_MS);
  const sentAtMs = performance.now();
  dialer.write("one,");
  await until(atTarget, () => atTarget() !== before);
  const tookMs = performance.now() - sentAtMs;
  // Timers may be a millisecond early.
  assert.ok(tookMs >= SLOW_MS - 1, `${tookMs} ms`);
  dialer.write("two,");
  dialer.write("three");
  await until(atTarget, () => atTarget() === `${before}one,two,three`);
});
