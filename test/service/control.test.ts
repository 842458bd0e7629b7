/** What operators ask, judged by a leader that only pretends to replicate: every rule with its refusal. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HearthError, SYSTEM_SCHEDULER } from "../../src/base/index.ts";
import {
  encodeJson,
  PEER_CALL,
  type PeerLinkStatus,
  type ProbeAnswer,
} from "../../src/cluster/index.ts";
import type { Membership, MembershipChange, NodeId } from "../../src/raft/index.ts";
import { AddressBook, Control, type MemberPort } from "../../src/service/index.ts";
import { FakeNetwork, type FakePeer, introductionOf } from "../cluster/fake-network.ts";

const idOf = (name: string): NodeId => `id-of-${name}`;

/** A leader "a" of these voters and learners, in term 7. */
class FakeMember {
  membership: { index: number; membership: Membership };
  leader: NodeId = idOf("a");
  readonly term = 7;
  readonly isServing = true;
  readonly changes: MembershipChange[] = [];
  /** Answers of the next changes; then every one succeeds. */
  readonly refusals: HearthError[] = [];
  silent: readonly string[] = [];
  transferProblem: string | null = null;

  constructor(voters: readonly string[], learners: readonly string[] = []) {
    const members = [...voters, ...learners].map((name) => ({
      id: idOf(name),
      serverId: name,
      address: `${name}:9099`,
    }));
    const membership = {
      members,
      voters: voters.map(idOf),
      votersOutgoing: [],
      learners: learners.map(idOf),
      learnersNext: [],
    };
    this.membership = { index: 1, membership };
  }

  status(): object {
    const { members } = this.membership.membership;
    const peers = members
      .filter(({ serverId }) => serverId !== "a")
      .map(({ id, serverId }, i) => ({
        id,
        isActive: !this.silent.includes(serverId),
        matchIndex: 100 + i,
        state: "replicate",
      }));
    const leader = members.find(({ id }) => id === this.leader);
    const hint = leader === undefined ? null : { id: leader.serverId, address: leader.address };
    return { leader: hint, peers, commitIndex: 110, lastIndex: 110, term: 7, failure: null };
  }

  changeMembership(changes: readonly MembershipChange[], done: (result: object) => void): void {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) return done({ ok: false, error: refusal });
    this.changes.push(...changes);
    done({ ok: true });
  }

  transfer(to: NodeId): string | null {
    if (this.transferProblem === null) this.leader = to;
    return this.transferProblem;
  }

  confirmIndex(done: (result: object) => void): void {
    done({ ok: true, index: 110, term: 7 });
  }
}

function setUp(member: FakeMember): { control: Control; network: FakeNetwork; peer: FakePeer } {
  const network = new FakeNetwork();
  const peer = network.node(introductionOf("a", { clusterId: "8f1c2a04" }));
  const self = () => peer.own;
  const control = new Control(
    { applyTimeoutMs: 200 },
    {
      network: peer,
      self,
      replica: () => member as unknown as MemberPort,
      book: new AddressBook({ self, peers: () => [] }),
      scheduler: SYSTEM_SCHEDULER,
      status: () => ({ schema: "s" }),
      onMembers: () => {},
    },
  );
  return { control, network, peer };
}

/** A node that answers probes. */
function stranger(network: FakeNetwork, name: string, change: Partial<ProbeAnswer> = {}): void {
  const peer = network.node(introductionOf(name));
  const { addresses, version, nodeId } = peer.own;
  const says = { nodeId, serverId: name, addresses, version, term: 0, leaderAddress: "" };
  peer.handler = {
    onRequest: (_request, answer) =>
      answer({ ok: true, body: encodeJson({ clusterId: "", ...says, ...change }) }),
  };
}

const GUARDS = [
  ["not older than the term", 7, true],
  ["newer, as the admin page sends it", Number.MAX_SAFE_INTEGER, true],
  ["older", 6, false],
] as const;

describe("the guard of the term", () => {
  for (const [name, currentTerm, isTaken] of GUARDS) {
    it(name, async () => {
      const member = new FakeMember(["a", "b", "c"]);
      const { control } = setUp(member);
      const asked = control.removeMember({ serverId: "c", currentTerm });
      if (isTaken) assert.equal((await asked).changed, true);
      else await assert.rejects(asked, { code: "invalid_argument", reason: "stale_term" });
      assert.equal(member.changes.length, isTaken ? 1 : 0);
    });
  }
});

