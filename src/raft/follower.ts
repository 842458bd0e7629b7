/** Appends and heartbeats on the receiving side (DESIGN.md 14-19). */

import { assert } from "../base/index.ts";
import { lastIndexOf, sliceBatch } from "./batches.ts";
import { raiseCommit } from "./commit.ts";
import { firstConflict, lastWithTermAtMost, termAt } from "./raft-log.ts";
import { becomeFollower, membershipChanged } from "./roles.ts";
import { type Core, type CoreState, drop } from "./state.ts";
import {
  type Append,
  type AppendReply,
  type Batch,
  type Heartbeat,
  MESSAGE,
  type NodeId,
  ROLE,
} from "./types.ts";
import {
  appendDurably,
  holdForTerm,
  holdReply,
  persistHardState,
  truncateDurably,
} from "./work.ts";

/** The sender leads the present term. False: it cannot, there is another one. */
export function recogniseLeader(core: Core, from: NodeId): boolean {
  const { state } = core;
  if (state.role === ROLE.leader || (state.leader !== "" && state.leader !== from)) {
    drop(state);
    return false;
  }
  becomeFollower(core, state.term, from);
  state.electionElapsed = 0;
  return true;
}

export function handleAppend(core: Core, message: Append): void {
  const { state } = core;
  const { log } = state;
  if (!recogniseLeader(core, message.from)) return;
  const { previousIndex, previousTerm, batches } = message;
  // What is committed here matches: every leader has it.
  if (previousIndex >= state.commitIndex && termAt(log, previousIndex) !== previousTerm) {
    return rejectAppend(state, message.from, previousIndex, previousTerm);
  }
  const lastBatch = batches.at(-1);
  const lastNew = lastBatch === undefined ? previousIndex : lastIndexOf(lastBatch);
  let hasNewMembership = false;
  for (const batch of batches) if (acceptBatch(state, batch)) hasNewMembership = true;
  if (hasNewMembership) membershipChanged(state);
  const matched = Math.max(lastNew, state.commitIndex);
  raiseCommit(state, Math.min(message.commitIndex, matched));
  if (state.abstains) noteMatch(state, message, matched);
  acceptAppend(state, message.from, matched);
}

/** The log matches the leader's up to `index`: told when it is durable. */
export function acceptAppend(state: CoreState, to: NodeId, index: number): void {
  answerAppend(state, to, { isRejected: false, index, ...NO_HINT });
}

type AppendAnswer = Pick<AppendReply, "isRejected" | "index" | "hintIndex" | "hintTerm">;
const NO_HINT = { hintIndex: 0, hintTerm: 0 } as const;

function answerAppend(state: CoreState, to: NodeId, answer: AppendAnswer): void {
  const { term, options } = state;
  holdReply(state, { kind: MESSAGE.appendReply, from: options.nodeId, to, term, ...answer });
}

/** Takes over what is missing; entries go only where the terms differ. Answers whether the configuration changed. */
function acceptBatch(state: CoreState, batch: Batch): boolean {
  const { log } = state;
  let hasChanged = false;
  const conflict = firstConflict(log, batch);
  if (conflict > 0) {
    assert(
      conflict > state.commitIndex,
      `A committed entry conflicts: index ${conflict} has term ${termAt(log, conflict)} here and ${batch.term} at the leader`,
    );
    const before = log.memberships.length;
    truncateDurably(state, conflict, termAt(log, conflict - 1));
    hasChanged = log.memberships.length !== before;
  }
  const last = lastIndexOf(batch);
  if (last <= log.lastIndex) return hasChanged;
  return appendDurably(state, sliceBatch(batch, log.lastIndex + 1, last)) || hasChanged;
}

/** Says where the logs may match at best, by index and by term: the leader need not try the rest. */
export function rejectAppend(
  state: CoreState,
  to: NodeId,
  previousIndex: number,
  previousTerm: number,
): void {
  const { log } = state;
  const hintIndex = lastWithTermAtMost(log, previousIndex, previousTerm);
  const hintTerm = Math.max(0, termAt(log, hintIndex));
  answerAppend(state, to, { isRejected: true, index: previousIndex, hintIndex, hintTerm });
}

export function handleHeartbeat(core: Core, message: Heartbeat): void {
  const { state } = core;
  if (!recogniseLeader(core, message.from)) return;
  const { commitIndex, readRound } = message;
  // The leader thinks that more is here than is: damage took what was acknowledged. It has to probe.
  if (commitIndex > state.log.lastIndex || (state.abstains && state.matchedIndex === 0)) {
    rejectAppend(state, message.from, Math.max(commitIndex, state.log.lastIndex + 1), state.term);
  }
  // The leader speaks of what was here before the damage; what the cut brought back may be entries that were replaced.
  const knownIndex = state.abstains ? state.matchedIndex : state.log.lastIndex;
  raiseCommit(state, Math.min(commitIndex, knownIndex));
  holdForTerm(state, {
    kind: MESSAGE.heartbeatReply,
    from: state.options.nodeId,
    to: message.from,
    term: state.term,
    readRound,
  });
}

/** The sender is behind our term: it has to hear of it, or it would never take us along (DESIGN.md 12). */
export function answerOldLeader(state: CoreState, to: NodeId): void {
  answerAppend(state, to, { isRejected: true, index: 0, ...NO_HINT });
}

// -- abstention (DESIGN.md 36-38) ----------------------------------------------------------------------------------

function noteMatch(state: CoreState, message: Append, matched: number): void {
  state.matchedIndex = Math.max(state.matchedIndex, matched);
  const { commitIndex } = message;
  const hasOwnTerm = commitIndex <= matched && termAt(state.log, commitIndex) === state.term;
  if (commitIndex > 0 && hasOwnTerm) state.rejoinIndex = commitIndex;
  maybeRejoin(state);
}

/** Ends the abstention once everything that the leader had committed is durable here. */
export function maybeRejoin(state: CoreState): void {
  if (!state.abstains || state.rejoinIndex === 0) return;
  if (state.log.durableIndex < state.rejoinIndex) return;
  state.abstains = false;
  state.rejoinIndex = 0;
  // A vote of this term may have gone with the damage: from now on it is the leader's.
  if (state.vote === "") state.vote = state.leader;
  persistHardState(state);
  state.outbox.hasChanged = true;
}
