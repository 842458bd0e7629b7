/** Campaigns, stickiness, handing over: DESIGN.md 6-13. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CHANGE,
  MESSAGE,
  type Message,
  type PreVote,
  ROLE,
  type Vote,
} from "../../src/raft/index.ts";
import { Cluster } from "./support/cluster.ts";
import { accept, batchesFrom, heard, leading, Lone } from "./support/lone.ts";

const VOTE: Omit<Vote, "kind"> = {
  from: "b",
  to: "a",
  term: 2,
  lastIndex: 1,
  lastTerm: 1,
  isTransfer: false,
};
const HEARTBEAT = {
  kind: MESSAGE.heartbeat,
  from: "c",
  to: "a",
  term: 2,
  commitIndex: 0,
  readRound: 0,
} as const;

test("three members elect, replicate, commit and apply", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  cluster.propose("a", "x", "y");
  cluster.settle();
  assert.deepEqual(cluster.node("a").values, ["x", "y"]);
  // The next heartbeat tells the others.
  cluster.run(3);
  for (const id of ["a", "b", "c"]) assert.deepEqual(cluster.node(id).values, ["x", "y"], id);
});

test("silence leads to a pre-vote, which changes no term", () => {
  const lone = new Lone();
  assert.deepEqual(lone.tick(9), []);
  const messages = lone.tick();
  assert.deepEqual(
    messages.map(({ kind, term }) => [kind, term]),
    [
      [MESSAGE.preVote, 2],
      [MESSAGE.preVote, 2],
    ],
  );
  assert.equal(lone.core.term, 1);
  assert.equal(lone.core.state.role, ROLE.preCandidate);
});

test("pre-votes for an older question do not count", () => {
  const lone = new Lone();
  lone.tick(10);
  const reply = {
    kind: MESSAGE.preVoteReply,
    from: "b",
    to: "a",
    term: 1,
    isGranted: true,
  } as const;
  lone.step({ ...reply, askedTerm: 1 });
  assert.equal(lone.core.state.role, ROLE.preCandidate);
  lone.step({ ...reply, askedTerm: 2 });
  assert.equal(lone.core.state.role, ROLE.candidate);
});

test("votes and pre-votes are refused while a leader is alive, and given when it is not", () => {
  const lone = new Lone();
  lone.step(HEARTBEAT);
  lone.sync();
  assert.deepEqual(lone.step({ kind: MESSAGE.vote, ...VOTE, term: 3 }), []);
  assert.equal(lone.core.term, 2);
  const preVote: PreVote = {
    kind: MESSAGE.preVote,
    from: "b",
    to: "a",
    term: 3,
    lastIndex: 1,
    lastTerm: 1,
  };
  const refusal = lone.step(preVote)[0];
  assert.ok(refusal?.kind === MESSAGE.preVoteReply && !refusal.isGranted);
  lone.tick(10);
  const grant = lone.step(preVote).at(-1);
  assert.ok(grant?.kind === MESSAGE.preVoteReply && grant.isGranted);
  lone.step({ kind: MESSAGE.vote, ...VOTE, term: 3 });
  const vote = lone.sync().at(-1);
  assert.ok(vote?.kind === MESSAGE.voteReply && vote.isGranted);
});

test("a second candidate of a term gets no vote, the same one gets it again", () => {
  const lone = new Lone();
  lone.step({ kind: MESSAGE.vote, ...VOTE });
  lone.sync();
  const other = lone.step({ kind: MESSAGE.vote, ...VOTE, from: "c" })[0];
  assert.ok(other?.kind === MESSAGE.voteReply && !other.isGranted);
  const same = lone.step({ kind: MESSAGE.vote, ...VOTE })[0];
  assert.ok(same?.kind === MESSAGE.voteReply && same.isGranted);
});

test("no vote and no pre-vote for a log that is behind, by term before length", () => {
  const lone = new Lone();
  const batches = batchesFrom(2, 2, 2);
  const place = { previousIndex: 1, previousTerm: 1, batches, commitIndex: 0, from: "c", to: "a" };
  lone.step({ kind: MESSAGE.append, term: 2, ...place });
  lone.sync();
  lone.tick(10);
  for (const [lastIndex, lastTerm, isGranted] of [
    [2, 2, false],
    [9, 1, false],
    [3, 2, true],
  ] as const) {
    const term = lone.core.term + 2;
    lone.step({ kind: MESSAGE.preVote, from: "b", to: "a", term, lastIndex, lastTerm });
    lone.step({ kind: MESSAGE.vote, ...VOTE, term, lastIndex, lastTerm });
    const answers = [...lone.sent, ...lone.sync()].filter(
      (m) => m.kind === MESSAGE.voteReply || m.kind === MESSAGE.preVoteReply,
    );
    assert.deepEqual(answers.map((m) => m.isGranted).at(-1), isGranted, `${lastTerm}.${lastIndex}`);
  }
});

test("votes, too, go only to logs that are up to date", () => {
  for (const isTransfer of [false, true]) {
    for (const [lastIndex, lastTerm, isGranted] of [
      [2, 2, false],
      [9, 1, false],
      [3, 2, true],
      [1, 3, true],
    ] as const) {
      const lone = new Lone();
      const batches = batchesFrom(2, 2, 2);
      const place = { previousIndex: 1, previousTerm: 1, batches, commitIndex: 0 };
      lone.step({ kind: MESSAGE.append, term: 2, ...place, from: "c", to: "a" });
      lone.sync();
      lone.tick(10);
      lone.step({ kind: MESSAGE.vote, ...VOTE, term: 9, lastIndex, lastTerm, isTransfer });
      const reply = lone.sync().at(-1);
      assert.ok(reply?.kind === MESSAGE.voteReply && reply.term === 9);
      assert.equal(reply.isGranted, isGranted, `${lastTerm}.${lastIndex}`);
      assert.equal(lone.core.status().vote, isGranted ? "b" : "");
    }
  }
});

test("a transfer sends one TimeoutNow per heartbeat, and nothing else to a target that has everything", () => {
  const lone = leading();
  lone.sync();
  lone.step(accept("b", 2));
  lone.step(accept("c", 2));
  assert.equal(lone.core.transfer("b"), null);
  const kinds = (messages: readonly Message[]): number[] => messages.map(({ kind }) => kind);
  assert.deepEqual(kinds(lone.drain()), [MESSAGE.timeoutNow]);
  for (let i = 0; i < 3; i++) assert.deepEqual(lone.step(heard("b")), []);
  lone.tick(2);
  assert.deepEqual(kinds(lone.step(heard("b"))), [MESSAGE.timeoutNow], "the first may be lost");
  assert.deepEqual(lone.step(heard("b")), []);
});

test("a transfer to a member that lacks entries begins with them", () => {
  const lone = leading();
  lone.sync();
  lone.step(accept("b", 2));
  lone.core.unreachable("c");
  assert.equal(lone.core.transfer("c"), null);
  assert.deepEqual(lone.drain(), [], "c may be gone");
  assert.deepEqual(
    lone.step(heard("c")).map(({ kind, to }) => [kind, to]),
    [[MESSAGE.append, "c"]],
  );
  const last = lone.step(accept("c", 2)).at(-1);
  assert.deepEqual([last?.kind, last?.to], [MESSAGE.timeoutNow, "c"]);
});

test("a member that was cut off comes back without disturbing the leader", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  const { term } = cluster.node("a").core;
  cluster.isolate("c");
  cluster.run(100);
  cluster.heal();
  cluster.run(30);
  assert.equal(cluster.leader?.id, "a");
  assert.equal(cluster.node("a").core.term, term);
});

test("a leader that hears nobody follows", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  cluster.cut("b", "a", true);
  cluster.cut("c", "a", true);
  cluster.run(10);
  assert.equal(cluster.node("a").core.isLeader, false);
  cluster.run(60);
  assert.ok(["b", "c"].includes(cluster.leader?.id ?? ""));
});

test("a transfer hands over, refuses proposals meanwhile, and ends by itself", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  cluster.node("b").isDiskHeld = true;
  cluster.propose("a", "x");
  cluster.settle();
  assert.equal(
    cluster.input("a", (core) => core.transfer("b")),
    null,
  );
  const refusal = cluster.propose("a", "y");
  assert.ok(!refusal.ok && refusal.refusal === "transferring");
  for (let i = 0; i < 10; i++) {
    cluster.tick("a");
    cluster.settle();
  }
  assert.ok(cluster.propose("a", "y").ok, "the flag is gone after an election timeout");
  cluster.node("b").isDiskHeld = false;
  cluster.settle();
  assert.equal(
    cluster.input("a", (core) => core.transfer("b")),
    null,
  );
  cluster.settle();
  assert.equal(cluster.leader?.id, "b");
  assert.notEqual(
    cluster.input("b", (core) => core.transfer("z")),
    null,
  );
});

test("a learner never campaigns, nor does a member without a configuration", () => {
  const cluster = new Cluster({ voters: 1, strangers: 2 });
  cluster.elect("a");
  assert.ok(cluster.change("a", [CHANGE.addLearner, "b"]).ok);
  cluster.settle();
  cluster.isolate("a");
  cluster.run(60);
  for (const id of ["b", "c"]) assert.equal(cluster.node(id).core.state.role, ROLE.follower, id);
});

test("messages that make no sense are dropped and counted", () => {
  const lone = new Lone();
  const bad = [
    { ...HEARTBEAT, term: 2 ** 53 },
    { ...HEARTBEAT, commitIndex: -1 },
    { ...HEARTBEAT, to: "b" },
    { ...HEARTBEAT, readRound: Number.NaN },
  ];
  for (const message of bad) lone.step(message);
  assert.equal(lone.core.state.droppedMessages, bad.length);
  assert.equal(lone.core.term, 1);
});
