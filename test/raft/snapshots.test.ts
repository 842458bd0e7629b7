/** Snapshots to slow members, and abstention after damage: DESIGN.md 33-39. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CHANGE,
  MESSAGE,
  type Message,
  PROGRESS,
  ROLE,
  type SnapshotChunk,
  type SnapshotMeta,
} from "../../src/raft/index.ts";
import { Cluster } from "./support/cluster.ts";
import { accept, batchesFrom, EMPTY_START, heard, leading, Lone } from "./support/lone.ts";

/** a leads and has cut its log; c has missed what was in it. */
function behind(): Cluster {
  const cluster = new Cluster();
  cluster.elect("a");
  cluster.isolate("c");
  for (let i = 0; i < 20; i++) {
    cluster.propose("a", `v${i}`);
    cluster.settle();
  }
  cluster.snapshot("a");
  cluster.heal();
  return cluster;
}

test("a member that needs what was cut gets a snapshot, and goes on behind it", () => {
  const cluster = behind();
  cluster.run(5);
  assert.equal(cluster.node("c").disk.installs, 1);
  assert.deepEqual(cluster.node("c").values, cluster.node("a").values);
  cluster.propose("a", "more");
  cluster.run(3);
  assert.equal(cluster.node("c").values.at(-1), "more");
  const peer = cluster
    .node("a")
    .core.status()
    .peers.find(({ id }) => id === "c");
  assert.equal(peer?.state, PROGRESS.replicate);
});

test("a lost chunk is sent again, and a restart of the receiver begins where it stood", () => {
  const cluster = behind();
  const isChunk = (m: { kind: number }): boolean => m.kind === MESSAGE.snapshotChunk;
  cluster.tickAll(2);
  while (!cluster.network.some(isChunk)) {
    cluster.deliver();
    for (const id of ["a", "b", "c"]) cluster.sync(id);
  }
  const position = cluster.network.findIndex(isChunk);
  cluster.network.splice(position, 1);
  cluster.settle();
  cluster.crash("c");
  cluster.restart("c");
  cluster.run(30);
  assert.deepEqual(cluster.node("c").values, cluster.node("a").values);
});

test("a snapshot brings the configuration of its index", () => {
  const cluster = new Cluster({ voters: 2, strangers: 1 });
  cluster.elect("a");
  cluster.change("a", [CHANGE.addLearner, "c"]);
  cluster.isolate("c");
  cluster.settle();
  cluster.propose("a", "x");
  cluster.settle();
  cluster.snapshot("a");
  cluster.heal();
  cluster.run(10);
  assert.deepEqual(
    cluster.node("c").core.status().membership,
    cluster.node("a").core.status().membership,
  );
});

function metaAt(index: number, term: number): SnapshotMeta {
  const { membership } = new Lone().core.status();
  const sizes = { sizeBytes: 3, chunkBytes: 3, chunkCount: 1 };
  return { id: "s1", index, term, membership, appendedAtMs: 9, ...sizes, digest: "" };
}

function chunkOf(meta: SnapshotMeta): SnapshotChunk {
  const head = { kind: MESSAGE.snapshotChunk, from: "b", to: "a", term: 5 };
  return { ...head, meta, chunk: 0, bytes: new Uint8Array(3) };
}

/** A follower with entries 2..6 of term 2, entry 2 committed. */
function follower(): Lone {
  const lone = new Lone();
  lone.step({
    kind: MESSAGE.append,
    from: "b",
    to: "a",
    term: 5,
    previousIndex: 1,
    previousTerm: 1,
    batches: batchesFrom(2, 2, 2, 2, 2, 2),
    commitIndex: 2,
  });
  lone.sync();
  return lone;
}

test("a log that contradicts the snapshot goes; what is durable then is what was committed", () => {
  const lone = follower();
  const meta = metaAt(4, 3);
  lone.step(chunkOf(meta));
  assert.equal(lone.out.storeChunks.length, 1);
  lone.core.chunkStored(meta, 1, false);
  assert.deepEqual(lone.drain(), [], "nothing is said before the install is durable");
  assert.equal(lone.work.at(-1)?.install?.keepsLog, false);
  const status = lone.core.status();
  assert.deepEqual([status.lastIndex, status.commitIndex, status.durableIndex], [4, 4, 2]);
  assert.deepEqual(lone.core.applicable(1, 1_000), [], "nothing is applied meanwhile");
  const [reply] = lone.sync();
  assert.ok(reply?.kind === MESSAGE.appendReply && reply.index === 4 && !reply.isRejected);
  lone.core.applied(4);
  assert.equal(lone.core.applicableIndex, 4);
});

