/** Turns the outcomes of an applied range into the answers of its proposals. */

import type { PendingProposal } from "./proposal-queue.ts";
import type { ApplyOutcome } from "./types.ts";

export const NO_REJECTIONS: ReadonlyMap<number, string> = new Map();

/** Step 7 (DESIGN.md, "The loop"): answers every proposal of the range, in log order. */
export function answerRange(range: readonly PendingProposal[], result: ApplyOutcome): void {
  let position = 0;
  for (const { firstIndex, term, count, done } of range) {
    const end = position + count;
    const isWhole = count === result.outcomes.length;
    const outcomes = isWhole ? result.outcomes : result.outcomes.subarray(position, end);
    const rejections = rejectionsOf(result, position, end);
    done({ ok: true, firstIndex, term, outcomes, rejections });
    position = end;
  }
}

/** Rejections of one proposal, counted from its first entry. */
function rejectionsOf(
  result: ApplyOutcome,
  start: number,
  end: number,
): ReadonlyMap<number, string> {
  if (result.rejections.size === 0) return NO_REJECTIONS;
  const own = new Map<number, string>();
  for (const [position, reason] of result.rejections) {
    if (position >= start && position < end) own.set(position - start, reason);
  }
  return own;
}
