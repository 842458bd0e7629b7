/**
 * Where searches start and what may happen in them. A bound that is 0 does not happen at all. Searches from a prefix
 * (a leader elected, half of Figure 8) reach what a search from the beginning would need far more states for; that the
 * prefix itself can happen is part of what is reported: it was produced by the same cores.
 */

import { CHANGE, MESSAGE, type MembershipChange, type Message } from "../../src/raft/index.ts";
import { type Bounds, NO_BOUNDS } from "./bounds.ts";
import type { History } from "./history.ts";
import { Script } from "./script.ts";
import type { MemberState } from "./member-state.ts";
import { memberOf } from "./nodes.ts";

export interface Start {
  readonly members: readonly MemberState[];
  readonly messages: readonly Message[];
  readonly history: History;
  readonly bounds: Bounds;
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** States that differ by a renaming of the nodes count as one. Not where the changes name nodes. */
  readonly isSymmetric: boolean;
  /** Begins close to a known bug: for mutants, not for counting states. */
  readonly isFocused: boolean;
  readonly maxTerm: number;
  readonly crashesPerMember: number;
  /** More under way than this is not followed further. */
  readonly maxMessages: number;
  /** What `changes` may propose. */
  readonly changes: readonly (readonly MembershipChange[])[];
  readonly start: () => Start;
}

const COMMON = {
  isSymmetric: true,
  isFocused: false,
  crashesPerMember: 1,
  maxMessages: 12,
  changes: [],
};

const ALL = [0, 1, 2];

export const SCENARIOS: readonly Scenario[] = [
  {
    ...COMMON,
    name: "elections",
    about: "a new cluster of three: campaigns, votes, crashes, duplicates",
    maxTerm: 3,
    start: () => ({
      ...new Script(ALL).start(),
      bounds: { ...NO_BOUNDS, campaigns: 2, crashes: 1, duplicates: 1 },
    }),
  },
  {
    ...COMMON,
    name: "replication",
    about: "a leader with its term open: proposals, another campaign, crashes",
    maxTerm: 3,
    start: () => ({
      ...new Script(ALL).elect(0).start(),
      bounds: { ...NO_BOUNDS, campaigns: 1, proposals: 2, crashes: 1 },
    }),
  },
  {
    ...COMMON,
    name: "reads",
    about: "a leader with its term open: reads anywhere, a proposal, another campaign",
    maxTerm: 3,
    start: () => ({
      ...new Script(ALL).elect(0).start(),
      bounds: { ...NO_BOUNDS, campaigns: 1, proposals: 1, reads: 1 },
    }),
  },
  {
    ...COMMON,
    name: "membership",
    about: "a leader with its term open and a learner: one change of voters, campaigns, a crash",
    isSymmetric: false,
    maxTerm: 3,
    changes: [
      [{ kind: CHANGE.addVoter, member: memberOf(2) }],
      [{ kind: CHANGE.remove, member: memberOf(0) }],
    ],
    start: () => ({
      ...new Script([0, 1]).elect(0).addLearner(2).start(),
      bounds: { ...NO_BOUNDS, campaigns: 2, changes: 2, crashes: 1 },
    }),
  },
  {
    ...COMMON,
    name: "pre-votes",
    about:
      "elections as they really begin: silence, pre-votes, votes, a leader that loses its quorum",
    maxTerm: 3,
    start: () => ({
      ...new Script(ALL).elect(0).start(),
      bounds: { ...NO_BOUNDS, lapses: 5, proposals: 1 },
    }),
  },
  {
    ...COMMON,
    name: "transfer",
    about: "a leader hands over while it has proposals and reads",
    maxTerm: 3,
    start: () => ({
      ...new Script(ALL).elect(0).start(),
      bounds: { ...NO_BOUNDS, transfers: 1, proposals: 1, reads: 1, crashes: 1 },
    }),
  },
  {
    ...COMMON,
    name: "conflicts",
    about:
      "a follower writes an entry that nobody else has any more, while another leader replaces it",
    maxTerm: 4,
    start: () => ({
      ...conflict().start(),
      bounds: { ...NO_BOUNDS, campaigns: 1, proposals: 1, duplicates: 1, beats: 1 },
    }),
  },
  {
    ...COMMON,
    name: "new-leader-reads",
    about:
      "an entry is committed, and nobody but its leader knows: another leader is asked for reads",
    maxTerm: 3,
    start: () => ({
      ...committedUnknown().start(),
      bounds: { ...NO_BOUNDS, campaigns: 1, reads: 1, proposals: 1 },
    }),
  },
  {
    ...COMMON,
    name: "reads-twice",
    about: "two reads around a change of leader",
    isFocused: true,
    maxTerm: 3,
    maxMessages: 8,
    start: () => ({
      ...new Script(ALL).elect(0).start(),
      bounds: { ...NO_BOUNDS, campaigns: 1, reads: 2 },
    }),
  },
  {
    ...COMMON,
    name: "reads-and-proposals",
    about: "two reads around a proposal, under one leader",
    isFocused: true,
    maxTerm: 2,
    start: () => ({
      ...new Script(ALL).elect(0).start(),
      bounds: { ...NO_BOUNDS, proposals: 1, reads: 2 },
    }),
  },
  {
    ...COMMON,
    name: "reordered",
    about: "appends that overtake each other and come twice, under one leader",
    isFocused: true,
    maxTerm: 2,
    start: () => ({
      ...new Script(ALL).elect(0).start(),
      bounds: { ...NO_BOUNDS, proposals: 2, duplicates: 2 },
    }),
  },
  {
    ...COMMON,
    name: "learner",
    about: "two voters and a learner: proposals",
    isSymmetric: false,
    maxTerm: 3,
    start: () => ({
      ...new Script([0, 1]).elect(0).addLearner(2).start(),
      bounds: { ...NO_BOUNDS, campaigns: 1, proposals: 1, crashes: 1 },
    }),
  },
  {
    ...COMMON,
    name: "figure-8",
    about:
      "from Figure 8 (c) of the paper: A leads again, with an entry of term 2; C has one of term 3",
    isFocused: true,
    maxMessages: 8,
    maxTerm: 5,
    start: () => ({
      ...figure8().start(),
      bounds: { ...NO_BOUNDS, campaigns: 1 },
    }),
  },
  {
    ...COMMON,
    name: "single-server",
    about: "the bug found in 2015: A made C a voter, which only C knows; B leads and may remove A",
    isFocused: true,
    maxMessages: 8,
    isSymmetric: false,
    maxTerm: 4,
    changes: [[{ kind: CHANGE.remove, member: memberOf(0) }]],
    start: () => ({
      ...changeOnOne().start(),
      bounds: { ...NO_BOUNDS, campaigns: 2, changes: 1 },
    }),
  },
];