test("chunks of a newer snapshot are let go until the install at hand is over", () => {
  const lone = follower();
  const meta = metaAt(4, 3);
  lone.step(chunkOf(meta));
  lone.core.chunkStored(meta, 1, false);
  lone.drain();
  const newer: SnapshotMeta = { ...metaAt(6, 3), id: "s2" };
  lone.step(chunkOf(newer));
  assert.equal(lone.out.storeChunks.length, 0, "one install at a time");
  lone.sync();
  lone.core.applied(4);
  lone.step(chunkOf(newer));
  assert.equal(lone.out.storeChunks.length, 1, "afterwards it is taken");
});

test("a log that contains the snapshot's last entry stays", () => {
  const lone = follower();
  const meta = metaAt(4, 2);
  lone.step(chunkOf(meta));
  lone.core.chunkStored(meta, 1, false);
  lone.drain();
  assert.equal(lone.work.at(-1)?.install?.keepsLog, true);
  assert.equal(lone.core.lastIndex, 6);
});

test("a snapshot that is not ahead of the commit index is answered, not taken", () => {
  const lone = follower();
  const [reply] = lone.step(chunkOf(metaAt(2, 2)));
  assert.ok(reply?.kind === MESSAGE.appendReply && reply.index === 2);
  assert.equal(lone.out.storeChunks.length, 0);
});

test("a damaged snapshot is refused", () => {
  const lone = follower();
  const meta = metaAt(4, 3);
  lone.step(chunkOf(meta));
  lone.core.chunkStored(meta, 0, true);
  const [reply] = lone.drain();
  assert.ok(reply?.kind === MESSAGE.snapshotReply && reply.isRejected && reply.nextChunk === 0);
});

test("all chunks there, but damaged: nothing is installed, and the first chunk is taken again", () => {
  const lone = follower();
  const meta = metaAt(4, 3);
  lone.step(chunkOf(meta));
  lone.core.chunkStored(meta, 1, true);
  const [reply, ...more] = lone.drain();
  assert.ok(reply?.kind === MESSAGE.snapshotReply && reply.isRejected && reply.nextChunk === 0);
  assert.deepEqual([more, lone.work], [[], []]);
  assert.deepEqual([lone.core.commitIndex, lone.core.lastIndex], [2, 6]);
  lone.step(chunkOf(meta));
  assert.equal(lone.out.storeChunks.length, 1);
  lone.core.chunkStored(meta, 1, false);
  lone.drain();
  assert.equal(lone.core.commitIndex, 4);
});

test("a snapshot behind the end of the log takes its place, also when the terms go on", () => {
  const lone = follower();
  const meta = metaAt(9, 2);
  lone.step(chunkOf(meta));
  lone.core.chunkStored(meta, 1, false);
  lone.drain();
  assert.equal(lone.work.at(-1)?.install?.keepsLog, false);
  assert.deepEqual([lone.core.status().firstIndex, lone.core.lastIndex], [10, 9]);
});

test("a peer that cannot keep a snapshot is asked again after an election timeout, not at once and for ever", () => {
  const lone = leading();
  lone.sync();
  lone.step(accept("b", 2));
  lone.core.applied(2);
  const meta = { ...metaAt(2, 2), sizeBytes: 9, chunkCount: 3 };
  lone.core.snapshotTaken(meta);
  lone.core.compact(2);
  const chunks = (): number[] => lone.out.chunks.map(({ chunk }) => chunk);
  lone.step({ ...accept("c", 1), isRejected: true } as Message);
  assert.deepEqual(chunks(), [0, 1]);
  const head = {
    kind: MESSAGE.snapshotReply,
    from: "c",
    to: "a",
    term: 2,
    snapshotId: "s1",
  } as const;
  lone.step({ ...head, nextChunk: 1, isRejected: false });
  assert.deepEqual(chunks(), [2]);
  lone.step({ ...head, nextChunk: 0, isRejected: true });
  assert.deepEqual(chunks(), []);
  const sent: number[][] = [];
  for (let i = 0; i < 10; i++) {
    lone.core.tick();
    for (const id of ["b", "c"]) {
      lone.step(heard(id));
      sent.push(chunks());
    }
  }
  assert.deepEqual(sent.flat(), [0, 1]);
  assert.deepEqual(sent.at(-2), [0, 1], "only with the last tick");
});