describe("adding", () => {
  it("takes the node that answers as a learner, under its own name and address", async () => {
    const member = new FakeMember(["a"]);
    const { control, network } = setUp(member);
    stranger(network, "d");
    const { changed, members, voters } = await control.addMember({ address: "d:9099" });
    assert.deepEqual([changed, voters], [true, 1]);
    assert.deepEqual(members, [
      { serverId: "a", suffrage: "voter" },
      { serverId: "d", suffrage: "learner" },
    ]);
    assert.deepEqual(member.changes, [
      { kind: "addLearner", member: { id: "id-of-d", serverId: "d", address: "d:9099" } },
    ]);
  });

  it("a dry run says the same and does nothing", async () => {
    const member = new FakeMember(["a"]);
    const { control, network } = setUp(member);
    stranger(network, "d");
    const result = await control.addMember({ address: "d:9099", dryRun: true });
    assert.equal(result.members.length, 2);
    assert.deepEqual(member.changes, []);
  });

  it("a member is there already", async () => {
    const member = new FakeMember(["a", "b"]);
    const { control, network } = setUp(member);
    stranger(network, "b", { clusterId: "8f1c2a04" });
    const { changed, text } = await control.addMember({ address: "b:9099" });
    assert.deepEqual([changed, text], [false, "b is a voter already"]);
  });

  it("a member that answers elsewhere gets its new address", async () => {
    const member = new FakeMember(["a", "b"]);
    const { control, network } = setUp(member);
    const addresses = { peer: "moved:9099", http: "", websocket: "" };
    const nodeId = idOf("b");
    stranger(network, "moved", { nodeId, serverId: "b", addresses, clusterId: "8f1c2a04" });
    const { changed, text } = await control.addMember({ address: "moved:9099" });
    assert.deepEqual([changed, text], [true, "b is a voter already, and is at moved:9099 now"]);
    assert.deepEqual(member.changes, [
      { kind: "readdress", member: { id: nodeId, serverId: "b", address: "moved:9099" } },
    ]);
  });

  const refused: readonly (readonly [string, Partial<ProbeAnswer>, object])[] = [
    [
      "a disk that was emptied, under its old name",
      { nodeId: "new-id", serverId: "b" },
      { code: "failed_precondition", reason: "name_taken", next: /hearth member remove b$/ },
    ],
    [
      "an address of another member",
      { addresses: { peer: "b:9099", http: "", websocket: "" } },
      { code: "failed_precondition", reason: "address_taken" },
    ],
    [
      "data of another cluster",
      { clusterId: "1b770000" },
      { code: "failed_precondition", reason: "other_cluster", message: /1b770000.*8f1c2a04/ },
    ],
  ];
  for (const [name, change, error] of refused) {
    it(`refuses ${name}`, async () => {
      const member = new FakeMember(["a", "b"]);
      const { control, network } = setUp(member);
      stranger(network, "d", change);
      await assert.rejects(control.addMember({ address: "d:9099" }), error);
      assert.deepEqual(member.changes, []);
    });
  }

  it("refuses another name than the one that was meant, and an address where nobody answers", async () => {
    const { control, network } = setUp(new FakeMember(["a"]));
    stranger(network, "d");
    await assert.rejects(control.addMember({ address: "d:9099", serverId: "e" }), {
      code: "invalid_argument",
      reason: "other_name",
    });
    await assert.rejects(control.addMember({ address: "x:9099" }), {
      code: "failed_precondition",
      reason: "no_answer",
      message: "No node answers at x:9099: x:9099: connection refused",
    });
  });
});

