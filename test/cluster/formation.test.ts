/** How nodes without state become a cluster, or wait for one, and never two. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, type Scheduler, toHearthError } from "../../src/base/index.ts";
import {
  type ClusterBond,
  decodeFoundNotice,
  encodeJson,
  Formation,
  FORMATION_DEFAULTS,
  type FormationOptions,
  type FoundNotice,
  PEER_CALL,
  type PeerAnswer,
  type ResolvedPeers,
} from "../../src/cluster/index.ts";
import { FakeNetwork, type FakePeer, introductionOf } from "./fake-network.ts";

/** Waiting takes no time: attempts follow one another, turn by turn. */
const HASTY: Scheduler = {
  monotonicMs: () => performance.now(),
  defer: (task) => void setImmediate(task),
  after: (_delayMs, task) => {
    const timer = setImmediate(task);
    return () => clearImmediate(timer);
  },
};

class Bond implements ClusterBond {
  clusterId = "";
  founders: FoundNotice["founders"] = [];
  readonly joined: Promise<void>;
  #resolve: () => void = () => {};

  constructor() {
    this.joined = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  join({ clusterId, founders }: Pick<FoundNotice, "clusterId" | "founders">): void {
    if (this.clusterId === clusterId) return;
    if (this.clusterId !== "") throw new HearthError("failed_precondition", "other cluster");
    this.clusterId = clusterId;
    this.founders = founders;
    this.#resolve();
  }
}

interface Node {
  readonly name: string;
  readonly bond: Bond;
  readonly peer: FakePeer;
  readonly formation: Formation;
  readonly said: string[];
}

interface Wish extends Partial<FormationOptions> {
  readonly resolve?: () => Promise<ResolvedPeers>;
  readonly clusterId?: string;
}

class World {
  readonly network = new FakeNetwork();
  #founded = 0;

