/** What one member believes about its configuration and its peers, and says of its term, compared with what is so. */

import {
  type MembershipAt,
  type Message,
  MESSAGE,
  type NodeId,
  type RaftStatus,
} from "../../src/raft/index.ts";
import { violated } from "./failure.ts";
import type { Invariants, MemberView } from "./invariants.ts";
import type { ShadowLog } from "./shadow-log.ts";

type Believer = Pick<MemberView, "nodeId" | "shadow">;

/** The configuration in force is the newest one of the log, or the one that came with its snapshot. */
export function checkConfiguration(
  { nodeId, shadow }: Believer,
  status: Pick<RaftStatus, "membership">,
  invariants: Invariants,
): void {
  const { index } = status.membership;
  const expected = invariants.configurationIndex(shadow);
  if (index !== expected) {
    violated("configuration", `${nodeId} follows the one of ${index}, its log that of ${expected}`);
  }
}

/**
 * Reader threads have been told of a term before a message of it leaves: by the term in which they ask, a leader tells that
 * their member has voted for nobody after it. A pre-vote names a term that nobody is in yet.
 */
export function checkPublished(message: Message, publishedTerm: number): void {
  const { kind, from, term } = message;
  if (kind !== MESSAGE.preVote && term > publishedTerm) {
    violated("term-published", `${from} speaks in term ${term}, has published ${publishedTerm}`);
  }
}

/** A leader appends a configuration only when the one before it is committed (dissertation 4.1, 4.3). */
export function checkChange(
  nodeId: NodeId,
  change: { readonly index: number; readonly before: MembershipAt; readonly commitIndex: number },
): void {
  const { index, before, commitIndex } = change;
  if (before.index > commitIndex) {
    violated(
      "change-pending",
      `${nodeId} appends configuration ${index}, that of ${before.index} is above commit ${commitIndex}`,
    );
  }
}

/**
 * What a leader takes for replicated is durable at the peer, and the same entry. Not looked at: peers that have moved
 * on to a later term, where another leader may have replaced it, and those that damage took something from
 * (`shadowOf` answers null).
 */
export function checkMatches(
  { nodeId, shadow }: Believer,
  status: Pick<RaftStatus, "term" | "peers">,
  shadowOf: (id: NodeId) => ShadowLog | null,
): void {
  for (const { id, matchIndex } of status.peers) {
    const there = matchIndex === 0 ? null : shadowOf(id);
    if (there === null || there.hardState.term > status.term) continue;
    if (there.durableIndex < matchIndex) {
      violated(
        "match-durable",
        `${nodeId} counts ${matchIndex} of ${id}, durable ${there.durableIndex}`,
      );
    }
    if (matchIndex <= Math.max(shadow.baseIndex, there.baseIndex)) continue;
    if (there.termAt(matchIndex) === shadow.termAt(matchIndex)) continue;
    violated(
      "match-durable",
      `${nodeId} counts ${matchIndex} of ${id}: term ${shadow.termAt(matchIndex)} here, ${there.termAt(matchIndex)} there`,
    );
  }
}
