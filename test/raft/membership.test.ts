/** Configurations and their changes: DESIGN.md 41-46. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AppendWork,
  BATCH_KIND,
  CHANGE,
  createOutput,
  type Membership,
  MESSAGE,
  type NodeId,
  RaftCore,
  ROLE,
} from "../../src/raft/index.ts";
import { changedMembership, withoutOutgoing } from "../../src/raft/membership.ts";
import { hasQuorum, quorumIndex } from "../../src/raft/quorum.ts";
import { Cluster, memberOf } from "./support/cluster.ts";
import { accept, EMPTY_START, Lone, LONE_OPTIONS } from "./support/lone.ts";

function voting(...ids: NodeId[]): Membership {
  return {
    members: ids.map(memberOf),
    voters: ids,
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
  };
}

function votersOf(cluster: Cluster, id: NodeId): readonly NodeId[] {
  return cluster.node(id).core.status().membership.membership.voters;
}

test("a joint configuration decides only when both of its halves do", () => {
  const joint = { ...voting("a", "b", "c"), votersOutgoing: ["c", "d", "e"] };
  const reached = new Map([
    ["a", 9],
    ["b", 9],
    ["c", 5],
    ["d", 3],
    ["e", 1],
  ]);
  assert.equal(
    quorumIndex(joint, (id) => reached.get(id) ?? 0),
    3,
  );
  assert.equal(
    hasQuorum(joint, (id) => ["a", "b", "c"].includes(id)),
    false,
  );
  assert.equal(
    hasQuorum(joint, (id) => ["b", "c", "d"].includes(id)),
    true,
  );
  const mirrored = { ...joint, voters: joint.votersOutgoing, votersOutgoing: joint.voters };
  assert.equal(
    quorumIndex(mirrored, (id) => reached.get(id) ?? 0),
    3,
  );
  assert.equal(
    hasQuorum(mirrored, (id) => ["a", "b", "c"].includes(id)),
    false,
  );
  assert.equal(
    hasQuorum(voting(), () => true),
    false,
  );
});

/** a leads a, b, c and has appended the change to a, d, e; d and e have everything before. */
function joint(): Cluster {
  const cluster = new Cluster({ voters: 3, strangers: 2 });
  cluster.elect("a");
  cluster.change("a", [CHANGE.addLearner, "d"], [CHANGE.addLearner, "e"]);
  cluster.run(5);
  for (const id of ["b", "c", "d", "e"]) cluster.isolate(id);
  const changes = [
    [CHANGE.remove, "b"],
    [CHANGE.remove, "c"],
    [CHANGE.addVoter, "d"],
    [CHANGE.addVoter, "e"],
  ] as const;
  assert.ok(
    cluster.change("a", ...changes.map(([kind, id]): [typeof kind, NodeId] => [kind, id])).ok,
  );
  return cluster;
}

function connect(cluster: Cluster, ...ids: readonly NodeId[]): void {
  cluster.heal();
  for (const id of cluster.nodes.keys()) if (!ids.includes(id)) cluster.isolate(id);
}

/** a starts with the same change in its log and has pre-votes of these. */
function jointAsking(voters: readonly NodeId[]): Lone {
  const change = { ...voting("a", "d", "e"), votersOutgoing: ["a", "b", "c"] };
  const members = ["a", "b", "c", "d", "e"].map(memberOf);
  const start = {
    ...EMPTY_START,
    hardState: { term: 1, vote: "", abstains: false },
    lastIndex: 2,
    terms: [{ firstIndex: 1, term: 1 }],
    memberships: [
      { index: 1, membership: voting("a", "b", "c") },
      { index: 2, membership: { ...change, members } },
    ],
  };
  const lone = new Lone({}, start);
  lone.core.campaign();
  const asked = lone.drain().map(({ to }) => to);
  assert.deepEqual(asked, ["b", "c", "d", "e"]);
  const head = { kind: MESSAGE.preVoteReply, to: "a", term: 1, isGranted: true } as const;
  for (const from of voters) lone.step({ ...head, from, askedTerm: 2 });
  return lone;
}

