/** Bugs of votes and terms. */

import type { Mutant } from "../types.ts";
import { explore, sim, TERMS } from "./killers.ts";

export const ELECTION_MUTANTS: readonly Mutant[] = [
  {
    id: "vote-not-persisted",
    reference: "npm liferaft: votes live in memory",
    does: "grants a vote without making it durable",
    edits: [
      {
        file: "src/raft/election.ts",
        find: "      state.vote = message.from;\n      persistHardState(state);",
        replace: "      state.vote = message.from;",
      },
    ],
    killers: [explore("elections", /^no reply without durability/), sim()],
  },
  {
    id: "vote-duplicate-counted",
    reference: "R4: count a duplicate vote twice",
    does: "counts each answer to a vote, also the second one of the same voter",
    edits: [
      {
        file: "src/raft/election.ts",
        find: "  if (!state.votes.has(from)) state.votes.set(from, isGranted);",
        replace:
          "  const name = state.votes.has(from) ? `${from}${state.votes.size}` : from;\n" +
          "  state.votes.set(name, isGranted);",
      },
      {
        file: "src/raft/election.ts",
        find: "function tally(state: CoreState): VoteResult {\n",
        replace:
          "function tally(state: CoreState): VoteResult {\n" +
          "  const { voters } = currentMembership(state.log).membership;\n" +
          "  const granted = [...state.votes.values()].filter((isGranted) => isGranted).length;\n" +
          '  if (granted * 2 > voters.length) return "won";\n',
      },
    ],
    killers: [sim()],
  },
  {
    id: "vote-second-in-term",
    reference: "Raft 5.2: at most one vote in a term",
    does: "votes again in a term in which it has voted",
    edits: [
      {
        file: "src/raft/election.ts",
        find: '(state.vote === message.from || (state.vote === "" && state.leader === "")) &&',
        replace: 'state.leader === "" &&',
      },
      {
        file: "src/raft/election.ts",
        find: '    if (state.vote === "") {\n      state.vote = message.from;',
        replace: "    if (state.vote !== message.from) {\n      state.vote = message.from;",
      },
    ],
    killers: [explore("elections", /^(one vote per term|election safety)/), sim()],
  },
  {
    id: "vote-for-shorter-log",
    reference: "Raft 5.4.1; canonical/raft #386",
    does: "votes for a candidate whose log is behind its own",
    edits: [
      {
        file: "src/raft/election.ts",
        find: "  return term > ownTerm || (term === ownTerm && index >= log.lastIndex);",
        replace: "  return term >= ownTerm || index > log.lastIndex;",
      },
    ],
    killers: [
      explore("replication", /^(leader completeness|state machine safety|log matching)/, 2_000_000),
      sim(),
    ],
  },
  {
    id: "term-not-persisted-before-entries",
    reference: "R4: term not persisted before entries",
    does: "follows into a new term without making the term durable",
    edits: [
      {
        file: "src/raft/roles.ts",
        find: "  state.vote = vote;\n  persistHardState(state);",
        replace: '  state.vote = vote;\n  if (vote !== "") persistHardState(state);',
      },
    ],
    killers: [explore("elections", /^no reply without durability/), sim()],
  },
  {
    id: "heartbeat-without-term-check",
    reference: "hashicorp/raft #695: heartbeats on a path of their own",
    does: "answers heartbeats of a deposed leader as if its term went on",
    edits: [
      {
        file: "src/raft/core.ts",
        find: "    if (message.term < state.term && !isForAnyTerm(message)) {",
        replace:
          "    const isHeartbeat = message.kind === MESSAGE.heartbeat;\n" +
          "    if (message.term < state.term && !isForAnyTerm(message) && !isHeartbeat) {",
      },
      {
        file: "src/raft/follower.ts",
        find: "  if (!recogniseLeader(core, message.from)) return;\n  const { commitIndex, readRound } = message;",
        replace:
          "  if (message.term === state.term && !recogniseLeader(core, message.from)) return;\n" +
          "  const { commitIndex, readRound } = message;",
      },
      {
        file: "src/raft/follower.ts",
        find: "    kind: MESSAGE.heartbeatReply,\n    from: state.options.nodeId,\n    to: message.from,\n    term: state.term,",
        replace:
          "    kind: MESSAGE.heartbeatReply,\n    from: state.options.nodeId,\n    to: message.from,\n    term: message.term,",
      },
    ],
    // It may also be the old leader that never learns, and keeps clients and followers for itself.
    killers: [sim(/^(stale-read|read-value|real-time-write|liveness-write):/, TERMS)],
  },
  {
    id: "vote-after-its-term",
    reference: "hashicorp/raft #661: term and vote are written in two steps",
    does: "makes the term durable with its answer, and the vote in a second step",
    edits: [
      {
        file: "src/raft/election.ts",
        find: "      state.vote = message.from;\n      persistHardState(state);",
        replace: "      state.vote = message.from;",
      },
      {
        file: "src/raft/election.ts",
        find:
          "    kind: MESSAGE.voteReply,\n" +
          "    from: state.options.nodeId,\n" +
          "    to: message.from,\n" +
          "    term: state.term,\n" +
          "    isGranted,\n" +
          "  });\n",
        replace:
          "    kind: MESSAGE.voteReply,\n" +
          "    from: state.options.nodeId,\n" +
          "    to: message.from,\n" +
          "    term: state.term,\n" +
          "    isGranted,\n" +
          "  });\n" +
          "  if (!isGranted) return;\n" +
          "  closePiece(state);\n" +
          "  persistHardState(state);\n",
      },
      {
        file: "src/raft/election.ts",
        find: "import { holdReply, isStalled, persistHardState } from",
        replace: "import { closePiece, holdReply, isStalled, persistHardState } from",
      },
    ],
    killers: [explore("elections", /^(no reply without durability|one vote per term)/), sim()],
  },
  {
    id: "pre-vote-of-earlier-campaign",
    reference: "etcd-io/raft 511f33c7: answers to an earlier pre-vote",
    does: "counts pre-votes that were given for an earlier term",
    edits: [
      {
        file: "src/raft/election.ts",
        find: "  if (state.role !== ROLE.preCandidate || message.askedTerm !== state.campaignTerm) return;",
        replace: "  if (state.role !== ROLE.preCandidate) return;",
      },
    ],
    killers: [
      {
        kind: "test",
        file: "test/raft/election.test.ts",
        why: "a pre-vote promises nothing: counting a wrong one costs an election, which no invariant forbids",
        expect: /pre-votes for an older question do not count/,
      },
    ],
  },
];