  /** `names`: the peers it is told of. */
  node(name: string, names: readonly string[], wish: Wish = {}): Node {
    const { resolve, clusterId = "", ...options } = wish;
    const introduction = introductionOf(name);
    const bond = new Bond();
    bond.clusterId = clusterId;
    const peer = this.network.node(introduction);
    const said: string[] = [];
    const peers = names.map((each) => ({ address: `${each}:9099`, serverId: each }));
    const formation = new Formation(
      {
        ...FORMATION_DEFAULTS,
        self: { id: introduction.nodeId, serverId: name, address: `${name}:9099` },
        expectPeers: 3,
        isAutoJoin: false,
        ...options,
      },
      {
        network: peer,
        bond,
        resolve: resolve ?? (async () => ({ peers, problem: null })),
        scheduler: HASTY,
        random: () => 0.5,
        newClusterId: () => `cluster-${++this.#founded}`,
        onProgress: (text) => said.push(text),
      },
    );
    peer.handler = {
      onRequest: ({ call, body }, answer) => answer(this.#answer(peer, bond, call, body)),
    };
    return { name, bond, peer, formation, said };
  }

  #answer(peer: FakePeer, bond: Bond, call: number, body: Uint8Array): PeerAnswer {
    if (call === PEER_CALL.probe) {
      const { nodeId, serverId, addresses, version } = peer.own;
      const { clusterId } = bond;
      const says = { clusterId, nodeId, serverId, addresses, version, term: 0, leaderAddress: "" };
      return { ok: true, body: encodeJson(says) };
    }
    try {
      bond.join(decodeFoundNotice(body));
      return { ok: true, body: encodeJson({}) };
    } catch (error) {
      return { ok: false, error: toHearthError(error) };
    }
  }
}

/** What the founder's adoption does in the node. */
async function tell(founder: Node): Promise<void> {
  await founder.bond.joined;
  for (const { id, address } of founder.bond.founders) {
    if (id === founder.peer.own.nodeId) continue;
    const notice = {
      clusterId: founder.bond.clusterId,
      nodeId: id,
      founders: founder.bond.founders,
    };
    await founder.peer.request({ address }, PEER_CALL.found, encodeJson(notice));
  }
}

const NAMES = ["a", "b", "c"];

describe("founding", () => {
  it("three nodes: the last by name founds, with all of them, and the others get its cluster", async () => {
    const world = new World();
    const nodes = NAMES.map((name) => world.node(name, NAMES));
    const running = nodes.map(({ formation }) => formation.run());
    await tell(nodes[2] as Node);
    assert.deepEqual(await Promise.all(running), [null, null, null]);
    assert.deepEqual(
      nodes.map(({ bond }) => bond.clusterId),
      ["cluster-1", "cluster-1", "cluster-1"],
    );
    assert.deepEqual(
      nodes[2]?.bond.founders.map(({ id, serverId, address }) => [id, serverId, address]),
      NAMES.map((name) => [`id-of-${name}`, name, `${name}:9099`]),
    );
  });

  it("a lone node founds at once and asks nobody", async () => {
    const node = new World().node("a", [], { expectPeers: 1 });
    assert.equal(await node.formation.run(), null);
    assert.deepEqual(
      [node.bond.clusterId, node.bond.founders.length, node.peer.asked.length],
      ["cluster-1", 1, 0],
    );
  });

  it("gives up after twenty tries without all peers, and says whom it found", async () => {
    const world = new World();
    const c = world.node("c", NAMES);
    world.node("b", NAMES);
    const problem = await c.formation.run();
    assert.equal(problem, "waiting for peers: found 2 of 3 (b, c): a:9099: connection refused");
    assert.equal(c.bond.clusterId, "");
    assert.equal(c.said.length, 19);
    assert.match(c.said[3] ?? "", /, try 4 of 20, next in \d+ s$/);
  });

  it("waits for a peer that comes late", async () => {
    const world = new World();
    const c = world.node("c", NAMES);
    world.node("b", NAMES);
    const running = c.formation.run();
    for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
    world.node("a", NAMES);
    assert.equal(await running, null);
    assert.equal(c.bond.clusterId, "cluster-1");
  });

  it("a name that does not resolve is not a smaller cluster", async () => {
    const world = new World();
    const problem = new HearthError("unavailable", "No name of bootstrap-peers resolves", {
      reason: "peers_unresolved",
    });
    const c = world.node("c", [], {
      expectPeers: 2,
      resolve: async () => ({ peers: [], problem }),
    });
    assert.match((await c.formation.run()) ?? "", /: No name of bootstrap-peers resolves$/);
    assert.equal(c.bond.clusterId, "");
  });

  it("peers that are written wrongly are not tried again", async () => {
    const problem = new HearthError("invalid_argument", "Cannot read bootstrap-peers: x");
    const resolve = async (): Promise<ResolvedPeers> => ({ peers: [], problem });
    const c = new World().node("c", [], { resolve });
    assert.equal(await c.formation.run(), "Cannot read bootstrap-peers: x");
    assert.equal(c.said.length, 0);
  });

  it("several names of one node are one node, and one of them may lead back", async () => {
    const world = new World();
    const peers = ["b:9099", "bee:9099", "c:9099"].map((address) => ({
      address,
      serverId: address,
    }));
    const problem = new HearthError("unavailable", "make 3", { reason: "peers_unexpected" });
    const resolve = async (): Promise<ResolvedPeers> => ({ peers, problem });
    const c = world.node("c", [], { expectPeers: 2, resolve });
    const b = world.node("b", []);
    world.network.alias("bee:9099", b.peer);
    assert.equal(await c.formation.run(), null);
    assert.deepEqual(
      c.bond.founders.map(({ serverId }) => serverId),
      ["b", "c"],
    );
  });

  it("a peer under another name than the one that was written is no peer", async () => {
    const world = new World();
    const resolve = async (): Promise<ResolvedPeers> => ({
      peers: [{ address: "b:9099", serverId: "bee" }],
      problem: null,
    });
    const c = world.node("c", [], { expectPeers: 2, resolve });
    world.node("b", []);
    assert.match((await c.formation.run()) ?? "", /b:9099 calls itself b: name it b:9099\/b$/);
  });
});

describe("where a cluster is already", () => {
  it("a node with an emptied disk founds nothing, even if it is the last by name", async () => {
    const world = new World();
    const c = world.node("c", NAMES);
    world.node("a", NAMES, { clusterId: "old" });
    world.node("b", NAMES);
    const running = c.formation.run();
    while (c.said.length < 25) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(c.bond.clusterId, "");
    assert.equal(c.said[0], "waiting for a to say whether its cluster old includes this node");
    assert.match(
      c.said.at(-1) ?? "",
      /^waiting to be added: a belongs to cluster old already, .*hearth member remove c, then hearth member add c=c:9099$/,
    );
    c.bond.join({ clusterId: "old", founders: [] });
    assert.equal(await running, null);
  });

  it("a stop ends the wait", async () => {
    const world = new World();
    const c = world.node("c", [], { expectPeers: 0 });
    const running = c.formation.run();
    while (c.said.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.match(c.said[0] ?? "", /^waiting to be added: hearth member add c=c:9099 on a member/);
    c.formation.stop();
    assert.equal(await running, null);
  });

  it("auto-join asks to be taken in, and never founds", async () => {
    const world = new World();
    const wish: Wish = { expectPeers: 1, isAutoJoin: true };
    const d = world.node("d", ["a"], wish);
    const running = d.formation.run();
    while (d.said.length < 3) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(d.said.at(-1), "joining: asked 1 peers: a:9099: connection refused");
    assert.equal(d.bond.clusterId, "");
    const a = world.node("a", [], { clusterId: "old" });
    const probe = a.peer.handler;
    a.peer.handler = {
      onRequest: (request, answer) => {
        if (request.call !== PEER_CALL.join) return probe?.onRequest(request, answer);
        d.bond.join({ clusterId: "old", founders: [] });
        answer({ ok: true, body: encodeJson({}) });
      },
    };
    assert.equal(await running, null);
    assert.equal(d.bond.clusterId, "old");
  });
});
