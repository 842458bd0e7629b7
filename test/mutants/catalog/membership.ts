/** Bugs of membership, hand-over and snapshots. */

import type { Mutant } from "../types.ts";
import { explore, LIVENESS, SAFETY, sim, TERMS } from "./killers.ts";

const CHURN = ["--profile", "membership"];
const SNAPSHOT = ["--profile", "snapshot"];

export const MEMBERSHIP_MUTANTS: readonly Mutant[] = [
  {
    id: "single-server-change",
    reference: "Ongaro 2015 (raft-dev); hydro PR #3192 (2026)",
    does: "changes voters in one step, before the leader has committed in its term",
    edits: [
      {
        file: "src/raft/membership.ts",
        find: "    : compose(withMembersOf(members, current), voters, new Set(current.voters), learners);",
        replace: "    : compose(members, voters, new Set(), learners);",
      },
      {
        file: "src/raft/membership.ts",
        find: '    return refuse(PROPOSE_REFUSAL.changePending, "nothing is committed in this term yet");',
        replace: "    // Goes on.",
      },
    ],
    killers: [
      explore("single-server", /^(leader completeness|election safety|state machine)/, 5_000_000),
    ],
  },
  {
    id: "joint-without-old-majority",
    reference: "Raft dissertation 4.3: both majorities decide",
    does: "lets the new voters alone decide in a joint configuration",
    edits: [
      {
        file: "src/raft/quorum.ts",
        find: "  return membership.votersOutgoing.length > 0;",
        replace: "  return membership.votersOutgoing.length > 99;",
      },
    ],
    killers: [sim(SAFETY, CHURN), explore("membership", /^committed on a durable quorum/)],
  },
  {
    id: "joint-left-before-commit",
    reference: "Raft dissertation 4.3; openraft: a change of voters that is not finished",
    does: "leaves a joint configuration before it is committed",
    edits: [
      {
        file: "src/raft/membership.ts",
        find: "  if (leading === null || !isJoint(membership) || index > state.commitIndex) return;",
        replace: "  if (leading === null || !isJoint(membership) || index < 0) return;",
      },
    ],
    killers: [sim(SAFETY, CHURN)],
  },
  {
    id: "membership-kept-after-truncation",
    reference: "openraft #1808: the configuration of an entry that is gone",
    does: "keeps a configuration whose entry was replaced",
    edits: [
      {
        file: "src/raft/raft-log.ts",
        find: "  while (log.memberships.length > 1 && currentMembership(log).index >= fromIndex) {\n    log.memberships.pop();\n  }\n  assert(currentMembership(log).index < fromIndex, `No membership is left before ${fromIndex}`);",
        replace: "",
      },
    ],
    killers: [sim(SAFETY, CHURN)],
  },
  {
    id: "membership-stale-after-snapshot",
    reference: "openraft #1808: stale configuration after a snapshot",
    does: "keeps its old configuration when a snapshot takes the place of the log",
    edits: [
      {
        file: "src/raft/raft-log.ts",
        find: "  log.memberships.length = 0;\n  log.memberships.push(meta.membership);",
        replace: "  log.memberships.length = 1;",
      },
    ],
    killers: [sim(SAFETY, SNAPSHOT), sim(SAFETY, TERMS)],
  },
  {
    id: "snapshot-keeps-conflicting-log",
    reference: "hashicorp/raft #697, openraft ac3e5a89",
    does: "keeps entries behind a snapshot that they do not follow",
    edits: [
      {
        file: "src/raft/snapshots.ts",
        find: "  const keepsLog = termAt(log, meta.index) === meta.term;",
        replace: "  const keepsLog = termAt(log, meta.index) >= 0;",
      },
    ],
    killers: [sim(SAFETY, TERMS)],
  },
  {
    id: "learner-counted",
    reference: "R4: a learner counted in the quorum",
    does: "counts what learners have towards the majority of the voters",
    edits: [
      {
        file: "src/raft/quorum.ts",
        find: "  const index = majorityIndex(membership.voters, reached);",
        replace: "  const index = majorityIndex(membership.voters, reached, membership.learners);",
      },
      {
        file: "src/raft/quorum.ts",
        find: "function majorityIndex(voters: readonly NodeId[], reached: (id: NodeId) => number): number {",
        replace:
          "function majorityIndex(voters: readonly NodeId[], reached: (id: NodeId) => number, extra: readonly NodeId[] = []): number {",
      },
      {
        file: "src/raft/quorum.ts",
        find: "    for (const voter of voters) if (reached(voter) >= index) count += 1;",
        replace:
          "    for (const voter of [...voters, ...extra]) if (reached(voter) >= index) count += 1;",
      },
    ],
    killers: [sim(), explore("learner", /^committed on a durable quorum/)],
  },
  {
    id: "transfer-stuck",
    reference: "hashicorp/raft #696: the flag of a hand-over that failed stays",
    does: "never gives up a hand-over",
    edits: [
      {
        file: "src/raft/replication.ts",
        find: "    if (leading.transferElapsed >= electionTicks) endTransfer(state, leading);\n",
        replace: "",
      },
    ],
    killers: [sim(LIVENESS, ["--phase", "liveness", ...TERMS]), sim(LIVENESS)],
  },
];
