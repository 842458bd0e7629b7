/**
 * Proposals that were accepted and not yet answered, in log order. They double as the batches that are applied, so
 * nothing is allocated per entry and one object per proposal.
 */

import type { CommittedBatch } from "../protocol/index.ts";
import type { ProposeDone } from "./types.ts";

export interface PendingProposal extends CommittedBatch {
  readonly done: ProposeDone;
}

/** Compact the array when that many answered slots lie in front. */
const COMPACT_AT = 1024;

export class ProposalQueue {
  #items: PendingProposal[] = [];
  #head = 0;
  /** Bytes of all bodies in the queue. */
  bytes = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(proposal: PendingProposal): void {
    this.#items.push(proposal);
    this.bytes += proposal.bodyBytes;
  }

  /** Takes proposals that end at or before `lastIndex`, as many as `maxBytes` hold, and at least one if there is one. */
  take(lastIndex: number, maxBytes: number): PendingProposal[] {
    const start = this.#head;
    let end = start;
    let takenBytes = 0;
    for (; end < this.#items.length; end++) {
      const { firstIndex, count, bodyBytes } = this.#items[end] as PendingProposal;
      if (firstIndex + count - 1 > lastIndex) break;
      if (end > start && takenBytes + bodyBytes > maxBytes) break;
      takenBytes += bodyBytes;
    }
    const taken = this.#items.slice(start, end);
    this.#drop(end, takenBytes);
    return taken;
  }

  takeAll(): PendingProposal[] {
    return this.take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  #drop(end: number, takenBytes: number): void {
    this.bytes -= takenBytes;
    this.#head = end;
    if (end === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (end >= COMPACT_AT) {
      this.#items = this.#items.slice(end);
      this.#head = 0;
    }
  }
}