/**
 * Term 2: A leads and proposes an entry that stays on its disk. Term 3: C leads, its first entry stays there, too. Both
 * crash. Term 4: A leads again.
 */
function figure8(): Script {
  const script = new Script(ALL).elect(0);
  script.do(0, { kind: "propose", tag: 1 }).calm([0]).lose();
  script.crash(0).win(2, [1]).lose().crash(2);
  // Term 3 is taken, which A finds out when nobody answers.
  script.do(0, { kind: "campaign" }).do(0, { kind: "durable" }).lose();
  script.do(0, { kind: "campaign" }).do(0, { kind: "durable" });
  script.deliver(1, MESSAGE.vote).do(1, { kind: "durable" }).deliver(0, MESSAGE.voteReply);
  return script.deliver(2, MESSAGE.vote).do(2, { kind: "durable" });
}

/** B is still writing an entry of A; A has lost it in a crash and helped C to lead. */
function conflict(): Script {
  const script = new Script(ALL).elect(0).do(0, { kind: "propose", tag: 1 });
  script.deliver(1, MESSAGE.append).lose().crash(0).do(2, { kind: "campaign" });
  script.do(2, { kind: "durable" }).deliver(0, MESSAGE.vote).do(0, { kind: "durable" });
  return script.deliver(2, MESSAGE.voteReply);
}

/** A has committed an entry with B; neither B nor C has heard of that. */
function committedUnknown(): Script {
  const script = new Script(ALL).elect(0).do(0, { kind: "propose", tag: 1 });
  script.do(0, { kind: "durable" }).deliver(1, MESSAGE.append).do(1, { kind: "durable" });
  return script.deliver(0, MESSAGE.appendReply).lose();
}

/** A wants C as a voter and tells C, loses that in a crash, and never tells B. */
function changeOnOne(): Script {
  const script = new Script([0, 1]).elect(0).addLearner(2);
  const changes = [{ kind: CHANGE.addVoter, member: memberOf(2) }];
  script.do(0, { kind: "change", changes }).deliver(2, MESSAGE.append).do(2, { kind: "durable" });
  return script.lose().crash(0).win(1, [0]).lose();
}