/** Each half of the joint configuration with the leader, and a mixture that has a majority of both. */
const HALVES = [
  { ids: ["a", "b", "c"], decides: false },
  { ids: ["a", "d", "e"], decides: false },
  { ids: ["a", "b", "d"], decides: true },
] as const;

for (const { ids, decides } of HALVES) {
  test(`while joint, ${ids.join(", ")} ${decides ? "commit" : "cannot commit"}`, () => {
    const cluster = joint();
    const { commitIndex } = cluster.node("a").core;
    connect(cluster, ...ids);
    cluster.run(5);
    assert.equal(cluster.node("a").core.commitIndex > commitIndex, decides);
  });

  test(`while joint, ${ids.join(", ")} ${decides ? "grant" : "cannot grant"} reads`, () => {
    const cluster = joint();
    connect(cluster, ...ids);
    cluster.network.length = 0;
    cluster.read("a");
    // Heartbeats only: were the change committed, it would be left.
    for (const message of cluster.network.splice(0)) cluster.step(message);
    const replies = cluster.network.filter(({ kind }) => kind === MESSAGE.heartbeatReply);
    assert.equal(replies.length, 2);
    for (const message of replies) cluster.step(message);
    assert.equal(cluster.node("a").granted.length, decides ? 1 : 0);
  });

  test(`while joint, ${ids.join(", ")} ${decides ? "elect" : "cannot elect"}`, () => {
    const others = ids.slice(1);
    const asking = jointAsking(others);
    assert.equal(asking.core.state.role, decides ? ROLE.candidate : ROLE.preCandidate);
    const candidate = jointAsking(["b", "c", "d", "e"]);
    candidate.sync();
    for (const from of others) {
      candidate.step({ kind: MESSAGE.voteReply, from, to: "a", term: 2, isGranted: true });
    }
    assert.equal(candidate.core.isLeader, decides);
  });
}

test("a change of voters is joint, also for one member, and keeps who leaves until the end", () => {
  const change = { kind: CHANGE.demote, member: memberOf("c") };
  const result = changedMembership(voting("a", "b", "c"), [change], () => null);
  assert.ok(result.ok);
  assert.deepEqual(result.membership.votersOutgoing, ["a", "b", "c"]);
  assert.deepEqual([result.membership.learners, result.membership.learnersNext], [[], ["c"]]);
  assert.deepEqual(withoutOutgoing(result.membership).learners, ["c"]);
  const gone = changedMembership(
    voting("a", "b"),
    [{ ...change, kind: CHANGE.remove, member: memberOf("b") }],
    () => null,
  );
  assert.ok(gone.ok);
  assert.deepEqual(
    gone.membership.members.map(({ id }) => id),
    ["a", "b"],
  );
  assert.deepEqual(
    withoutOutgoing(gone.membership).members.map(({ id }) => id),
    ["a"],
  );
});

test("changes that make no sense are refused", () => {
  const bad = [
    [{ kind: CHANGE.addVoter, member: memberOf("z") }],
    [{ kind: CHANGE.remove, member: memberOf("z") }],
    [{ kind: CHANGE.demote, member: memberOf("z") }],
    [{ kind: CHANGE.addVoter, member: memberOf("a") }],
    [{ kind: CHANGE.addLearner, member: memberOf("a") }],
    [{ kind: CHANGE.remove, member: memberOf("a") }],
    [],
  ];
  for (const changes of bad) {
    assert.equal(
      changedMembership(voting("a"), changes, () => null).ok,
      false,
      JSON.stringify(changes),
    );
  }
});

test("a learner is promoted when it has caught up, and not before", () => {
  const cluster = new Cluster({ voters: 1, strangers: 1, options: { promoteMaxLag: 2 } });
  cluster.elect("a");
  cluster.isolate("b");
  assert.ok(cluster.change("a", [CHANGE.addLearner, "b"]).ok);
  cluster.settle();
  cluster.propose("a", "x", "y");
  cluster.settle();
  const early = cluster.change("a", [CHANGE.addVoter, "b"]);
  assert.ok(!early.ok && early.refusal === "invalid_change");
  cluster.heal();
  cluster.run(5);
  assert.ok(cluster.change("a", [CHANGE.addVoter, "b"]).ok);
  cluster.run(5);
  assert.deepEqual(votersOf(cluster, "a"), ["a", "b"]);
  assert.deepEqual(cluster.node("a").core.status().membership.membership.votersOutgoing, []);
});

