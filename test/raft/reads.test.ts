/** Linearizable reads: DESIGN.md 29-32. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CHANGE,
  type Heartbeat,
  MESSAGE,
  type Message,
  type ReadIndexRequest,
} from "../../src/raft/index.ts";
import { Cluster } from "./support/cluster.ts";
import { accept, heard, leading, type Lone } from "./support/lone.ts";

function led(): Cluster {
  const cluster = new Cluster();
  cluster.elect("a");
  return cluster;
}

test("a leader grants a read after a quorum has confirmed a round that began after it arrived", () => {
  const cluster = led();
  cluster.read("a");
  assert.deepEqual(cluster.node("a").granted, []);
  cluster.settle();
  assert.deepEqual(cluster.node("a").granted, [
    { id: 1, index: cluster.node("a").core.commitIndex },
  ]);
});

test("a confirmation of an earlier round does not count for a later read", () => {
  const cluster = led();
  cluster.read("a");
  const early = cluster.network.splice(0).filter(({ to }) => to === "b");
  for (const message of early) cluster.step(message);
  const echo = cluster.network.find(({ kind }) => kind === MESSAGE.heartbeatReply);
  assert.ok(echo !== undefined);
  cluster.settle();
  cluster.network.length = 0;
  cluster.read("a");
  cluster.network.length = 0;
  cluster.step(echo);
  assert.equal(cluster.node("a").granted.length, 1);
});

test("a leader that was replaced grants nothing", () => {
  const cluster = led();
  cluster.isolate("a");
  cluster.elect("b");
  cluster.propose("b", "x");
  cluster.settle();
  cluster.read("a");
  cluster.run(5);
  assert.deepEqual(cluster.node("a").granted, []);
  cluster.heal();
  cluster.run(20);
  assert.equal(cluster.node("a").granted.length, 1, "it is answered in the end");
});

test("a follower that is granted an index hears at once that it is committed", () => {
  const cluster = led();
  // It has the entry, but the leader does not know that: heartbeats do not speak of it.
  cluster.node("c").isDiskHeld = true;
  cluster.propose("a", "x");
  cluster.settle();
  const { commitIndex } = cluster.node("a").core;
  assert.equal(cluster.node("c").core.commitIndex, commitIndex - 1, "nobody had to tell it yet");
  cluster.read("c");
  cluster.settle();
  assert.deepEqual(
    cluster.node("c").granted.map(({ index }) => index),
    [commitIndex],
  );
  assert.equal(cluster.node("c").core.commitIndex, commitIndex);
});

test("nothing is granted before the first commit of the term", () => {
  const cluster = new Cluster();
  for (const id of ["b", "c"]) cluster.node(id).isDiskHeld = false;
  cluster.elect("a");
  cluster.propose("a", "x");
  cluster.settle();
  // b wins, but its entry cannot be committed.
  cluster.input("a", (core) => core.transfer("b"));
  while (!cluster.node("b").core.isLeader) {
    cluster.deliver();
    for (const id of ["a", "b", "c"]) cluster.sync(id);
  }
  for (const id of ["a", "c"]) cluster.node(id).isDiskHeld = true;
  cluster.read("b");
  cluster.settle();
  assert.deepEqual(cluster.node("b").granted, []);
  for (const id of ["a", "c"]) cluster.node(id).isDiskHeld = false;
  cluster.settle();
  assert.equal(cluster.node("b").granted.length, 1);
});

test("reads wait while leadership is handed over", () => {
  const cluster = led();
  cluster.node("b").isDiskHeld = true;
  cluster.propose("a", "x");
  cluster.settle();
  cluster.input("a", (core) => core.transfer("b"));
  cluster.read("a");
  cluster.read("c");
  cluster.settle();
  assert.deepEqual([cluster.node("a").granted, cluster.node("c").granted], [[], []]);
  cluster.run(15);
  assert.equal(cluster.node("a").granted.length, 1, "the hand-over was given up");
});

/** A leader that has committed in its term. */
function settled(): Lone {
  const lone = leading();
  lone.sync();
  for (const id of ["b", "c"]) lone.step(accept(id, 2));
  lone.drain();
  assert.equal(lone.core.commitIndex, 2);
  return lone;
}

