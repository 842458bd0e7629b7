/** Bugs of linearizable reads: the feature that breaks. */

import type { Mutant } from "../types.ts";
import { explore, READS, sim, TERMS } from "./killers.ts";

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
        find: '  return commitIndex >= leading.termStartIndex && leading.transferTo === "";',
        replace: '  return commitIndex >= 0 && leading.transferTo === "";',
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
        find: "  if (!hasReads || leading.rounds.length >= ROUNDS_MAX) return;\n",
        replace:
          "  const [underWay] = leading.rounds;\n" +
          "  if (underWay !== undefined) {\n" +
          "    leading.coveredReadId = state.reads.newestId;\n" +
          "    const later = { throughId: state.reads.newestId, index: state.commitIndex };\n" +
          "    leading.rounds[0] = { ...underWay, ...later };\n" +
          "  }\n" +
          "  if (!hasReads || leading.rounds.length >= ROUNDS_MAX) return;\n",
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
        find: "  return mayAnswer(state, leading) && hasQuorum(membership, (id) => id === nodeId || id === from);",
        replace:
          "  return mayAnswer(state, leading) && (nodeId === from || hasQuorum(membership, () => true));",
      },
    ],
    killers: [sim(READS, TERMS)],
  },
  {
    id: "read-question-of-any-term",
    reference: "TiKV #16069: a leader that was deposed answers from what it knows",
    does: "answers reader threads of followers whatever term they are in",
    edits: [
      {
        file: "src/raft/reads.ts",
        find: "  if (leading === null || term !== state.term || !isRound(state, leading, from)) return null;",
        replace: "  if (leading === null || !isRound(state, leading, from)) return null;",
      },
    ],
    killers: [
      {
        kind: "test",
        file: "test/raft/reads.test.ts",
        why: "a leader that was replaced is asked only in the milliseconds before it hears so: the simulator takes 1,000 seeds",
        expect: /a question beside the messages is a round by itself/,
      },
      sim(READS, SIM_READS),
    ],
  },
  {
    id: "read-question-before-term-is-published",
    reference: "R4: what a read relies on is told before anybody acts on it",
    does: "tells reader threads of a new term only when something is applied, after it has voted in it",
    edits: [
      {
        file: "src/replica/loop.ts",
        find: "    this.#modules.onChanged?.();\n    this.announce();\n",
        replace: "    this.#modules.onChanged?.();\n",
      },
    ],
    killers: [sim(READS, SIM_READS)],
  },
  {
    id: "read-request-confirms-for-others",
    reference: "etcd#20418: a confirmation counts for a read that it did not come after",
    does: "what a follower's request proves for its own reads confirms the round under way, too",
    edits: [
      {
        file: "src/raft/reads.ts",
        find: "    return answer(state, { from, requestId }, state.commitIndex);\n",
        replace:
          "    const peer = leading.peers.get(from);\n" +
          "    if (peer !== undefined) peer.readRound = leading.readRound;\n" +
          "    return answer(state, { from, requestId }, state.commitIndex);\n",
      },
    ],
    killers: [explore("reads-twice", STALE, 3_000_000)],
  },
  {
    id: "read-during-hand-over",
    reference: "etcd-io/raft 1ef3e574: reads while leadership is being transferred",
    does: "while it hands over, answers its own reads at once, as if nobody else could lead yet",
    edits: [
      {
        file: "src/raft/reads.ts",
        find: "  if (!mayAnswer(state, leading)) return;\n",
        replace:
          "  if (state.commitIndex < leading.termStartIndex) return;\n" +
          '  if (leading.transferTo !== "") {\n' +
          "    leading.coveredReadId = state.reads.newestId;\n" +
          "    return grant(state, leading.coveredReadId, state.commitIndex);\n" +
          "  }\n",
      },
    ],
    killers: [sim(READS, TERMS)],
  },
  {
    id: "applied-raised-before-applying",
    reference:
      "hashicorp/raft AppliedIndex(): raised when an entry is handed over, not when it is applied",
    does: "publishes what may be applied as applied, and serves reads by the published index",
    edits: [
      {
        file: "src/replica/loop.ts",
        find: "      appliedIndex: this.applier.visibleIndex,",
        replace: "      appliedIndex: this.core.applicableIndex,",
      },
      {
        file: "src/service/reads.ts",
        find:
          "    this.#scheduler.defer(this.#endTransaction);\n" +
          "    this.#transactionIndex = this.#modules.appliedIndex();",
        replace:
          "    this.#scheduler.defer(this.#endTransaction);\n" +
          "    this.#transactionIndex = this.#modules.progress.appliedIndex;",
      },
    ],
    killers: [sim(READS, SIM_READS)],
  },
  {
    id: "read-transaction-not-renewed",
    reference: "lmdb-js#250: a worker thread without resetReadTxn",
    does: "a reader thread keeps its read transaction and takes the published index for what is in it",
    edits: [
      {
        file: "src/service/reads.ts",
        find: "    this.#scheduler.defer(this.#endTransaction);\n",
        replace: "",
      },
      {
        file: "src/service/reads.ts",
        find:
          "    this.#modules.transactions.endRead();\n" +
          "    this.#isTransactionOpen = false;\n" +
          "    // What an earlier read was granted was found in the transaction that ends here.\n" +
          "    this.#coveredWakeCount = -1;\n" +
          "    this.#modules.transactions.beginRead();\n" +
          "    this.#isTransactionOpen = true;\n" +
          "    this.#transactionIndex = this.#modules.appliedIndex();\n",
        replace: "    this.#transactionIndex = this.#modules.progress.appliedIndex;\n",
      },
    ],
    killers: [sim(READS, SIM_READS)],
  },
];