test("a learner does not count for a commit", () => {
  const cluster = new Cluster({ voters: 2, strangers: 2 });
  cluster.elect("a");
  cluster.change("a", [CHANGE.addLearner, "c"], [CHANGE.addLearner, "d"]);
  cluster.settle();
  const { commitIndex } = cluster.node("a").core;
  cluster.crash("b");
  cluster.propose("a", "x");
  cluster.settle();
  assert.equal(cluster.node("a").core.commitIndex, commitIndex);
});

test("one change at a time, and none before the first commit of the term", () => {
  const cluster = new Cluster({ voters: 3, strangers: 1 });
  cluster.elect("a");
  assert.ok(cluster.change("a", [CHANGE.addLearner, "d"]).ok);
  const second = cluster.change("a", [CHANGE.remove, "c"]);
  assert.ok(!second.ok && second.refusal === "change_pending");
  cluster.settle();
  assert.ok(cluster.change("a", [CHANGE.remove, "c"]).ok);
  cluster.settle();
  assert.deepEqual(votersOf(cluster, "a"), ["a", "b"]);
});

test("a leader that removes itself commits without itself, hands over and follows", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  assert.ok(cluster.change("a", [CHANGE.remove, "a"]).ok);
  cluster.settle();
  assert.equal(cluster.node("a").core.isLeader, false);
  assert.ok(["b", "c"].includes(cluster.leader?.id ?? ""), "no election timeout had to pass");
  cluster.run(60);
  assert.equal(cluster.node("a").core.state.role, ROLE.follower);
  assert.deepEqual(votersOf(cluster, "b"), ["b", "c"]);
});

test("a removed voter hears that its removal is committed, and never campaigns again", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  assert.ok(cluster.change("a", [CHANGE.remove, "c"]).ok);
  cluster.settle();
  assert.equal(cluster.node("c").core.commitIndex, cluster.node("a").core.commitIndex);
  assert.deepEqual(
    cluster
      .node("a")
      .core.status()
      .peers.map(({ id }) => id),
    ["b"],
  );
  cluster.isolate("c");
  cluster.run(60);
  assert.equal(cluster.node("c").core.state.role, ROLE.follower);
});

test("the target of a hand-over stays a voter: who is leaving is refused, and so are changes meanwhile", () => {
  const cluster = new Cluster();
  cluster.elect("a");
  cluster.node("b").isDiskHeld = true;
  cluster.node("c").isDiskHeld = true;
  assert.ok(cluster.change("a", [CHANGE.remove, "c"]).ok);
  const refusal = cluster.input("a", (core) => core.transfer("c"));
  assert.match(refusal ?? "", /not a voter/);
  assert.equal(
    cluster.input("a", (core) => core.transfer("b")),
    null,
  );
  const change = cluster.change("a", [CHANGE.remove, "b"]);
  assert.ok(!change.ok && change.refusal === "transferring");
});

test("truncation brings back the configuration before", () => {
  const cluster = new Cluster({ voters: 3, strangers: 1 });
  cluster.elect("a");
  cluster.isolate("a");
  cluster.change("a", [CHANGE.remove, "b"]);
  cluster.sync("a");
  assert.deepEqual(votersOf(cluster, "a"), ["a", "c"]);
  cluster.elect("b");
  cluster.heal();
  cluster.run(20);
  assert.deepEqual(votersOf(cluster, "a"), ["a", "b", "c"]);
});

test("a member that has moved is one entry, and every quorum stays", () => {
  const moved = { ...memberOf("b"), address: "elsewhere:9099" };
  const change = { kind: CHANGE.readdress, member: moved };
  const after = changedMembership(voting("a", "b", "c"), [change], () => null);
  assert.ok(after.ok);
  assert.deepEqual(after.membership, {
    ...voting("a", "b", "c"),
    members: [memberOf("a"), moved, memberOf("c")],
  });
  const stranger = { kind: CHANGE.readdress, member: memberOf("z") };
  assert.deepEqual(
    changedMembership(voting("a"), [stranger], () => null),
    {
      ok: false,
      detail: '"z" is not a member',
    },
  );
});