describe("promoting, demoting, removing", () => {
  it("a learner becomes a voter once it has caught up", async () => {
    const member = new FakeMember(["a"], ["d"]);
    const lag = new HearthError("invalid_argument", 'Cannot: "id-of-d" has 1 of 9', {
      reason: "invalid_change",
    });
    member.refusals.push(lag, lag);
    const { control } = setUp(member);
    const { voters } = await control.promoteMember({ serverId: "d", timeoutMs: 60_000 });
    assert.equal(voters, 2);
    assert.equal(member.changes[0]?.kind, "addVoter");
  });

  it("and is told by name how far it is when the time is up", async () => {
    const member = new FakeMember(["a"], ["d"]);
    const lag = new HearthError("invalid_argument", 'Cannot: "id-of-d" has 1 of 9', {
      reason: "invalid_change",
    });
    for (let i = 0; i < 100; i++) member.refusals.push(lag);
    const { control } = setUp(member);
    await assert.rejects(control.promoteMember({ serverId: "d", timeoutMs: 60 }), {
      code: "failed_precondition",
      reason: "not_caught_up",
      message: "Cannot: d has 1 of 9",
    });
  });

  it("what is there already is success", async () => {
    const { control } = setUp(new FakeMember(["a", "b"], ["d"]));
    const promoted = await control.promoteMember({ serverId: "b", timeoutMs: 1 });
    const demoted = await control.demoteMember({ serverId: "d" });
    const led = await control.transferLeadership({ serverId: "a", timeoutMs: 1 });
    assert.deepEqual(
      [promoted, demoted, led].map(({ changed }) => changed),
      [false, false, false],
    );
  });

  it("unknown members are told with those that are known", async () => {
    const { control } = setUp(new FakeMember(["a", "b"]));
    await assert.rejects(control.removeMember({ serverId: "x" }), {
      code: "not_found",
      next: "Members are a, b",
    });
  });

  it("the leader neither removes nor demotes itself", async () => {
    const { control } = setUp(new FakeMember(["a", "b"]));
    for (const asked of [
      control.removeMember({ serverId: "a" }),
      control.demoteMember({ serverId: "a" }),
    ])
      await assert.rejects(asked, { code: "failed_precondition", reason: "is_leader" });
  });

  it("a change that could never be decided is not begun", async () => {
    const member = new FakeMember(["a", "b", "c"]);
    member.silent = ["c"];
    const { control } = setUp(member);
    await assert.rejects(control.removeMember({ serverId: "b" }), {
      code: "failed_precondition",
      reason: "no_quorum_afterwards",
      message: /only 1 would answer \(silent: c\)/,
    });
    assert.equal((await control.removeMember({ serverId: "c" })).failureTolerance, 0);
  });
});

describe("handing over", () => {
  it("to the one with most of the log, or to the one that is named", async () => {
    const member = new FakeMember(["a", "b", "c"]);
    const { control } = setUp(member);
    const { text } = await control.transferLeadership({ serverId: null, timeoutMs: 100 });
    assert.equal(text, "c leads");
    member.leader = idOf("a");
    await control.transferLeadership({ serverId: "b", timeoutMs: 100 });
    assert.equal(member.leader, idOf("b"));
  });

  it("not to a learner, not where nobody answers, and not for ever", async () => {
    const member = new FakeMember(["a", "b"], ["d"]);
    const { control } = setUp(member);
    await assert.rejects(control.transferLeadership({ serverId: "d", timeoutMs: 1 }), {
      reason: "not_a_voter",
    });
    member.silent = ["b"];
    await assert.rejects(control.transferLeadership({ serverId: null, timeoutMs: 1 }), {
      reason: "no_successor",
    });
    member.transfer = () => null;
    await assert.rejects(control.transferLeadership({ serverId: "b", timeoutMs: 30 }), {
      code: "unavailable",
      reason: "transfer_failed",
    });
  });
});

describe("a successor that was slow once", () => {
  it("is asked again: the core gives up long before the limit", async () => {
    const member = new FakeMember(["a", "b"]);
    const { control } = setUp(member);
    let asked = 0;
    member.transfer = (to) => {
      asked += 1;
      if (asked === 2) member.leader = to;
      return null;
    };
    const { text } = await control.transferLeadership({ serverId: "b", timeoutMs: 60_000 });
    assert.deepEqual([text, asked], ["b leads", 2]);
  });
});

