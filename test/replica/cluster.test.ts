/** Three members over an in-memory network: what a driver adds to the core, end to end. The simulator goes further. */

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CHANGE } from "../../src/raft/index.ts";
import type { SnapshotSource } from "../../src/replica/index.ts";
import { untilTrue } from "../support/until.ts";
import { SnapshotState, TestCluster } from "./cluster-support.ts";
import { reasonOf } from "./support.ts";

test("three members elect one leader, and what it acknowledges is applied by all", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const results = await Promise.all(Array.from({ length: 50 }, () => leader.propose(3)));
  assert.ok(results.every((result) => result.ok));
  const last = leader.replica.status().lastIndex;
  await untilTrue(() => cluster.nodes.every((node) => node.state.appliedIndex === last));
  for (const node of cluster.nodes) assert.deepEqual(node.state.entries, leader.state.entries);
  assert.equal(leader.replica.status().voters, 3);
  assert.equal(leader.replica.status().reachableVoters, 3);
  await cluster.close();
});

test("a follower refuses writes with the leader's address, and grants reads through it", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  const write = await leader.propose();
  assert.ok(write.ok);
  const [follower] = cluster.followersOf(leader);
  assert.ok(follower !== undefined);
  await untilTrue(() => follower.replica.status().leader !== null);
  const refusal = await follower.propose();
  assert.equal(reasonOf(refusal), "not_leader");
  assert.ok(!refusal.ok && refusal.error.sent === "no");
  assert.deepEqual(refusal.error.leader, {
    id: leader.member.serverId,
    address: leader.member.address,
  });
  const read = await follower.readIndex();
  assert.ok(read.ok && read.index >= write.firstIndex, JSON.stringify(read));
  await cluster.close();
});

test("the others go on without their leader, and it catches up when it is back", async () => {
  const cluster = await TestCluster.start();
  const first = await cluster.leader();
  assert.ok((await first.propose(2)).ok);
  await cluster.kill(first);
  const others = cluster.followersOf(first);
  const second = await cluster.leader(others);
  assert.notEqual(second, first);
  const write = await second.propose(5);
  assert.ok(write.ok);
  await first.start(cluster);
  await untilTrue(() => first.state.appliedIndex >= write.firstIndex + 4);
  const count = first.state.entries.length;
  assert.deepEqual(first.state.entries, second.state.entries.slice(0, count));
  await cluster.close();
});

test("a leader that is cut off answers that the outcome is unknown, and its entries are replaced", async () => {
  const cluster = await TestCluster.start();
  const old = await cluster.leader();
  assert.ok((await old.propose()).ok);
  cluster.network.cutOff.add(old.id);
  const { lastIndex } = old.replica.status();
  const lost = old.propose(3);
  // Proposals of one turn go into the log at its end.
  await untilTrue(() => old.replica.status().lastIndex > lastIndex);
  const lostIndex = old.replica.status().lastIndex;
  const result = await lost;
  assert.equal(reasonOf(result), "outcome_unknown");
  assert.ok(!result.ok && result.error.sent === "maybe");
  assert.equal(reasonOf(await old.propose()), "not_leader");
  const next = await cluster.leader(cluster.followersOf(old));
  const write = await next.propose(8);
  assert.ok(write.ok);
  cluster.network.cutOff.delete(old.id);
  await untilTrue(() => old.state.appliedIndex >= lostIndex + 1);
  const at = old.state.entries.find(({ index }) => index === lostIndex);
  assert.equal(at?.term, write.term);
  await cluster.close();
});

test("a write whose place was taken by another leader has certainly not happened", async () => {
  const cluster = await TestCluster.start();
  const old = await cluster.leader();
  assert.ok((await old.propose()).ok);
  cluster.network.cutOff.add(old.id);
  // However many elections the others need, the outcome shall come to light before the write is given up.
  old.isTimeHeld = true;
  const lost = old.propose(3);
  const next = await cluster.leader(cluster.followersOf(old));
  assert.ok((await next.propose(8)).ok);
  cluster.network.cutOff.delete(old.id);
  const result = await lost;
  assert.equal(reasonOf(result), "not_leader");
  assert.ok(!result.ok && result.error.sent === "no");
  await cluster.close();
});

