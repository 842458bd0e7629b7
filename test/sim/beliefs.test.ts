/** What members believe of configurations and peers: each check finds the violation that is planted for it. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Membership, MESSAGE, type NodeId, type RaftStatus } from "../../src/raft/index.ts";
import { checkChange, checkConfiguration, checkMatches, checkPublished } from "./beliefs.ts";
import { encodeCommands, OPERATION } from "./commands.ts";
import { Coverage } from "./coverage.ts";
import { Violation } from "./failure.ts";
import { Invariants } from "./invariants.ts";
import { ShadowLog } from "./shadow-log.ts";

const LIMITS = {
  uncommittedMaxBytes: 1000,
  inflightMaxMessages: 4,
  inflightMaxBytes: 1000,
  largestBytes: 100,
};
const BODY = encodeCommands([
  { operation: OPERATION.write, key: 0, value: 1, session: 0, sequence: 0 },
]);

function logOf(terms: readonly number[], hardTerm: number): ShadowLog {
  const shadow = new ShadowLog();
  for (const [i, term] of terms.entries()) {
    shadow.append(i + 1, { firstIndex: i + 1, term, count: 1, body: BODY });
  }
  shadow.setHardState(terms.length + 1, { term: hardTerm, vote: "", abstains: false });
  shadow.durable(terms.length + 1);
  return shadow;
}

function membershipOf(...voters: NodeId[]): Membership {
  return { members: [], voters, votersOutgoing: [], learners: [], learnersNext: [] };
}

/** What the checks look at. */
function statusOf(term: number, index: number): Pick<RaftStatus, "term" | "membership"> {
  return { term, membership: { index, membership: membershipOf("a", "b") } };
}

function finds(invariant: string, run: () => void): void {
  assert.throws(run, (error: unknown) => {
    return error instanceof Violation && error.invariant === invariant;
  });
  Violation.first = null;
}

describe("the configuration in force", () => {
  const invariants = new Invariants(LIMITS, new Coverage());
  const [none, two] = [membershipOf(), membershipOf("a", "b")];
  invariants.reconfigured(1, 1, none, two);
  invariants.reconfigured(3, 2, two, membershipOf("a", "b", "c"));

  it("is the newest of the log", () => {
    const shadow = logOf([1, 1, 2, 2], 2);
    checkConfiguration({ nodeId: "a", shadow }, statusOf(2, 3), invariants);
    finds("configuration", () => {
      checkConfiguration({ nodeId: "a", shadow }, statusOf(2, 1), invariants);
    });
  });

  it("is not one of another leader at the same place, nor one that was given up", () => {
    const other = logOf([1, 1, 3], 3);
    checkConfiguration({ nodeId: "a", shadow: other }, statusOf(3, 1), invariants);
    finds("configuration", () => {
      checkConfiguration({ nodeId: "a", shadow: other }, statusOf(3, 3), invariants);
    });
  });

  it("comes with the snapshot that takes the place of the log", () => {
    invariants.applied("b", 3, { term: 2, hash: 1 }, 1);
    const shadow = new ShadowLog();
    shadow.reset(5, 2);
    checkConfiguration({ nodeId: "a", shadow }, statusOf(2, 3), invariants);
    finds("configuration", () => {
      checkConfiguration({ nodeId: "a", shadow }, statusOf(2, 1), invariants);
    });
  });

  it("is committed before the next one is appended", () => {
    const before = { index: 3, membership: two };
    checkChange("a", { index: 5, before, commitIndex: 3 });
    finds("change-pending", () => checkChange("a", { index: 5, before, commitIndex: 2 }));
  });
});

describe("what a leader counts of a peer", () => {
  const shadow = logOf([1, 2, 2], 2);
  const peer = {
    id: "b",
    state: "replicate",
    nextIndex: 4,
    inflightMessages: 0,
    inflightBytes: 0,
    isActive: true,
  } as const;

  function count(matchIndex: number, there: ShadowLog | null): void {
    const status = { term: 2, peers: [{ ...peer, matchIndex }] };
    checkMatches({ nodeId: "a", shadow }, status, () => there);
  }

  it("is durable there", () => {
    count(2, logOf([1, 2], 2));
    finds("match-durable", () => count(3, logOf([1, 2], 2)));
  });

  it("is the same entry there", () => {
    finds("match-durable", () => count(3, logOf([1, 1, 1], 1)));
  });

  it("is not looked at where a later leader or damage may have taken it", () => {
    count(3, logOf([1, 3], 3));
    count(3, null);
  });
});

describe("the term of a message", () => {
  it("was published before, but for that of a pre-vote", () => {
    const grant = {
      kind: MESSAGE.voteReply,
      from: "a",
      to: "b",
      term: 3,
      isGranted: true,
    } as const;
    checkPublished(grant, 3);
    finds("term-published", () => checkPublished(grant, 2));
    const preVote = {
      ...grant,
      kind: MESSAGE.preVote,
      lastIndex: 1,
      lastTerm: 1,
      isTransfer: false,
    };
    checkPublished(preVote, 2);
  });
});
