/** What must be on stable storage before it is promised, counted or applied: DESIGN.md 1-5. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Append,
  type AppendReply,
  CHANGE,
  MESSAGE,
  type Message,
  ROLE,
} from "../../src/raft/index.ts";
import { Cluster, entriesOf } from "./support/cluster.ts";
import { batchesFrom, Lone } from "./support/lone.ts";

function append(over: Partial<Append>): Append {
  return {
    kind: MESSAGE.append,
    from: "b",
    to: "a",
    term: 2,
    previousIndex: 1,
    previousTerm: 1,
    batches: [],
    commitIndex: 0,
    ...over,
  };
}

function repliesIn(messages: readonly Message[]): AppendReply[] {
  return messages.filter((message) => message.kind === MESSAGE.appendReply);
}

test("a follower acknowledges entries when they are durable, not before", () => {
  const lone = new Lone();
  assert.deepEqual(lone.step(append({ batches: batchesFrom(2, 2, 2) })), []);
  assert.deepEqual(
    repliesIn(lone.sync()).map(({ index }) => index),
    [3],
  );
});

test("a rejection waits for the term that the append brought", () => {
  const lone = new Lone();
  assert.deepEqual(lone.step(append({ previousIndex: 9, previousTerm: 2 })), []);
  assert.equal(lone.work[0]?.hardState?.term, 2);
  const [reply] = repliesIn(lone.sync());
  assert.equal(reply?.isRejected, true);
});

test("a vote leaves when it is durable", () => {
  const lone = new Lone();
  const vote = { from: "b", to: "a", lastIndex: 1, lastTerm: 1, isTransfer: false, term: 2 };
  assert.deepEqual(lone.step({ kind: MESSAGE.vote, ...vote }), []);
  assert.deepEqual(lone.work.at(-1)?.hardState, { term: 2, vote: "b", abstains: false });
  const [reply] = lone.sync();
  assert.ok(reply?.kind === MESSAGE.voteReply && reply.isGranted);
});

test("a late report does not count for entries that were truncated meanwhile", () => {
  const lone = new Lone();
  lone.step(append({ batches: batchesFrom(2, 2, 2, 2, 2, 2) }));
  const first = lone.work.at(-1);
  lone.step(
    append({ from: "c", term: 3, previousIndex: 2, previousTerm: 2, batches: batchesFrom(3, 3) }),
  );
  assert.ok(first !== undefined);
  lone.core.durable(first.sequence, first.term);
  assert.equal(lone.core.status().durableIndex, 2);
  assert.equal(lone.core.lastIndex, 3);
  lone.drain();
  lone.sync();
  assert.equal(lone.core.status().durableIndex, 3);
});

test("a report of another term than that of the work stops the process", () => {
  const lone = new Lone();
  lone.step(append({ batches: batchesFrom(2, 2) }));
  const { sequence, term } = lone.work.at(-1) as { sequence: number; term: number };
  assert.throws(() => lone.core.durable(sequence, term + 1), /is of term 2, not 3/);
});

test("what is committed is applied only when it is durable here, too", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  const before = cluster.node("a").core.applicableIndex;
  cluster.node("a").isDiskHeld = true;
  cluster.propose("a", "x");
  cluster.settle();
  const { core } = cluster.node("a");
  assert.equal(core.commitIndex, before + 1);
  assert.equal(core.applicableIndex, before);
  cluster.node("a").isDiskHeld = false;
  cluster.settle();
  assert.equal(core.applicableIndex, before + 1);
});

test("a leader whose disk hangs longer than an election timeout follows and sends no heartbeats", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  const node = cluster.node("a");
  node.isDiskHeld = true;
  cluster.propose("a", "x");
  for (let i = 0; i < 10; i++) {
    cluster.tick("a");
    cluster.settle();
  }
  assert.equal(node.core.isLeader, true);
  cluster.tick("a");
  assert.equal(node.core.isLeader, false);
  cluster.settle();
  cluster.tick("a", 50);
  assert.equal(node.core.state.role, ROLE.follower);
  assert.deepEqual(cluster.network, []);
});

test("a leader whose disk is behind but writes goes on leading, whatever the age of a piece", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  const node = cluster.node("a");
  node.isDiskHeld = true;
  for (let i = 0; i < 8; i++) cluster.propose("a", `x${i}`);
  for (let i = 0; i < 40; i++) {
    cluster.tick("a");
    if (i % 9 === 8) cluster.sync("a", 1);
    cluster.settle();
    assert.equal(node.core.isLeader, true, `tick ${i}`);
  }
  assert.ok(node.work.length > 0, "the newest pieces waited all the time");
  for (let i = 0; i < 11; i++) {
    cluster.tick("a");
    cluster.settle();
  }
  assert.equal(node.core.isLeader, false);
});

test("a leader whose disk writes, but is ten election timeouts behind, follows", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  const node = cluster.node("a");
  node.isDiskHeld = true;
  let ticks = 0;
  while (node.core.isLeader && ticks < 400) {
    // More comes in than the disk takes.
    cluster.propose("a", `x${ticks}`);
    cluster.propose("a", `y${ticks}`);
    cluster.tick("a");
    cluster.sync("a", 1);
    cluster.settle();
    ticks += 1;
  }
  assert.ok(ticks > 100 && ticks < 400, `followed after ${ticks} ticks`);
});

test("answers that wait for a hanging disk are merged", () => {
  const lone = new Lone();
  lone.step(append({ batches: batchesFrom(2, 2) }));
  for (let i = 0; i < 100; i++) lone.step(append({ previousIndex: 50, previousTerm: 2 }));
  for (let i = 0; i < 100; i++) lone.step(append({ batches: batchesFrom(2, 2) }));
  assert.equal(lone.sync().length, 2);
});

test("an idle drain hands out nothing", () => {
  const lone = new Lone();
  lone.drain();
  const { out } = lone;
  const lists = [out.send, out.append, out.reads, out.chunks, out.storeChunks, out.load];
  assert.deepEqual(
    lists.map(({ length }) => length),
    [0, 0, 0, 0, 0, 0],
  );
  assert.equal(out.hasChanged, false);
});

test("a sole voter leads when its vote is durable, and commits when its entry is", () => {
  const cluster = new Cluster({ voters: 1 });
  const { core } = cluster.node("a");
  cluster.input("a", () => core.campaign(7));
  assert.equal(core.isLeader, false);
  cluster.sync("a");
  assert.equal(core.isLeader, true);
  assert.equal(core.term, 7);
  const outcome = cluster.input("a", () => core.propose(entriesOf(["x"]), 5));
  assert.ok(outcome.ok);
  assert.ok(core.commitIndex < outcome.firstIndex);
  cluster.settle();
  assert.equal(core.commitIndex, outcome.firstIndex);
});

test("what a sole voter has appended is certain before it is durable, with its own term and no other voter", () => {
  const cluster = new Cluster({ voters: 1 });
  const { core } = cluster.node("a");
  assert.equal(core.isAlone, false, "does not lead");
  assert.deepEqual(core.certain(2, 1_000), []);
  cluster.input("a", () => core.campaign(7));
  cluster.sync("a");
  cluster.settle();
  assert.ok(cluster.change("a", [CHANGE.addLearner, "b"]).ok);
  cluster.settle();
  assert.equal(core.isAlone, true, "a learner has no vote");
  const outcome = cluster.input("a", () => core.propose(entriesOf(["x", "y"]), 5));
  assert.ok(outcome.ok);
  const { firstIndex } = outcome;
  assert.ok(core.applicableIndex < firstIndex);
  const [batch, ...rest] = core.certain(firstIndex, 0);
  assert.deepEqual([batch?.firstIndex, batch?.count, rest.length], [firstIndex, 2, 0]);
  assert.equal(core.certain(firstIndex + 1, 0)[0]?.firstIndex, firstIndex + 1);
  assert.deepEqual(core.certain(firstIndex + 2, 1_000), [], "behind the end");
  assert.deepEqual(core.certain(1, 1_000), [], "of an earlier term");
  assert.ok(cluster.change("a", [CHANGE.addVoter, "b"]).ok);
  assert.equal(core.isAlone, false, "another voter counts from its entry on");
  assert.deepEqual(core.certain(firstIndex, 1_000), []);
});

test("nothing is certain before it is durable where others vote", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  const { core } = cluster.node("a");
  const outcome = cluster.input("a", () => core.propose(entriesOf(["x"]), 5));
  assert.ok(outcome.ok && core.isLeader);
  assert.equal(core.isAlone, false);
  assert.deepEqual(core.certain(outcome.firstIndex, 1_000), []);
});

test("a leader that is on its way out is not alone, although one voter is left: that is another one", () => {
  const cluster = new Cluster({ voters: 2 });
  cluster.elect("a");
  const { core } = cluster.node("a");
  assert.ok(cluster.change("a", [CHANGE.remove, "a"]).ok);
  const isOtherLeft = (): boolean => {
    const { voters, votersOutgoing } = core.status().membership.membership;
    return voters.length === 1 && votersOutgoing.length === 0;
  };
  for (let i = 0; i < 50 && !isOtherLeft(); i++) {
    cluster.sync("a");
    cluster.sync("b");
    if (cluster.network.length > 0) cluster.deliver();
  }
  assert.ok(isOtherLeft() && core.isLeader, "it leads until that is committed");
  const { lastIndex } = core;
  assert.equal(core.isAlone, false);
  assert.deepEqual(core.certain(lastIndex, 1_000), []);
});
