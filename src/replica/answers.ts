/** Turns the outcomes of an applied range into the answers of its proposals. */

import type { HearthError } from "../base/index.ts";
import type { CommittedBatch } from "../protocol/index.ts";
import { outcomeUnknown } from "./errors.ts";
import type { PendingProposal, ProposalQueue } from "./proposal-queue.ts";
import type { ApplyOutcome } from "./types.ts";

export const NO_REJECTIONS: ReadonlyMap<number, string> = new Map();

/** By code: the outcomes of the many proposals that carry one entry, which need no view each. Never written to. */
const SINGLE_OUTCOMES: readonly Uint8Array[] = Array.from({ length: 256 }, (_, code) =>
  Uint8Array.of(code),
);

/** Outcomes of the first part of a proposal whose range ended inside of it. Its entries follow in the next range. */
interface DecidedPart {
  readonly outcomes: Uint8Array;
  readonly rejections: ReadonlyMap<number, string>;
}

export class Answers {
  readonly #queue: ProposalQueue;
  #part: DecidedPart | null = null;

  constructor(queue: ProposalQueue) {
    this.#queue = queue;
  }

  /**
   * Step 7 (DESIGN.md, "The loop"): answers every proposal that ends in the range, in log order. A proposal whose place
   * was taken by entries of another term has certainly not happened, and fails with `replaced`; when only its rest was,
   * the outcome is unknown.
   */
  answerRange(
    batches: readonly CommittedBatch[],
    result: ApplyOutcome,
    replaced: () => HearthError,
  ): void {
    const rangeFirst = (batches[0] as CommittedBatch).firstIndex;
    const rangeEnd = rangeFirst + result.outcomes.length;
    let at = 0;
    for (let next = this.#queue.first; next !== undefined; next = this.#queue.first) {
      const first = Math.max(next.firstIndex, rangeFirst);
      if (first >= rangeEnd) return;
      while (endOf(batches[at] as CommittedBatch) <= first) at += 1;
      if ((batches[at] as CommittedBatch).term !== next.term) {
        this.#queue.shift();
        // Entries of its first part were applied, those of the rest were not: neither "done" nor "not done" is true.
        const error = this.#part === null ? replaced() : outcomeUnknown(replaced());
        this.#part = null;
        next.done({ ok: false, error });
      } else if (next.firstIndex + next.count > rangeEnd) {
        this.#keepPart(result, first - rangeFirst);
        return;
      } else {
        this.#queue.shift();
        this.#answer(next, result, first - rangeFirst);
      }
    }
  }

  /** The newest proposal was given up, answered or not: what is known of a part of it is worth nothing now. */
  forget(): void {
    this.#part = null;
  }

  #answer(proposal: PendingProposal, result: ApplyOutcome, start: number): void {
    const { firstIndex, term, count, done } = proposal;
    const part = this.#part;
    this.#part = null;
    if (part !== null) {
      const whole = joined(part, partOf(result, start, start + count - part.outcomes.length));
      done({ ok: true, firstIndex, term, ...whole });
      return;
    }
    const outcomes = outcomesOf(result.outcomes, start, count);
    const rejections = rejectionsOf(result, start, start + count);
    done({ ok: true, firstIndex, term, outcomes, rejections });
  }

  #keepPart(result: ApplyOutcome, start: number): void {
    const part = partOf(result, start, result.outcomes.length);
    this.#part = this.#part === null ? part : joined(this.#part, part);
  }
}

function outcomesOf(outcomes: Uint8Array, start: number, count: number): Uint8Array {
  if (count === 1) return SINGLE_OUTCOMES[outcomes[start] as number] as Uint8Array;
  return count === outcomes.length ? outcomes : outcomes.subarray(start, start + count);
}

function endOf(batch: CommittedBatch): number {
  return batch.firstIndex + batch.count;
}

function partOf(result: ApplyOutcome, start: number, end: number): DecidedPart {
  return {
    outcomes: result.outcomes.slice(start, end),
    rejections: rejectionsOf(result, start, end),
  };
}

function joined(head: DecidedPart, tail: DecidedPart): DecidedPart {
  const outcomes = new Uint8Array(head.outcomes.length + tail.outcomes.length);
  outcomes.set(head.outcomes);
  outcomes.set(tail.outcomes, head.outcomes.length);
  const rejections = new Map(head.rejections);
  for (const [at, reason] of tail.rejections) rejections.set(head.outcomes.length + at, reason);
  return { outcomes, rejections };
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
