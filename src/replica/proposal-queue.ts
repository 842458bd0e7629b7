/** Proposals that were accepted and not yet answered, in log order: one object per proposal, nothing per entry. */

import type { ProposeDone } from "./types.ts";

export interface PendingProposal {
  readonly firstIndex: number;
  readonly term: number;
  readonly count: number;
  readonly done: ProposeDone;
}

/** Compact the array when that many answered slots lie in front. */
const COMPACT_AT = 1024;

export class ProposalQueue {
  #items: PendingProposal[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): PendingProposal | undefined {
    return this.#items[this.#head];
  }

  /**
   * Mostly at the end. A member that lost its lead, had its entries replaced and leads again gives out the same indexes
   * anew while the old proposals still wait to see what was committed there: those with a smaller index come first.
   */
  push(proposal: PendingProposal): void {
    const items = this.#items;
    let at = items.length;
    while (at > this.#head && (items[at - 1] as PendingProposal).firstIndex > proposal.firstIndex) {
      at -= 1;
    }
    if (at === items.length) items.push(proposal);
    else items.splice(at, 0, proposal);
  }

  shift(): void {
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_AT) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Takes out everything that is left. */
  takeAll(): readonly PendingProposal[] {
    const items = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    return items;
  }
}