test("bootstrap gives the same bytes everywhere, whatever the order of the members", () => {
  const [a, b] = [new Lone({}, null), new Lone({ nodeId: "b" }, null)];
  assert.deepEqual(a.core.state.log.tail, b.core.state.log.tail);
  assert.throws(() => a.core.bootstrap([memberOf("a")]), /the log has 1 entries/);
});

test("bootstrap makes term 1 and its entry durable in one piece, and the configuration holds at once", () => {
  const core = new RaftCore(LONE_OPTIONS, EMPTY_START, { slice: () => null }, () => 0);
  const out = createOutput();
  core.drain(out);
  core.bootstrap(["c", "a", "b"].map(memberOf));
  core.drain(out);
  assert.equal(out.hasChanged, true);
  const [work, ...more] = out.append;
  assert.deepEqual(work?.hardState, { term: 1, vote: "", abstains: false });
  const place = work.batches.map(({ kind, firstIndex, term, appendedAtMs, count }) => ({
    ...{ kind, firstIndex, term, appendedAtMs, count },
  }));
  assert.deepEqual(place, [
    { kind: BATCH_KIND.membership, firstIndex: 1, term: 1, appendedAtMs: 0, count: 1 },
  ]);
  assert.deepEqual([more, out.send], [[], []]);
  const { membership, commitIndex, durableIndex, role } = core.status();
  assert.deepEqual([membership.index, membership.membership.voters], [1, ["a", "b", "c"]]);
  assert.deepEqual([commitIndex, durableIndex, role], [0, 0, ROLE.follower]);
});

test("bootstrap keeps a term that is there already, and refuses what cannot be", () => {
  const start = { ...EMPTY_START, hardState: { term: 4, vote: "b", abstains: false } };
  const core = new RaftCore(LONE_OPTIONS, start, { slice: () => null }, () => 0);
  assert.throws(() => core.bootstrap([memberOf("b")]), /Cannot bootstrap without "a"/);
  core.bootstrap([memberOf("a"), memberOf("b")]);
  const out = createOutput();
  core.drain(out);
  assert.deepEqual([core.term, core.status().vote], [4, "b"]);
  assert.equal(out.append[0]?.hardState, null);
  assert.equal(out.append[0]?.batches[0]?.term, 1);
  assert.throws(() => core.bootstrap([memberOf("a")]), /the log has 1 entries/);
});

test("a core that goes on from a copied state does what the first one does", () => {
  const lone = new Lone();
  const copy = RaftCore.resume(structuredClone(lone.core.state), { slice: () => null }, () => 0);
  const out = createOutput();
  for (const core of [lone.core, copy]) {
    core.campaign();
    core.drain(out);
    core.step({
      kind: MESSAGE.preVoteReply,
      from: "b",
      to: "a",
      term: 1,
      askedTerm: 2,
      isGranted: true,
    });
    core.drain(out);
    const { sequence, term } = out.append.at(-1) as AppendWork;
    core.durable(sequence, term);
    core.step({ kind: MESSAGE.voteReply, from: "b", to: "a", term: 2, isGranted: true });
    core.drain(out);
    core.durable(sequence + 1, term);
    core.step(accept("b", 2));
    core.applied(2);
    core.drain(out);
  }
  assert.equal(copy.commitIndex, 2);
  assert.deepEqual(copy.state, lone.core.state);
});

test("answers of strangers raise no term", () => {
  const lone = new Lone();
  const reply = {
    kind: MESSAGE.heartbeatReply,
    from: "z",
    to: "a",
    term: 9,
    readRound: 0,
  } as const;
  lone.step(reply);
  assert.equal(lone.core.term, 1);
  lone.step({ ...reply, from: "b" });
  assert.equal(lone.core.term, 9);
});
