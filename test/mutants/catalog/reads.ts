/** Bugs of linearizable reads: the feature that breaks. */

import type { Mutant } from "../types.ts";
import { explore, READS, sim } from "./killers.ts";

const STALE = /^linearizable reads/;
const SIM_READS = ["--profile", "reads"];

export const READ_MUTANTS: readonly Mutant[] = [
  {
    id: "read-before-first-commit",
    reference: "etcd#7331; Redis-Raft (Jepsen 2020): no no-op on election",
    does: "a new leader answers reads before it has committed in its term",
    edits: [
      {
        file: "src/raft/reads.ts",
        find: '  if (state.commitIndex < leading.termStartIndex || leading.transferTo !== "") return;',
        replace: '  if (leading.transferTo !== "") return;',
      },
    ],
    killers: [explore("new-leader-reads", STALE, 2_000_000), sim(READS, SIM_READS)],
  },
  {
    id: "read-quorum-minus-one",
    reference: "async-raft: read quorum one too small",
    does: "counts one voter as if it had confirmed every round",
    edits: [
      {
        file: "src/raft/reads.ts",
        find: "    id === nodeId ? leading.readRound : (leading.peers.get(id)?.readRound ?? 0),",
        replace:
          "    id === nodeId || id === currentMembership(state.log).membership.voters.find((other) => other !== nodeId)\n" +
          "      ? leading.readRound\n" +
          "      : (leading.peers.get(id)?.readRound ?? 0),",
      },
    ],
    killers: [explore("reads", STALE, 3_000_000), sim(READS, SIM_READS)],
  },
  {
    id: "read-joins-round-under-way",
    reference: "etcd#20418: answers to an earlier request confirm a later read",
    does: "later reads ride on a round that began before them",
    edits: [
      {
        file: "src/raft/reads.ts",
        find: "  leading.readRound += 1;\n",
        replace: "  if (leading.rounds.length === 0) leading.readRound += 1;\n",
      },
    ],
    killers: [explore("reads-twice", STALE, 3_000_000), sim(READS, SIM_READS)],
  },
  {
    id: "read-joins-request-under-way",
    reference: "etcd-io/raft read_only.go after PR #397; R4: reads ride on the next request only",
    does: "a follower grants reads that came after its request left",
    edits: [
      {
        file: "src/raft/reads.ts",
        find: "  grant(state, request.throughId, message.index);",
        replace: "  grant(state, state.reads.newestId, message.index);",
      },
    ],
    killers: [explore("reads-and-proposals", STALE, 3_000_000), sim(READS, SIM_READS)],
  },
  {
    id: "read-index-at-confirmation-of-nobody",
    reference: "TiKV #16069, rqlite 8.32.2: a leader that was deposed answers from what it knows",
    does: "answers reads of followers without asking whether it still leads",
    edits: [
      {
        file: "src/raft/reads.ts",
        find: "    if (first === undefined || first.round > confirmed) break;",
        replace:
          "    if (first === undefined || (first.round > confirmed && first.requests.length === 0)) break;",
      },
    ],
    killers: [sim(READS, SIM_READS)],
  },
];