test("leadership is handed over, and nothing is refused for long", async () => {
  const cluster = await TestCluster.start();
  const old = await cluster.leader();
  assert.ok((await old.propose()).ok);
  const [to] = cluster.followersOf(old);
  assert.ok(to !== undefined);
  assert.equal(old.replica.transfer(to.id), null);
  await untilTrue(() => to.isLeader);
  assert.ok((await to.propose()).ok);
  await cluster.close();
});

test("a member that lost its disk's entries gets a snapshot, installs it and goes on with the log", async () => {
  const options = { snapshotLogBytes: 20_000, snapshotKeepEntries: 5, tailMaxBytes: 2_000 };
  const cluster = await TestCluster.start(options);
  const leader = await cluster.leader();
  const [behind] = cluster.followersOf(leader);
  assert.ok(behind !== undefined);
  assert.ok((await leader.propose()).ok);
  cluster.network.cutOff.add(behind.id);
  for (let i = 0; i < 60; i++) assert.ok((await leader.propose(4, 2_000)).ok);
  await untilTrue(() => leader.replica.stats.snapshotsTaken >= 2);
  assert.ok(leader.replica.status().firstIndex > behind.state.appliedIndex + 1, "the log was cut");
  cluster.network.cutOff.delete(behind.id);
  const write = await leader.propose(2);
  assert.ok(write.ok);
  await untilTrue(() => behind.state.appliedIndex >= write.firstIndex + 1);
  // The log may be cut again while one is on its way; none is installed twice.
  const { installs } = behind.state;
  assert.ok(installs.length > 0);
  assert.deepEqual(
    installs,
    [...new Set(installs)].sort((a, b) => a - b),
  );
  const count = behind.state.entries.length;
  assert.deepEqual(behind.state.entries, leader.state.entries.slice(0, count));
  // What it has installed is there after a restart, and a state that was lost is brought up from it.
  await cluster.kill(behind);
  behind.state = new SnapshotState();
  await behind.start(cluster);
  assert.equal(behind.state.installs.length, 1);
  const more = await leader.propose();
  assert.ok(more.ok);
  await untilTrue(() => behind.state.appliedIndex >= more.firstIndex);
  assert.deepEqual(behind.fatal, []);
  await cluster.close();
});

test("a member is removed through a joint configuration and the rest goes on", async () => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  assert.ok((await leader.propose()).ok);
  const [gone] = cluster.followersOf(leader);
  assert.ok(gone !== undefined);
  const changes = [{ kind: CHANGE.remove, member: gone.member }];
  const result = await new Promise<string>((resolve) => {
    leader.replica.changeMembership(changes, (outcome) => resolve(reasonOf(outcome)));
  });
  assert.equal(result, "ok");
  await untilTrue(() => leader.replica.status().voters === 2);
  assert.ok((await leader.propose()).ok);
  // It hears that it is out, so it never asks for votes again.
  await untilTrue(() => {
    const { membership, commitIndex } = gone.replica.core?.status() ?? {};
    const isOut = membership?.membership.voters.includes(gone.id) === false;
    return isOut && (commitIndex ?? 0) >= membership.index;
  });
  await cluster.close();
});

/** An image without an end, a piece at every turn. */
class EndlessState extends SnapshotState {
  hasEnded = false;

  override openSnapshot(): SnapshotSource {
    const next = (): Promise<Uint8Array | null> =>
      new Promise((resolve) => setImmediate(resolve, this.hasEnded ? null : new Uint8Array(400)));
    return { ...super.openSnapshot(), next };
  }
}

test("when a stop resolves, the directory is free: a snapshot that was being written is gone", async (t) => {
  const cluster = await TestCluster.start();
  const leader = await cluster.leader();
  await cluster.kill(leader);
  const state = new EndlessState();
  leader.state = state;
  t.after(() => {
    state.hasEnded = true;
  });
  await leader.start(cluster);
  const taken = assert.rejects(leader.replica.takeSnapshot(), { reason: "shutting_down" });
  const files = join(leader.directory, "snapshots");
  await untilTrue(() => readdirSync(files).some((name) => name.endsWith(".take.partial")));
  await cluster.kill(leader);
  await taken;
  assert.deepEqual(readdirSync(files), []);
  leader.state = new SnapshotState();
  await leader.start(cluster);
  assert.ok((await leader.replica.takeSnapshot()).index > 0);
  await cluster.close();
});
