/** The stand-in for tests of others keeps the promises of the real network. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeIntroduction } from "../../src/cluster/index.ts";
import type { Message } from "../../src/raft/index.ts";
import { MemoryPeers } from "../support/memory-peers.ts";
import { untilTrue } from "../support/until.ts";
import { heartbeat, introductionOf } from "./support.ts";

function join(peers: MemoryPeers, id: string, more: Partial<NodeIntroduction> = {}) {
  const addresses = { peer: `${id}:9099`, http: "", websocket: "" };
  const network = peers.join(introductionOf(id, { addresses, ...more }));
  const messages: Message[] = [];
  const unreachable: string[] = [];
  const introduced: NodeIntroduction[] = [];
  network.setHandler({
    onMessage: (message) => messages.push(message),
    onUnreachable: (peer) => unreachable.push(peer),
    onRequest: (request, answer) => answer({ ok: true, body: request.body }),
    onIntroduced: (peer) => introduced.push(peer),
  });
  return { network, messages, unreachable, introduced };
}

test("members in memory get messages, answers and introductions, and are told who cannot be reached", async () => {
  const peers = new MemoryPeers();
  const [a, b] = [join(peers, "a"), join(peers, "b", { clusterId: "" })];
  await Promise.all([a.network.listen(), b.network.listen()]);
  const members = ["a", "b"].map((id) => ({ id, serverId: id, address: `${id}:9099` }));
  a.network.setMembers(members);
  await untilTrue(() => b.introduced[0]?.clusterId === "c1");
  a.network.send(heartbeat("a", "b"));
  await untilTrue(() => a.unreachable.length === 1);
  b.network.introduce({ ...b.network.own, clusterId: "c1" });
  a.network.send(heartbeat("a", "b", 3));
  await untilTrue(() => b.messages.length === 1);
  const body = Uint8Array.from([4]);
  const answer = await b.network.request({ address: "a:9099" }, 1, body, { timeoutMs: 1_000 });
  assert.ok(answer.ok && answer.body[0] === 4);
  peers.cutOff.add("b");
  const lost = await b.network.request({ nodeId: "a" }, 1, body, { timeoutMs: 1_000 });
  assert.ok(!lost.ok && lost.error.sent === "no");
  assert.equal(a.network.peers()[0]?.isConnected, false);
});
