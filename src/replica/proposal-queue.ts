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

  push(proposal: PendingProposal): void {
    this.#items.push(proposal);
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