describe("a successor whose process has ended", () => {
  /** Links of "a", up or down. */
  const links = (up: Record<string, boolean>): readonly PeerLinkStatus[] =>
    Object.entries(up).map(
      ([name, isConnected]) => ({ nodeId: idOf(name), isConnected }) as PeerLinkStatus,
    );

  it("is not chosen, although the core has not missed it yet", async () => {
    const { control, peer } = setUp(new FakeMember(["a", "b", "c"]));
    peer.links = links({ b: true, c: false });
    const { text } = await control.transferLeadership({ serverId: null, timeoutMs: 100 });
    assert.equal(text, "b leads");
    const last = setUp(new FakeMember(["a", "b", "c"]));
    last.peer.links = links({ b: false, c: false });
    await assert.rejects(last.control.transferLeadership({ serverId: null, timeoutMs: 100 }), {
      reason: "no_successor",
    });
  });

  it("is not waited for", async () => {
    const member = new FakeMember(["a", "b", "c"]);
    const { control, peer } = setUp(member);
    peer.links = links({ b: true, c: true });
    member.transfer = () => {
      peer.links = links({ b: true, c: false });
      return null;
    };
    // A wait for the limit would fail the test by its own.
    await assert.rejects(control.transferLeadership({ serverId: null, timeoutMs: 3_600_000 }), {
      code: "unavailable",
      reason: "transfer_failed",
      message: "c is not connected any more",
    });
  });
});

describe("asked of another member than the leader", () => {
  it("the leader does it, once, and its word comes back", async () => {
    const member = new FakeMember(["a", "b"]);
    member.leader = idOf("b");
    const { control, network } = setUp(member);
    const leader = network.node(introductionOf("b"));
    const calls: unknown[] = [];
    leader.handler = {
      onRequest: ({ call, body }, answer) => {
        calls.push(call, JSON.parse(new TextDecoder().decode(body)));
        if (calls.length === 2)
          answer({ ok: true, body: encodeJson({ changed: true, text: "done" }) });
        else
          answer({
            ok: false,
            error: new HearthError("not_found", "no", { reason: "unknown_member" }),
          });
      },
    };
    const result = await control.removeMember({ serverId: "c", currentTerm: 7 });
    assert.equal(result.text, "done");
    const passedOn = { op: "remove", wish: { serverId: "c", currentTerm: 7 } };
    assert.deepEqual(calls, [PEER_CALL.control, passedOn]);
    await assert.rejects(control.removeMember({ serverId: "x" }), { reason: "unknown_member" });
  });

  it("who got it from another one and does not lead refuses it, with the hint", async () => {
    const member = new FakeMember(["a", "b"]);
    member.leader = idOf("b");
    const { control } = setUp(member);
    await assert.rejects(control.perform({ op: "remove", wish: { serverId: "c" } }), {
      code: "unavailable",
      reason: "not_leader",
      leader: { id: "b", address: "b:9099" },
    });
  });

  it("without a leader it is refused at once", async () => {
    const member = new FakeMember(["a", "b"]);
    member.leader = "";
    const { control } = setUp(member);
    await assert.rejects(control.removeMember({ serverId: "b" }), {
      code: "unavailable",
      message: "There is no leader that could do this",
    });
  });
});

describe("overviews", () => {
  it("every member is there, also those that do not answer", async () => {
    const { control, network } = setUp(new FakeMember(["a", "b"], ["d"]));
    const b = network.node(introductionOf("b"));
    b.handler = {
      onRequest: (_request, answer) => answer({ ok: true, body: encodeJson({ schema: "b" }) }),
    };
    const reports = await control.collect(100);
    assert.deepEqual(
      reports.map((report) => [report.serverId, report.ok ? report.status : report.problem]),
      [
        ["a", { schema: "s" }],
        ["b", { schema: "b" }],
        ["d", "id-of-d: connection refused"],
      ],
    );
    const { clusterId, leader, voters, members } = control.view();
    assert.deepEqual([clusterId, leader, voters], ["8f1c2a04", { id: "a", address: "a:4040" }, 2]);
    assert.deepEqual(
      members.map(({ serverId, suffrage, isSelf, isLeader, lagEntries }) => [
        serverId,
        suffrage,
        isSelf,
        isLeader,
        lagEntries,
      ]),
      [
        ["a", "voter", true, true, null],
        ["b", "voter", false, false, 10],
        ["d", "learner", false, false, 9],
      ],
    );
  });
});
