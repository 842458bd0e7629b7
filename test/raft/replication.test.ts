/** Appends, windows, commit: DESIGN.md 15-28. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Append, BATCH_KIND, type Message, MESSAGE, PROGRESS } from "../../src/raft/index.ts";
import { Cluster, entriesOf } from "./support/cluster.ts";
import { accept, batchesFrom, EMPTY_START, heard, leading, Lone } from "./support/lone.ts";

function append(over: Partial<Append>): Append {
  const head = { kind: MESSAGE.append, from: "b", to: "a", term: 5 };
  return { ...head, previousIndex: 1, previousTerm: 1, batches: [], commitIndex: 0, ...over };
}

function appendsTo(messages: readonly Message[], to: string): Append[] {
  return messages.filter((m) => m.kind === MESSAGE.append && m.to === to) as Append[];
}

test("entries of earlier terms are committed with the first own one, never by counting", () => {
  const start = {
    ...EMPTY_START,
    hardState: { term: 2, vote: "", abstains: false },
    lastIndex: 2,
    terms: [
      { firstIndex: 1, term: 1 },
      { firstIndex: 2, term: 2 },
    ],
    memberships: new Lone().core.state.log.memberships.slice(-1),
  };
  const lone = new Lone({}, start);
  lone.core.campaign();
  lone.step({
    kind: MESSAGE.preVoteReply,
    from: "b",
    to: "a",
    term: 2,
    askedTerm: 3,
    isGranted: true,
  });
  lone.sync();
  lone.step({ kind: MESSAGE.voteReply, from: "b", to: "a", term: 3, isGranted: true });
  lone.sync();
  lone.step({ ...accept("b", 2), term: 3 } as Message);
  assert.equal(lone.core.commitIndex, 0);
  lone.step({ ...accept("b", 3), term: 3 } as Message);
  assert.equal(lone.core.commitIndex, 3);
});

test("a short or old append cuts nothing off", () => {
  const lone = new Lone();
  lone.step(append({ batches: batchesFrom(2, 2, 2, 3) }));
  lone.step(append({ batches: batchesFrom(2, 2) }));
  lone.step(append({}));
  assert.equal(lone.core.lastIndex, 4);
});

test("a conflict replaces exactly what differs, also inside of a batch", () => {
  const lone = new Lone();
  const three = { ...entriesOf(["p", "q", "r"]), kind: BATCH_KIND.entries, appendedAtMs: 0 };
  lone.step(append({ batches: [{ ...three, firstIndex: 2, term: 2 }] }));
  lone.step(append({ previousIndex: 2, previousTerm: 2, batches: batchesFrom(3, 4) }));
  assert.equal(lone.core.lastIndex, 3);
  assert.deepEqual(
    lone.core.state.log.spans.map(({ firstIndex, term }) => [firstIndex, term]),
    [
      [1, 1],
      [2, 2],
      [3, 4],
    ],
  );
  assert.equal(lone.core.state.log.tail.at(-2)?.count, 1);
});

test("a conflict with a committed entry stops the process", () => {
  const lone = new Lone();
  lone.step(append({ batches: batchesFrom(2, 2), commitIndex: 2 }));
  assert.throws(
    () => lone.step(append({ batches: batchesFrom(2, 3) })),
    /committed entry conflicts/,
  );
});

test("appends that lie about their order are dropped and counted", () => {
  const lone = new Lone();
  const bad = [
    append({ batches: batchesFrom(3, 2) }),
    append({ batches: batchesFrom(2, 3, 2) }),
    append({ batches: batchesFrom(2, 6) }),
    append({ previousIndex: 0, previousTerm: 1 }),
  ];
  for (const message of bad) lone.step(message);
  assert.equal(lone.core.state.droppedMessages, bad.length);
  assert.equal(lone.core.lastIndex, 1);
});

test("an append raises the commit index no further than what it matched", () => {
  const lone = new Lone();
  lone.step(append({ term: 2, batches: batchesFrom(2, 2, 2, 2) }));
  // The next leader has other entries from 4 on, and has committed them: ours at 4 must not pass for them.
  lone.step(append({ previousIndex: 2, previousTerm: 2, commitIndex: 4 }));
  assert.equal(lone.core.commitIndex, 2);
  lone.step(append({ batches: batchesFrom(2, 2, 2), commitIndex: 4 }));
  assert.equal(lone.core.commitIndex, 3);
  // What is committed matches, however short the append.
  lone.step(append({ commitIndex: 4 }));
  assert.equal(lone.core.commitIndex, 3);
});

test("a heartbeat tells a peer only of what it has, and a peer believes no more than it has", () => {
  const lone = leading();
  lone.step(accept("b", 2));
  lone.sync();
  lone.core.propose(entriesOf(["x"]), 1);
  lone.drain();
  lone.sync();
  lone.step(accept("c", 3));
  assert.equal(lone.core.commitIndex, 3);
  const told = lone.tick(2).flatMap((m) => (m.kind === MESSAGE.heartbeat ? [m] : []));
  assert.deepEqual(
    told.map(({ to, commitIndex }) => [to, commitIndex]),
    [
      ["b", 2],
      ["c", 3],
    ],
  );

  const follower = new Lone();
  follower.step(append({ batches: batchesFrom(2, 2, 2) }));
  const heartbeat = { kind: MESSAGE.heartbeat, from: "b", to: "a", term: 5, readRound: 0 } as const;
  follower.step({ ...heartbeat, commitIndex: 2 });
  assert.equal(follower.core.commitIndex, 2);
  follower.step({ ...heartbeat, commitIndex: 9 });
  assert.equal(follower.core.commitIndex, 3);
  const rejection = follower.sync().find((m) => m.kind === MESSAGE.appendReply && m.isRejected);
  assert.ok(rejection !== undefined, "the leader learns that entries are missing");
});

test("term hints find the place where logs part in one round per term", () => {
  const lone = new Lone();
  lone.step(append({ batches: batchesFrom(2, 2, 2, 2, 3, 3, 3) }));
  lone.sync();
  const [reply] = lone.step(append({ previousIndex: 7, previousTerm: 2 }));
  assert.ok(reply?.kind === MESSAGE.appendReply && reply.isRejected);
  assert.deepEqual([reply.hintIndex, reply.hintTerm], [4, 2]);
});

test("the window of messages holds a leader back, and opens with an acknowledgement", () => {
  const lone = leading({ inflightMaxMessages: 2, appendMaxBytes: 1 });
  lone.step(accept("b", 2));
  const sent: Append[] = [];
  for (let i = 0; i < 5; i++) {
    assert.ok(lone.core.propose(entriesOf([`v${i}`]), 1).ok);
    sent.push(...appendsTo(lone.drain(), "b"));
  }
  assert.equal(sent.length, 2);
  assert.equal(appendsTo(lone.step(accept("b", 3)), "b").length, 1);
  const peer = lone.core.status().peers.find(({ id }) => id === "b");
  assert.deepEqual([peer?.inflightMessages, peer?.nextIndex, peer?.matchIndex], [2, 6, 3]);
});

test("the window of bytes holds a leader back, too", () => {
  const lone = leading({ inflightMaxBytes: 64, appendMaxBytes: 1 });
  lone.step(accept("b", 2));
  for (let i = 0; i < 5; i++) lone.core.propose(entriesOf(["0123456789abcdef"]), 1);
  assert.equal(appendsTo(lone.drain(), "b").length, 2);
});

test("a peer that probes gets one append until it answers or shows life", () => {
  const lone = leading();
  lone.core.propose(entriesOf(["x"]), 1);
  assert.equal(appendsTo(lone.drain(), "c").length, 0);
  assert.equal(appendsTo(lone.step(heard("c")), "c").length, 1);
});

test("a match falls when the peer disowns it, and its old acknowledgement no longer counts", () => {
  const lone = leading();
  lone.step(accept("b", 2));
  lone.core.propose(entriesOf(["x"]), 1);
  lone.drain();
  lone.step(accept("b", 3));
  const rejection = { ...accept("b", 0), isRejected: true, hintIndex: 1, hintTerm: 1 } as Message;
  lone.step({ ...rejection, index: 9 } as Message);
  lone.step({ ...rejection, index: 3 } as Message);
  const peer = lone.core.status().peers.find(({ id }) => id === "b");
  assert.deepEqual([peer?.matchIndex, peer?.nextIndex, peer?.state], [0, 2, PROGRESS.probe]);
  assert.equal(lone.core.commitIndex, 0);
  lone.sync();
  assert.equal(lone.core.commitIndex, 0);
});

test("uncommitted bytes are bounded, and one proposal always passes", () => {
  const cluster = new Cluster({ options: { uncommittedMaxBytes: 40 } });
  cluster.elect("a");
  const big = "x".repeat(200);
  assert.ok(cluster.propose("a", big).ok);
  const refusal = cluster.propose("a", "y");
  assert.ok(!refusal.ok && refusal.refusal === "uncommitted_bytes");
  cluster.settle();
  assert.ok(cluster.propose("a", "y").ok);
  assert.equal(cluster.node("a").core.status().uncommittedBytes, 24);
});

test("log time never decreases, also under the next leader", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  cluster.nowMs = 5_000;
  cluster.propose("a", "x");
  cluster.settle();
  cluster.nowMs = 3_000;
  cluster.elect("b");
  const outcome = cluster.propose("b", "y");
  assert.ok(outcome.ok && outcome.appendedAtMs === 5_000);
});

test("a slow peer is served from the log view, and waits while it is read", () => {
  const cluster = new Cluster({ options: { tailMaxBytes: 0 } });
  cluster.elect("a");
  cluster.isolate("c");
  for (let i = 0; i < 30; i++) {
    cluster.propose("a", `v${i}`);
    cluster.settle();
  }
  cluster.node("a").disk.isCold = true;
  cluster.heal();
  cluster.run(10);
  assert.equal(cluster.node("a").disk.isCold, false, "the disk was asked");
  assert.deepEqual(cluster.node("c").values, cluster.node("a").values);
});
