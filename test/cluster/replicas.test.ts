/** Three real drivers over the real network: they elect, commit, and survive what wires do. */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "node:test";
import type { TcpPeerNetwork } from "../../src/cluster/index.ts";
import type { Member, NodeId } from "../../src/raft/index.ts";
import type { PeerTransport, ReplicaOptions } from "../../src/replica/index.ts";
import { type ClusterSetting, TestMember } from "../replica/cluster-support.ts";
import { until, untilTrue } from "../support/until.ts";
import { TestNode } from "./support.ts";

interface Seat {
  readonly node: TestNode;
  readonly member: TestMember;
}

class ReplicaCluster implements ClusterSetting {
  readonly options: Partial<ReplicaOptions> = { tickMs: 20 };
  readonly seats: Seat[] = [];

  static async start(): Promise<ReplicaCluster> {
    const cluster = new ReplicaCluster();
    for (const id of ["a", "b", "c"]) {
      const node = await TestNode.start(id);
      cluster.seats.push({ node, member: new TestMember(node.member) });
    }
    for (const { node } of cluster.seats) node.network.setMembers(cluster.members);
    for (const { member } of cluster.seats) await member.start(cluster);
    return cluster;
  }

  get members(): readonly Member[] {
    return this.seats.map(({ member }) => member.member);
  }

  readonly network = {
    transport: (id: NodeId): PeerTransport => {
      const seat = this.seats.find(({ node }) => node.id === id) as Seat;
      return transportOver(seat.node.network);
    },
  };

  async leader(among: readonly Seat[] = this.seats): Promise<Seat> {
    await untilTrue(() => among.some(({ member }) => member.isLeader));
    return among.find(({ member }) => member.isLeader) as Seat;
  }

  async close(): Promise<void> {
    await Promise.all(this.seats.map(({ member }) => member.stop()));
    await Promise.all(this.seats.map(({ node }) => node.network.close()));
    for (const { member } of this.seats) rmSync(member.directory, { recursive: true, force: true });
  }
}

function transportOver(network: TcpPeerNetwork): PeerTransport {
  return {
    setReceiver: (receiver) =>
      network.setHandler({
        ...receiver,
        onMessage: (message) => receiver.onMessage(message),
        onUnreachable: (peer) => receiver.onUnreachable(peer),
        onArrived: () => receiver.onArrived(),
        onRequest: (request, answer) => answer({ ok: true, body: request.body }),
      }),
    send: (message) => network.send(message),
    flush: () => network.flush(),
    saysArrived: true,
  };
}

test("three members over sockets elect one leader, and what it acknowledges is applied by all", async (t) => {
  const cluster = await ReplicaCluster.start();
  t.after(() => cluster.close());
  const { member: leader } = await cluster.leader();
  const results = await Promise.all(Array.from({ length: 200 }, () => leader.propose(3, 500)));
  assert.ok(results.every((result) => result.ok));
  const last = leader.replica.status().lastIndex;
  await untilTrue(() => cluster.seats.every(({ member }) => member.state.appliedIndex === last));
  for (const { member } of cluster.seats) {
    assert.deepEqual(member.state.entries, leader.state.entries);
  }
  const read = await cluster.seats.find(({ member }) => !member.isLeader)?.member.readIndex();
  assert.ok(read?.ok && read.index >= last);
});

test("every connection breaks at once, again and again, and writes go on", async (t) => {
  const cluster = await ReplicaCluster.start();
  t.after(() => cluster.close());
  let acknowledged = 0;
  for (let round = 0; round < 5; round++) {
    for (const { node } of cluster.seats) node.sockets.cut();
    for (const { node } of cluster.seats) node.sockets.mend();
    let refused = "";
    await until(
      () => `a write of round ${round}: ${refused}`,
      async () => {
        const { member } = await cluster.leader();
        const result = await member.propose(2, 1_000);
        if (!result.ok) refused = result.error.message;
        return result.ok;
      },
    );
    acknowledged += 2;
  }
  const { member: leader } = await cluster.leader();
  await untilTrue(() =>
    cluster.seats.every(({ member }) => member.state.appliedIndex === leader.state.appliedIndex),
  );
  for (const { member } of cluster.seats) {
    assert.ok(member.state.entries.length >= acknowledged);
    assert.deepEqual(member.state.entries, leader.state.entries);
  }
});

test("the others go on without a leader that is cut off, and it catches up when the wire is mended", async (t) => {
  const cluster = await ReplicaCluster.start();
  t.after(() => cluster.close());
  const first = await cluster.leader();
  assert.ok((await first.member.propose(2)).ok);
  first.node.sockets.cut();
  const others = cluster.seats.filter((seat) => seat !== first);
  const second = await cluster.leader(others);
  const write = await second.member.propose(5);
  assert.ok(write.ok);
  first.node.sockets.mend();
  await untilTrue(() => first.member.state.appliedIndex >= write.firstIndex + 4);
  const count = first.member.state.entries.length;
  assert.deepEqual(first.member.state.entries, second.member.state.entries.slice(0, count));
});
