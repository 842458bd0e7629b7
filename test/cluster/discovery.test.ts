/** Whom a cluster is to be made of: spec raft-and-cluster, section 7. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import {
  type PeerResolver,
  parsePeerValue,
  type ResolvePeersOptions,
  resolveBootstrapPeers,
} from "../../src/cluster/index.ts";

const OWN = { serverId: "hearth-0", address: "hearth-0:9099" };

const RESOLVER: PeerResolver = {
  addresses: async (host) => {
    const known: Readonly<Record<string, readonly string[]>> = {
      "peers.local": ["10.0.0.2", "10.0.0.1", "fd00::1"],
      "pod-0.local": ["10.1.0.1"],
      "pod-1.local": ["10.1.0.2"],
    };
    const found = known[host];
    if (found === undefined) throw Object.assign(new Error("no"), { code: "ENOTFOUND" });
    return found;
  },
  services: async (name) => {
    if (name !== "_raft._tcp.hearth.local") {
      throw Object.assign(new Error("no"), { code: "ENOTFOUND" });
    }
    return [
      { target: "pod-1.local", port: 9099 },
      { target: "pod-0.local", port: 9098 },
    ];
  },
};

function resolve(
  values: readonly string[],
  expectPeers: number,
  { resolver = RESOLVER, ...more }: Partial<ResolvePeersOptions> & { resolver?: PeerResolver } = {},
) {
  const options = { own: OWN, values, expectPeers, timeoutMs: 1_000, ...more };
  return resolveBootstrapPeers(options, { resolver, scheduler: SYSTEM_SCHEDULER });
}

test("one node without peers is a cluster of one", async () => {
  assert.deepEqual(await resolve([], 1), { peers: [OWN], problem: null });
});

test("static peers are sorted by server id, and no id stands twice", async () => {
  const { peers, problem } = await resolve(
    ["c:9099/hearth-2", "b:9099/hearth-1", "hearth-0:9099/hearth-0", "d:9099/hearth-10"],
    4,
  );
  assert.equal(problem, null);
  assert.deepEqual(
    peers.map(({ serverId }) => serverId),
    ["hearth-0", "hearth-1", "hearth-10", "hearth-2"],
  );
  assert.equal(peers.at(-1)?.address, "c:9099");
});

test("a static peer without an id is known by its host", async () => {
  const { peers } = await resolve(["hearth-1:9099", "[::1]:9099"], 3);
  assert.deepEqual(peers, [
    { serverId: "::1", address: "[::1]:9099" },
    OWN,
    { serverId: "hearth-1", address: "hearth-1:9099" },
  ]);
});

test("a static list that names this node by another id makes one peer too many, and says so", async () => {
  const { peers, problem } = await resolve(["hearth-0:9099/other", "b:9099/hearth-1"], 2);
  assert.equal(peers.length, 3);
  assert.equal(problem?.reason, "peers_unexpected");
  assert.match(problem.message, /is 2, but .* make 3: hearth-0, hearth-1, other/);
});

test("dns+ makes a peer of every address, known by it", async () => {
  const { peers, problem } = await resolve(["dns+peers.local:9099"], 4);
  assert.equal(problem, null);
  assert.deepEqual(
    peers.map(({ address }) => address),
    ["10.0.0.1:9099", "10.0.0.2:9099", "[fd00::1]:9099", "hearth-0:9099"],
  );
});

test("dnssrv+ resolves targets, at the record's port or the given one", async () => {
  const byRecord = await resolve(["dnssrv+_raft._tcp.hearth.local"], 3);
  assert.equal(byRecord.problem, null);
  assert.deepEqual(
    byRecord.peers.map(({ serverId }) => serverId),
    ["10.1.0.1:9098", "10.1.0.2:9099", "hearth-0"],
  );
  const given = await resolve(["dnssrv+_raft._tcp.hearth.local:7000"], 3);
  assert.equal(given.peers[0]?.address, "10.1.0.1:7000");
});

test("dnssrvnoa+ keeps the names, with the dot of existing server ids", async () => {
  const own = { serverId: "pod-0.local.:9098", address: "pod-0.local.:9098" };
  const { peers, problem } = await resolve(["dnssrvnoa+_raft._tcp.hearth.local"], 2, { own });
  assert.equal(problem, null);
  assert.deepEqual(
    peers.map(({ serverId }) => serverId),
    ["pod-0.local.:9098", "pod-1.local.:9099"],
  );
  const given = await resolve(["dnssrvnoa+_raft._tcp.hearth.local:7000"], 3);
  assert.equal(given.peers[1]?.address, "pod-0.local.:7000");
});

test("names that do not resolve are a failure, even when this node is as many as were expected", async () => {
  const { peers, problem } = await resolve(["dnssrvnoa+_raft._tcp.nowhere.local"], 1);
  assert.deepEqual(peers, [OWN]);
  assert.equal(problem?.reason, "peers_unresolved");
  assert.match(problem.message, /_raft\._tcp\.nowhere\.local: the name does not resolve/);
});

test("a name that does not resolve is no failure when others make up the number", async () => {
  const values = ["dns+nowhere.local:9099", "dns+peers.local:9099"];
  assert.equal((await resolve(values, 4)).problem, null);
  assert.match((await resolve(values, 5)).problem?.message ?? "", /nowhere\.local/);
});

test("look-ups that hang end at the limit", async () => {
  const never = new Promise<never>(() => {});
  const resolver = { addresses: () => never, services: () => never };
  const { problem } = await resolve(["dns+peers.local:9099"], 3, { resolver, timeoutMs: 20 });
  assert.match(problem?.message ?? "", /no answer within 0\.02 s/);
});

test("values that are no peers are refused with the cure, all at once", async () => {
  const values = ["hearth-1", "dnsfoo+x:1", "dns+x", "host:99999", "a:1/", "dnssrv+a b"];
  const { problem } = await resolve(values, 7);
  assert.equal(problem?.code, "invalid_argument");
  for (const value of values) assert.ok(problem.message.includes(JSON.stringify(value)), value);
  assert.equal(parsePeerValue("a:1").kind, "static");
});