function roundsIn(messages: readonly Message[]): number[] {
  const isToB = (m: Message): m is Heartbeat => m.kind === MESSAGE.heartbeat && m.to === "b";
  return messages.filter(isToB).map(({ readRound }) => readRound);
}

test("one round is under way at a time; the reads of many turns share the next one", () => {
  const lone = settled();
  const begun: number[] = [];
  for (let id = 1; id <= 20; id++) {
    lone.core.read(id);
    begun.push(...roundsIn(lone.drain()));
  }
  assert.deepEqual(begun, [1]);
  assert.deepEqual(roundsIn(lone.step(heard("b", 1))), [2]);
  assert.deepEqual(lone.out.reads, [{ throughId: 1, index: 2, term: 2 }]);
  lone.step(heard("b", 2));
  assert.deepEqual(lone.out.reads, [{ throughId: 20, index: 2, term: 2 }]);
});

test("while leadership is handed over no round begins, and none that began before is granted", () => {
  const lone = settled();
  lone.core.read(1);
  assert.deepEqual(roundsIn(lone.drain()), [1]);
  assert.equal(lone.core.transfer("b"), null);
  lone.core.read(2);
  assert.deepEqual(roundsIn(lone.drain()), []);
  for (const id of ["b", "c"]) {
    lone.step(heard(id, 1));
    assert.deepEqual(lone.out.reads, [], "somebody else may lead already");
  }
  for (let i = 0; i < 10; i++) {
    lone.tick();
    lone.step(heard("b", 1));
  }
  assert.equal(lone.core.status().transferTo, "", "it came to nothing");
  lone.step(heard("b", 2));
  assert.equal(lone.core.state.reads.grantedId, 2);
});

test("a follower has one request under way; who arrives meanwhile rides on the next", () => {
  const cluster = led();
  cluster.read("b");
  cluster.read("b");
  cluster.read("b");
  const requests = cluster.network.filter(({ kind }) => kind === MESSAGE.readIndex);
  assert.equal(requests.length, 1);
  cluster.settle();
  assert.deepEqual(
    cluster.node("b").granted.map(({ id }) => id),
    [1, 2, 3],
  );
  assert.equal(
    cluster.node("b").core.state.reads.requestId - (requests[0] as ReadIndexRequest).requestId,
    1,
  );
});

test("a lost request is repeated with a new id, and the answer to the old one is dropped", () => {
  const cluster = led();
  cluster.read("b");
  const [lost] = cluster.network.splice(0);
  cluster.tick("b", 5);
  const again = cluster.network.findLast(({ kind }) => kind === MESSAGE.readIndex);
  assert.ok(lost?.kind === MESSAGE.readIndex && again?.kind === MESSAGE.readIndex);
  assert.ok(again.requestId > lost.requestId);
  const { term } = lost;
  const reply = { kind: MESSAGE.readIndexReply, from: "a", to: "b", term, index: 1 } as const;
  cluster.step({ ...reply, requestId: lost.requestId });
  assert.deepEqual(cluster.node("b").granted, []);
  cluster.settle();
  assert.equal(cluster.node("b").granted.length, 1);
});

test("the answer of an earlier leader grants nothing", () => {
  const cluster = led();
  cluster.read("b");
  const request = cluster.network.find(
    ({ kind }) => kind === MESSAGE.readIndex,
  ) as ReadIndexRequest;
  const { requestId, term } = request;
  cluster.network.length = 0;
  cluster.elect("c");
  cluster.node("b").granted.length = 0;
  const reply = { kind: MESSAGE.readIndexReply, from: "a", to: "b", term, index: 1 } as const;
  cluster.step({ ...reply, requestId });
  assert.deepEqual(cluster.node("b").granted, []);
});

test("a follower's request is a round by itself where the two are a quorum", () => {
  const cluster = led();
  const { commitIndex } = cluster.node("a").core;
  cluster.isolate("c");
  cluster.read("b");
  const request = cluster.network.shift();
  assert.equal(request?.kind, MESSAGE.readIndex);
  cluster.step(request as Message);
  assert.deepEqual(
    cluster.network.map(({ kind, to }) => [kind, to]),
    [[MESSAGE.readIndexReply, "b"]],
  );
  cluster.settle();
  assert.deepEqual(cluster.node("b").granted, [{ id: 1, index: commitIndex }]);
});

