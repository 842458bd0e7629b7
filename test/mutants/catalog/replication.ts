/** Bugs of replication and commit. */

import type { Mutant } from "../types.ts";
import { explore, SAFETY, sim, STRANDED } from "./killers.ts";

const OWN_OR_PEER = `  const index = quorumIndex(membership, (id) =>
    id === nodeId ? log.durableIndex : (leading.peers.get(id)?.matchIndex ?? 0),
  );`;

export const REPLICATION_MUTANTS: readonly Mutant[] = [
  {
    id: "commit-quorum-minus-one",
    reference: "R4: commit with quorum - 1; the canary",
    does: "counts one voter as if it had everything",
    edits: [
      {
        file: "src/raft/replication.ts",
        find: OWN_OR_PEER,
        replace: `  const trusted = membership.voters.find((id) => id !== nodeId);
  const index = quorumIndex(membership, (id) => {
    if (id === trusted) return log.lastIndex;
    return id === nodeId ? log.durableIndex : (leading.peers.get(id)?.matchIndex ?? 0);
  });`,
      },
    ],
    killers: [sim(), explore("replication", /^committed on a durable quorum/)],
  },
  {
    id: "commit-own-entries-before-durable",
    reference: "etcd#14370; R4: ack before fsync",
    does: "counts the leader's own entries before they are on its disk",
    edits: [
      {
        file: "src/raft/replication.ts",
        find: "    id === nodeId ? log.durableIndex : (leading.peers.get(id)?.matchIndex ?? 0),",
        replace: "    id === nodeId ? log.lastIndex : (leading.peers.get(id)?.matchIndex ?? 0),",
      },
    ],
    killers: [explore("replication", /^committed on a durable quorum/), sim()],
  },
  {
    id: "commit-prior-term",
    reference: "logcabin#44; Figure 8 of the paper",
    does: "commits entries of earlier terms by counting them",
    edits: [
      {
        file: "src/raft/replication.ts",
        find: "  if (index <= state.commitIndex || termAt(log, index) !== state.term) return;",
        replace: "  if (index <= state.commitIndex) return;",
      },
    ],
    killers: [explore("figure-8", /^(leader completeness|state machine safety)/, 3_000_000), sim()],
  },
  {
    id: "stale-append-acknowledgement",
    reference: "openraft cecb5de8: a replication answer of an earlier term, after truncation",
    does: "takes an append answer of an earlier term for one of this term",
    edits: [
      {
        file: "src/raft/core.ts",
        find: "    if (message.term < state.term && !isForAnyTerm(message)) {",
        replace:
          "    const isAnswer = message.kind === MESSAGE.appendReply;\n" +
          "    if (message.term < state.term && !isForAnyTerm(message) && !isAnswer) {",
      },
    ],
    killers: [sim(SAFETY, STRANDED)],
  },
  {
    id: "durable-report-covers-later-work",
    reference: "etcd-io/raft 2af491fb: storage acknowledgements out of order",
    does: "takes the report of one piece of durable work for all that wait",
    edits: [
      {
        file: "src/raft/work.ts",
        find: "    if (piece === last) break;",
        replace: "    if (work.pending.length === 0) break;",
      },
    ],
    killers: [explore("replication", /^(no reply without durability|durable means)/), sim()],
  },
  {
    id: "durable-report-after-truncation",
    reference: "etcd-io/raft PR #8: ABA on append acknowledgements",
    does: "lets the report of a write count for entries that replaced what was written",
    edits: [
      {
        file: "src/raft/work.ts",
        find: "  for (const piece of work.pending) piece.durableThrough = Math.min(piece.durableThrough, index);\n",
        replace: "",
      },
    ],
    killers: [
      explore("conflicts", /^(durable means|no reply|assertion: .*Durable)/, 3_000_000),
      sim(),
    ],
  },
  {
    id: "append-without-previous-check",
    reference: "Raft 5.3: the consistency check",
    does: "appends behind whatever it has",
    edits: [
      {
        file: "src/raft/follower.ts",
        find: "  if (previousIndex >= state.commitIndex && termAt(log, previousIndex) !== previousTerm) {",
        replace: "  if (previousIndex > log.lastIndex) {",
      },
    ],
    killers: [explore("figure-8", /^(log matching|committed on|state machine|leader comp)/), sim()],
  },
  {
    id: "append-cuts-what-follows",
    reference: "Raft 5.3, the classic: a delayed append truncates what came after it",
    does: "gives up everything behind the last entry of an append, also without a conflict",
    edits: [
      {
        file: "src/raft/follower.ts",
        find: "  if (hasNewMembership) membershipChanged(state);\n  const matched",
        replace:
          "  if (hasNewMembership) membershipChanged(state);\n" +
          "  if (lastNew < log.lastIndex && lastNew >= state.commitIndex) {\n" +
          "    truncateDurably(state, lastNew + 1, termAt(log, lastNew));\n" +
          "  }\n" +
          "  const matched",
      },
    ],
    killers: [explore("replication", /^committed on a durable quorum/, 2_000_000), sim()],
  },
  {
    id: "apply-before-durable",
    reference: "R4: apply beyond the local durable log",
    does: "applies committed entries that its own disk does not have yet",
    edits: [
      {
        file: "src/raft/core.ts",
        find: "    return Math.min(commitIndex, log.durableIndex);",
        replace: "    return commitIndex;",
      },
    ],
    killers: [
      explore("replication", /^(applied within durable|assertion: .*(durable|Applied \d+ above))/),
      sim(),
    ],
  },
  {
    id: "next-below-match",
    reference: "etcd-io/raft PR #149: Next < Match",
    does: "goes back to where a late answer points, also below what is known to match",
    edits: [
      {
        file: "src/raft/progress.ts",
        find: "  peer.nextIndex = Math.max(nextIndex, peer.matchIndex + 1);",
        replace: "  peer.nextIndex = nextIndex;",
      },
      // Alone that changes nothing: whoever asks for a place below the match has lowered the match before.
      {
        file: "src/raft/replication.ts",
        find:
          "  if (peer.state === PROGRESS.replicate) return becomeProbe(peer);\n" +
          "  // An answer to an earlier probe.\n" +
          "  if (message.index !== peer.nextIndex - 1) return;\n" +
          "  if (message.index <= peer.matchIndex) peer.matchIndex = 0;\n",
        replace: "",
      },
    ],
    // The core's own assertion of the same rule may be the first to see it.
    killers: [
      explore("reordered", /^(match below next|assertion: .*match \d+ >= next)/, 2_000_000),
      sim(/^match-below-next|match \d+ >= next/),
    ],
  },
  {
    id: "in-flight-bytes-leak",
    reference: "etcd-io/raft PR #54: bytes under way are never given back",
    does: "forgets what is under way without giving back its bytes",
    edits: [{ file: "src/raft/progress.ts", find: "  peer.inflightBytes = 0;\n", replace: "" }],
    killers: [
      explore("replication", /^(in-flight accounting|assertion: .*bytes under way)/),
      sim(/^in-flight|bytes under way/),
    ],
  },
  {
    id: "heartbeat-commits-beyond-match",
    reference: "Raft 5.3; etcd-io/raft: heartbeats carry min(match, commit)",
    does: "tells a follower to commit what it may not have",
    edits: [
      {
        file: "src/raft/heartbeats.ts",
        find: "Math.min(peer.matchIndex, state.commitIndex)",
        replace: "state.commitIndex",
      },
    ],
    killers: [explore("conflicts", /^state machine safety/, 2_000_000), sim()],
  },
];
