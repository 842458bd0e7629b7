/** Callers that wait for this member to lead in a term of at least theirs, with an applied entry of its own. */

import type { HearthError } from "../base/index.ts";
import type { Batch } from "../raft/index.ts";
import { NO_REJECTIONS } from "./answers.ts";
import type { ProposeDone } from "./types.ts";

interface WaitingCampaign {
  readonly termAtLeast: number;
  readonly done: ProposeDone;
  waitedTicks: number;
}

export class Campaigns {
  #waiting: WaitingCampaign[] = [];

  push(termAtLeast: number, done: ProposeDone): void {
    this.#waiting.push({ termAtLeast, done, waitedTicks: 0 });
  }

  /** Entries of this member's own term were applied while it leads: the first of them is the answer. */
  onApplied(batches: readonly Batch[], term: number): void {
    if (this.#waiting.length === 0) return;
    const first = batches.find((batch) => batch.term === term);
    if (first === undefined) return;
    const { firstIndex } = first;
    const outcomes = new Uint8Array(0);
    for (const { done } of this.#take((waiting) => waiting.termAtLeast <= term)) {
      done({ ok: true, firstIndex, term, outcomes, rejections: NO_REJECTIONS });
    }
  }

  onTick(ticksMax: number, error: () => HearthError): void {
    for (const waiting of this.#waiting) waiting.waitedTicks += 1;
    for (const { done } of this.#take(({ waitedTicks }) => waitedTicks > ticksMax)) {
      done({ ok: false, error: error() });
    }
  }

  failAll(error: HearthError): void {
    for (const { done } of this.#take(() => true)) done({ ok: false, error });
  }

  #take(predicate: (waiting: WaitingCampaign) => boolean): readonly WaitingCampaign[] {
    const taken = this.#waiting.filter(predicate);
    if (taken.length > 0) this.#waiting = this.#waiting.filter((each) => !predicate(each));
    return taken;
  }
}