test("a follower's request confirms nothing for the leader's own reads", () => {
  const cluster = led();
  cluster.read("b");
  const [request] = cluster.network.splice(0);
  cluster.read("a");
  cluster.network.length = 0;
  cluster.step(request as Message);
  assert.deepEqual(cluster.node("a").granted, []);
});

test("a question beside the messages is a round by itself where the two are a quorum", () => {
  const cluster = led();
  const { core } = cluster.node("a");
  cluster.isolate("c");
  assert.equal(core.grantRead("b", core.term), core.commitIndex);
  assert.equal(core.grantRead("b", core.term - 1), null, "b was not in this term yet");
  assert.equal(core.grantRead("b", core.term + 1), null, "b may have voted for somebody else");
  assert.equal(core.grantRead("stranger", core.term), null);
  assert.equal(cluster.node("b").core.grantRead("a", core.term), null, "b does not lead");
});

test("a question beside the messages is not answered before the first commit, nor during a hand-over", () => {
  const lone = leading();
  lone.sync();
  assert.equal(lone.core.grantRead("b", lone.core.term), null);
  for (const id of ["b", "c"]) lone.step(accept(id, 2));
  assert.equal(lone.core.grantRead("b", lone.core.term), 2);
  assert.equal(lone.core.transfer("c"), null);
  assert.equal(lone.core.grantRead("b", lone.core.term), null);
});

test("who asks beside the messages hears at once that the index is committed", () => {
  const cluster = led();
  cluster.node("c").isDiskHeld = true;
  cluster.propose("a", "x");
  cluster.settle();
  const { core } = cluster.node("a");
  assert.equal(cluster.node("c").core.commitIndex, core.commitIndex - 1);
  cluster.input("a", () => assert.equal(core.grantRead("c", core.term), core.commitIndex));
  cluster.settle();
  assert.equal(cluster.node("c").core.commitIndex, core.commitIndex);
});

test("with five voters a question beside the messages needs a round, behind which the asker hears of the commit", () => {
  const cluster = new Cluster({ voters: 5 });
  cluster.elect("a");
  const { core } = cluster.node("a");
  assert.equal(core.grantRead("e", core.term), null);
  cluster.node("e").isDiskHeld = true;
  cluster.propose("a", "x");
  cluster.settle();
  const { commitIndex } = core;
  assert.equal(cluster.node("e").core.commitIndex, commitIndex - 1);
  cluster.input("a", () => core.tellCommit("stranger", commitIndex));
  cluster.settle();
  assert.equal(cluster.node("e").core.commitIndex, commitIndex - 1);
  cluster.input("a", () => core.tellCommit("e", commitIndex));
  cluster.settle();
  assert.equal(cluster.node("e").core.commitIndex, commitIndex);
});

test("with five voters a follower's request waits for a round", () => {
  const cluster = new Cluster({ voters: 5 });
  cluster.elect("a");
  cluster.read("b");
  const [request] = cluster.network.splice(0);
  cluster.step(request as Message);
  const kinds = cluster.network.map(({ kind }) => kind);
  assert.deepEqual(kinds, new Array(4).fill(MESSAGE.heartbeat));
  cluster.settle();
  assert.equal(cluster.node("b").granted.length, 1);
});

test("a learner's request waits for a round", () => {
  const cluster = new Cluster({ voters: 2, strangers: 1 });
  cluster.elect("a");
  assert.ok(cluster.change("a", [CHANGE.addLearner, "c"]).ok);
  cluster.settle();
  cluster.isolate("b");
  cluster.read("c");
  cluster.settle();
  assert.deepEqual(cluster.node("c").granted, [], "it and its leader are no quorum");
  cluster.heal();
  cluster.run(10);
  assert.equal(cluster.node("c").granted.length, 1);
});

test("a stranger's request is dropped", () => {
  const cluster = led();
  const { term, state } = cluster.node("a").core;
  cluster.step({ kind: MESSAGE.readIndex, from: "z", to: "a", term, requestId: 1 });
  assert.equal(state.droppedMessages, 1);
});
