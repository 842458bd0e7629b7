/** Every invariant finds the violation that is planted for it, and says nothing about the state without it. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Membership,
  type Message,
  MESSAGE,
  type NodeId,
  type RaftStatus,
} from "../../src/raft/index.ts";
import { encodeCommands, OPERATION } from "./commands.ts";
import { Coverage } from "./coverage.ts";
import { Violation } from "./failure.ts";
import { type CoreView, createSeen, Invariants, type MemberView } from "./invariants.ts";
import { ShadowLog } from "./shadow-log.ts";

const LIMITS = {
  uncommittedMaxBytes: 1000,
  inflightMaxMessages: 4,
  inflightMaxBytes: 1000,
  largestBytes: 100,
};
const [A, B, C, D, E, F] = ["a", "b", "c", "d", "e", "f"] as const;

function membershipOf(
  voters: readonly NodeId[],
  votersOutgoing: readonly NodeId[] = [],
): Membership {
  return { members: [], voters, votersOutgoing, learners: [], learnersNext: [] };
}

function bodyOf(value: number): Uint8Array {
  return encodeCommands([{ operation: OPERATION.write, key: 0, value, session: 0, sequence: 0 }]);
}

/** A cluster of forged members. */
class Forge {
  readonly invariants = new Invariants(LIMITS, new Coverage());
  readonly members: ForgedMember[];

  constructor(ids: readonly NodeId[] = [A, B, C]) {
    this.members = ids.map((id) => new ForgedMember(id, membershipOf(ids), this.invariants));
  }

  /** The same entries, durable everywhere. */
  fill(terms: readonly number[]): this {
    for (const member of this.members) {
      for (const [i, term] of terms.entries()) member.append(term, i + 1);
      member.durable();
    }
    return this;
  }

  check(member: ForgedMember): void {
    this.invariants.afterEvent(member, () => this.members);
    this.invariants.checkStatus(member);
  }
}

class ForgedMember implements MemberView {
  readonly nodeId: NodeId;
  readonly shadow = new ShadowLog();
  readonly seen = createSeen();
  appliedIndex = 0;
  snapshotIndex = 0;
  status: RaftStatus;
  #sequence = 0;
  readonly #invariants: Invariants;

  constructor(nodeId: NodeId, membership: Membership, invariants: Invariants) {
    this.nodeId = nodeId;
    this.#invariants = invariants;
    this.status = {
      nodeId,
      role: "follower",
      term: 1,
      vote: "",
      leader: "",
      transferTo: "",
      firstIndex: 1,
      lastIndex: 0,
      durableIndex: 0,
      commitIndex: 0,
      applicableIndex: 0,
      appliedIndex: 0,
      uncommittedBytes: 0,
      stalledTicks: 0,
      abstains: false,
      membership: { index: 0, membership },
      peers: [],
    };
  }

  get holder(): { nodeId: NodeId; shadow: ShadowLog } {
    return this;
  }

  get core(): CoreView {
    const { status } = this;
    const { term, leader, commitIndex, applicableIndex, lastIndex } = status;
    const isLeader = status.role === "leader";
    return {
      term,
      leader,
      commitIndex,
      applicableIndex,
      lastIndex,
      isLeader,
      status: () => status,
    };
  }

  set(changes: Partial<RaftStatus>): this {
    this.status = { ...this.status, ...changes };
    return this;
  }