test("chunks of a wrong length are dropped", () => {
  const lone = follower();
  lone.step({ ...chunkOf(metaAt(4, 3)), bytes: new Uint8Array(2) });
  lone.step({ ...chunkOf(metaAt(4, 3)), chunk: 1 });
  assert.equal(lone.core.state.droppedMessages, 2);
});

test("an abstainer neither votes nor campaigns until it durably holds what a leader has committed", () => {
  const hardState = { term: 5, vote: "", abstains: true };
  const memberships = new Lone().core.state.log.memberships.slice(-1);
  const terms = [{ firstIndex: 1, term: 1 }];
  const lone = new Lone({}, { ...EMPTY_START, hardState, lastIndex: 1, terms, memberships });
  const ask = { from: "c", to: "a", lastIndex: 9, lastTerm: 5, isTransfer: false };
  lone.tick(30);
  assert.equal(lone.core.state.role, ROLE.follower);
  const refusal = lone.step({ kind: MESSAGE.preVote, ...ask, term: 6 })[0];
  assert.ok(refusal?.kind === MESSAGE.preVoteReply && !refusal.isGranted);
  for (const isTransfer of [false, true]) {
    const { term } = lone.core;
    lone.step({ kind: MESSAGE.vote, ...ask, term: term + 1, isTransfer });
    assert.deepEqual(lone.work.at(-1)?.hardState, { term: term + 1, vote: "", abstains: true });
    const noVote = lone.sync()[0];
    assert.ok(noVote?.kind === MESSAGE.voteReply && !noVote.isGranted);
  }

  const head = { kind: MESSAGE.append, from: "b", to: "a", term: 7 } as const;
  const old = {
    ...head,
    previousIndex: 1,
    previousTerm: 1,
    batches: batchesFrom(2, 4),
    commitIndex: 2,
  };
  lone.step(old);
  lone.sync();
  assert.equal(lone.core.status().abstains, true, "nothing of the leader's term is committed");
  lone.step({
    ...head,
    previousIndex: 2,
    previousTerm: 4,
    batches: batchesFrom(3, 7),
    commitIndex: 3,
  });
  assert.equal(lone.core.status().abstains, true, "it is not durable");
  lone.sync();
  assert.equal(lone.core.status().abstains, false);
  assert.deepEqual(lone.work.at(-1)?.hardState, { term: 7, vote: "b", abstains: false });
});

test("an abstainer commits nothing that its leader merely remembers it to have had", () => {
  // The damage took what had replaced entries 2 to 4 of term 2, and the cut brought these back.
  const hardState = { term: 7, vote: "", abstains: true };
  const memberships = new Lone().core.state.log.memberships.slice(-1);
  const terms = [
    { firstIndex: 1, term: 1 },
    { firstIndex: 2, term: 2 },
  ];
  const lone = new Lone({}, { ...EMPTY_START, hardState, lastIndex: 4, terms, memberships });
  const head = { from: "b", to: "a", term: 7 } as const;
  const heartbeat = { kind: MESSAGE.heartbeat, ...head, commitIndex: 4, readRound: 0 } as const;
  lone.step(heartbeat);
  assert.equal(lone.core.commitIndex, 0, "nothing is known to match");
  const probe = { previousIndex: 1, previousTerm: 1, batches: [], commitIndex: 4 };
  lone.step({ kind: MESSAGE.append, ...head, ...probe });
  lone.step(heartbeat);
  assert.equal(lone.core.commitIndex, 1, "what the probe has shown to match");
});

test("an abstainer lets an idle leader know that it has to probe", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  cluster.propose("a", "x");
  cluster.settle();
  cluster.run(3);
  cluster.crash("c");
  const { disk, app } = cluster.node("c");
  disk.entries.length = 2;
  disk.hardState = { ...disk.hardState, abstains: true };
  app.index = Math.min(app.index, 2);
  app.digests.length = app.index;
  cluster.restart("c");
  cluster.run(10);
  assert.equal(cluster.node("c").core.status().abstains, false);
  assert.deepEqual(cluster.node("c").values, ["x"]);
});