  append(term: number, value: number): this {
    const firstIndex = this.shadow.lastIndex + 1;
    this.#sequence += 1;
    this.shadow.append(this.#sequence, { firstIndex, term, count: 1, body: bodyOf(value) });
    this.#invariants.appended(this.nodeId, this.shadow, firstIndex);
    return this.set({ lastIndex: firstIndex });
  }

  vote(term: number, vote: NodeId): this {
    this.#sequence += 1;
    this.shadow.setHardState(this.#sequence, { term, vote, abstains: false });
    return this;
  }

  durable(): this {
    this.shadow.durable(this.#sequence);
    return this.set({ durableIndex: this.shadow.durableIndex });
  }
}

function at<T>(items: readonly T[], position: number): T {
  return items[position] as T;
}

function finds(invariant: string, act: () => void): void {
  assert.throws(
    act,
    (error) => error instanceof Violation && error.invariant === invariant,
    invariant,
  );
}

describe("terms and leaders", () => {
  it("finds two leaders of one term, not two of two terms", () => {
    const { invariants } = new Forge();
    invariants.leads(A, 1);
    invariants.leads(B, 2);
    invariants.leads(A, 1);
    finds("election-safety", () => invariants.leads(B, 1));
  });

  it("finds a term that goes back", () => {
    const forge = new Forge();
    const a = at(forge.members, 0).set({ term: 3 });
    forge.check(a);
    finds("term-monotone", () => forge.check(a.set({ term: 2 })));
  });

  it("finds a leader without a committed entry", () => {
    const forge = new Forge().fill([1, 1]);
    const [a, b] = [at(forge.members, 0), at(forge.members, 1)];
    forge.check(a.set({ role: "leader", commitIndex: 2 }));
    b.shadow.truncateSuffix(2);
    b.set({ lastIndex: 1, durableIndex: 1, role: "leader", term: 2 });
    finds("leader-completeness", () => forge.check(b));
  });

  it("finds a leader that gives up its own entry, not one that gives up those of others", () => {
    const { invariants, members } = new Forge().fill([1, 2]);
    const { nodeId, shadow } = at(members, 0);
    invariants.truncated(nodeId, true, 3, shadow, 2);
    finds("leader-append-only", () => invariants.truncated(nodeId, true, 2, shadow, 2));
  });

  it("finds two votes in one term, also over a restart", () => {
    const { invariants } = new Forge();
    invariants.voted(A, 4, B);
    invariants.voted(A, 4, B);
    invariants.voted(A, 5, C);
    finds("vote-once", () => invariants.voted(A, 4, C));
  });
});

describe("logs", () => {
  it("finds two entries with one index and term", () => {
    const forge = new Forge();
    at(forge.members, 0).append(1, 7);
    at(forge.members, 1).append(1, 7);
    finds("log-matching", () => at(forge.members, 2).append(1, 8));
  });

  it("finds equal entries after different ones", () => {
    const forge = new Forge();
    at(forge.members, 0).append(1, 7).append(3, 9);
    finds("log-matching", () => at(forge.members, 1).append(2, 8).append(3, 9));
  });

  it("finds a term below the one before it", () => {
    finds("terms-ascend", () => at(new Forge().members, 0).append(2, 1).append(1, 2));
  });

  it("finds a committed entry that is given up", () => {
    const forge = new Forge().fill([1, 1]);
    const [a, b] = [at(forge.members, 0), at(forge.members, 1)];
    forge.check(a.set({ role: "leader", commitIndex: 2 }));
    finds("committed-kept", () => forge.invariants.truncated(b.nodeId, false, 1, b.shadow, 2));
  });

  it("finds a log that begins behind the snapshot", () => {
    const forge = new Forge().fill([1, 1, 1]);
    const a = at(forge.members, 0);
    a.snapshotIndex = 2;
    forge.check(a.set({ firstIndex: 3 }));
    finds("log-cut", () => forge.check(a.set({ firstIndex: 4 })));
  });
});

describe("commit and apply", () => {
  it("finds a commit that is durable on less than a quorum", () => {
    const forge = new Forge();
    const [a, b] = [at(forge.members, 0), at(forge.members, 1)];
    a.append(1, 1).durable().set({ role: "leader", commitIndex: 1 });
    b.append(1, 1);
    finds("durable-quorum", () => forge.check(a));
  });

  it("finds a joint commit that has only one of the majorities", () => {
    const forge = new Forge([A, B, C, D, E, F]);
    for (const member of forge.members.slice(0, 3)) member.append(1, 1).durable();
    const joint = { index: 0, membership: membershipOf([A, B, C], [D, E, F]) };
    const a = at(forge.members, 0).set({ role: "leader", commitIndex: 1, membership: joint });
    finds("durable-quorum", () => forge.check(a));
  });

  it("holds a commit to the configuration in force, not to one that came behind it in that turn", () => {
    const forge = new Forge([A, B, C]);
    forge.invariants.founded(membershipOf([A, B, C]));
    const [a, , c] = forge.members as [ForgedMember, ForgedMember, ForgedMember];
    const joint = { index: 2, membership: membershipOf([A, B], [A, B, C]) };
    for (const member of [a, c]) member.append(1, 1).durable();
    forge.check(a.set({ role: "leader" }));
    a.append(1, 2).set({ commitIndex: 1, membership: joint });
    forge.check(a);
    // The same two do not decide what comes behind the change.
    a.durable().set({ commitIndex: 2 });
    c.append(1, 2).durable();
    finds("durable-quorum", () => forge.check(a));
  });

  it("finds a commit under a change that was there before it", () => {
    const forge = new Forge([A, B, C]);
    forge.invariants.founded(membershipOf([A, B, C]));
    const [a, , c] = forge.members as [ForgedMember, ForgedMember, ForgedMember];
    const joint = { index: 2, membership: membershipOf([A, B], [A, B, C]) };
    for (const member of [a, c]) member.append(1, 1).durable();
    forge.check(a.append(1, 2).set({ role: "leader", membership: joint }));
    finds("durable-quorum", () => forge.check(a.set({ commitIndex: 1 })));
  });

  it("finds an earlier term's entry that is committed by counting", () => {
    const forge = new Forge().fill([1]);
    const a = at(forge.members, 0).set({ role: "leader", term: 2, commitIndex: 1 });
    finds("commit-own-term", () => forge.check(a));
  });

  it("finds two members that commit different entries", () => {
    const forge = new Forge();
    const [a, b, c] = forge.members as [ForgedMember, ForgedMember, ForgedMember];
    for (const member of [a, c]) member.append(1, 1).durable();
    b.append(2, 5).durable();
    forge.check(a.set({ role: "leader", commitIndex: 1 }));
    finds("state-machine-safety", () => forge.check(b.set({ term: 2, commitIndex: 1 })));
  });

  it("finds a commit index that goes back", () => {
    const forge = new Forge().fill([1, 1]);
    const a = at(forge.members, 0).set({ role: "leader", commitIndex: 2 });
    forge.check(a);
    finds("commit-monotone", () => forge.check(a.set({ commitIndex: 1 })));
  });

  it("finds a commit index behind the log", () => {
    const forge = new Forge().fill([1]);
    finds("commit-in-log", () => forge.check(at(forge.members, 0).set({ commitIndex: 2 })));
  });

  it("finds what is applied and not committed, or not durable", () => {
    const forge = new Forge();
    const a = at(forge.members, 0).append(1, 1).durable();
    a.appliedIndex = 1;
    finds("applied-committed", () => forge.check(a));
    const other = new Forge();
    for (const member of other.members.slice(1)) member.append(1, 1).durable();
    const b = at(other.members, 0).append(1, 1).set({ commitIndex: 1 });
    b.appliedIndex = 1;
    finds("applied-durable", () => other.check(b));
  });

  it("finds an applied index that goes back", () => {
    const forge = new Forge().fill([1, 1]);
    const a = at(forge.members, 0).set({ role: "leader", commitIndex: 2 });
    a.appliedIndex = 2;
    forge.check(a);
    a.appliedIndex = 1;
    finds("applied-monotone", () => forge.check(a));
  });

  it("finds a core that calls applicable what is not durable here", () => {
    const forge = new Forge().fill([1, 1]);
    const a = at(forge.members, 0).set({ role: "leader", commitIndex: 2, applicableIndex: 2 });
    forge.check(a);
    finds("applicable", () => forge.check(a.set({ durableIndex: 1 })));
  });

  it("finds a core that takes for applied what the state does not have", () => {
    const forge = new Forge().fill([1]);
    finds("applied-reported", () => forge.check(at(forge.members, 0).set({ appliedIndex: 1 })));
  });

  it("finds another entry applied at one index, and another state after it", () => {
    const { invariants } = new Forge();
    invariants.applied(A, 1, { term: 1, hash: 5 }, 100);
    invariants.applied(B, 1, { term: 1, hash: 5 }, 100);
    finds("state-machine-safety", () => invariants.applied(C, 1, { term: 1, hash: 6 }, 100));
    finds("state-checksum", () => invariants.applied(C, 1, { term: 1, hash: 5 }, 101));
  });

  it("finds log time that goes back or differs", () => {
    const { invariants } = new Forge();
    invariants.logTime(A, 1, 1000);
    finds("log-time", () => invariants.logTime(A, 2, 999));
    finds("log-time", () => invariants.logTime(B, 1, 1001));
  });
});

describe("promises", () => {
  const envelope = { from: A, to: B, term: 2 };
  const ack: Message = {
    ...envelope,
    kind: MESSAGE.appendReply,
    isRejected: false,
    index: 1,
    hintIndex: 0,
    hintTerm: 0,
  };

  it("finds a vote that is not durable, or for another one", () => {
    const { invariants, members } = new Forge();
    const a = at(members, 0).vote(2, B);
    const grant: Message = { ...envelope, kind: MESSAGE.voteReply, isGranted: true };
    finds("reply-durable", () => invariants.sent(grant, a.shadow));
    a.durable();
    invariants.sent(grant, a.shadow);
    finds("reply-durable", () => invariants.sent({ ...grant, to: C }, a.shadow));
  });

  it("finds an acknowledgement of what is not durable", () => {
    const { invariants, members } = new Forge();
    const a = at(members, 0).vote(2, B).durable();
    a.append(2, 1);
    finds("reply-durable", () => invariants.sent(ack, a.shadow));
    a.durable();
    invariants.sent(ack, a.shadow);
  });

  it("finds a rejection and a leader of a term that is not durable", () => {
    const { invariants, members } = new Forge();
    const a = at(members, 0).vote(2, A);
    finds("reply-durable", () => invariants.sent({ ...ack, isRejected: true }, a.shadow));
    const heartbeat: Message = {
      ...envelope,
      kind: MESSAGE.heartbeat,
      commitIndex: 0,
      readRound: 0,
    };
    finds("reply-durable", () => invariants.sent(heartbeat, a.shadow));
  });

  it("finds a start that has forgotten a term, a vote or an entry", () => {
    const { invariants, members } = new Forge();
    const before = at(members, 0).vote(3, B).append(1, 1).durable().shadow;
    const [b, c] = [at(members, 1), at(members, 2)];
    invariants.recovered(A, before, c.vote(3, B).append(1, 1).durable().shadow);
    finds("durable-kept", () => invariants.recovered(A, before, b.append(1, 1).durable().shadow));
    const voter = new ForgedMember(D, membershipOf([D]), invariants).append(1, 1);
    const other = voter.vote(3, C).durable().shadow;
    finds("durable-kept", () => invariants.recovered(A, before, other));
    const short = new ForgedMember(E, membershipOf([E]), invariants).vote(3, B).durable().shadow;
    finds("durable-kept", () => invariants.recovered(A, before, short));
  });
});

describe("peers and configurations", () => {
  const peer = {
    id: B,
    state: "replicate",
    matchIndex: 1,
    nextIndex: 2,
    inflightMessages: 1,
    inflightBytes: 10,
    isActive: true,
  } as const;

  function checkPeer(changes: object): void {
    const forge = new Forge().fill([1]);
    forge.check(at(forge.members, 0).set({ peers: [{ ...peer, ...changes }] }));
  }

  it("finds progress and windows that do not add up", () => {
    checkPeer({});
    finds("match-below-next", () => checkPeer({ matchIndex: 2 }));
    finds("next-in-log", () => checkPeer({ nextIndex: 3 }));
    finds("in-flight", () => checkPeer({ inflightMessages: 5 }));
    finds("in-flight", () => checkPeer({ inflightBytes: 1101 }));
    finds("in-flight", () => checkPeer({ inflightMessages: 0 }));
  });

  it("finds more waiting bytes than are allowed", () => {
    const forge = new Forge();
    finds("bounded-queues", () => {
      forge.check(at(forge.members, 0).set({ uncommittedBytes: 1101 }));
    });
  });

  it("finds a change after which two groups can decide apart", () => {
    const { invariants } = new Forge();
    const four = membershipOf([A, B, C, D]);
    invariants.reconfigured(5, 1, membershipOf([A, B, C]), four);
    invariants.reconfigured(6, 1, membershipOf([A, B]), membershipOf([C, D], [A, B]));
    finds("quorums-overlap", () => {
      invariants.reconfigured(7, 1, membershipOf([A, B, C]), membershipOf([C, D, E]));
    });
    finds("quorums-overlap", () => {
      invariants.reconfigured(8, 1, membershipOf([A, B]), membershipOf([A, B, C, D, E]));
    });
  });
});
