/**
 * What one member has said about its log, kept beside it: entries as (term, hash), what is durable of them, and the
 * hard state. Fed by the calls that the driver makes to its durable log, so it needs no trust in either.
 */

import type { Batch, HardState } from "../../src/raft/index.ts";
import { entryHashes } from "./entry-hash.ts";
import { check } from "./failure.ts";

interface PendingWrite {
  readonly sequence: number;
  readonly lastIndex: number;
  readonly hardState: HardState | null;
}

/** An entry as the checkers know it. */
export interface ShadowEntry {
  readonly term: number;
  readonly hash: number;
}

export class ShadowLog {
  /** The entry before the first one kept. */
  baseIndex = 0;
  baseTerm = 0;
  /** Entry i is at position i - baseIndex - 1. */
  readonly #terms: number[] = [];
  readonly #hashes: number[] = [];
  durableIndex = 0;
  /** As last set; durable or not. */
  hardState: HardState = { term: 0, vote: "", abstains: false };
  /** What no crash takes away. */
  durableHardState: HardState = { term: 0, vote: "", abstains: false };
  #pending: PendingWrite[] = [];

  get lastIndex(): number {
    return this.baseIndex + this.#terms.length;
  }

  /** Term of an entry; -1 when it is not here. */
  termAt(index: number): number {
    if (index === this.baseIndex) return this.baseTerm;
    return this.#terms[index - this.baseIndex - 1] ?? -1;
  }

  hashAt(index: number): number {
    return this.#hashes[index - this.baseIndex - 1] ?? -1;
  }

  holds(index: number, entry: ShadowEntry): boolean {
    return this.termAt(index) === entry.term && this.hashAt(index) === entry.hash;
  }

  append(sequence: number, batch: Pick<Batch, "firstIndex" | "term" | "count" | "body">): void {
    check(batch.firstIndex === this.lastIndex + 1, "log-continues", () => {
      return `append at ${batch.firstIndex}, log ends at ${this.lastIndex}`;
    });
    const hashes = entryHashes(batch.body, batch.count);
    for (let i = 0; i < batch.count; i++) {
      this.#terms.push(batch.term);
      this.#hashes.push(hashes[i] as number);
    }
    this.#pending.push({ sequence, lastIndex: this.lastIndex, hardState: null });
  }

  setHardState(sequence: number, hardState: HardState): void {
    this.hardState = hardState;
    this.#pending.push({ sequence, lastIndex: this.lastIndex, hardState });
  }

  truncateSuffix(fromIndex: number): void {
    const kept = Math.max(0, fromIndex - this.baseIndex - 1);
    this.#terms.length = Math.min(this.#terms.length, kept);
    this.#hashes.length = this.#terms.length;
    this.durableIndex = Math.min(this.durableIndex, fromIndex - 1);
    // Writes of entries that are given up prove nothing about what follows them.
    this.#pending = this.#pending.map((write) => ({
      ...write,
      lastIndex: Math.min(write.lastIndex, fromIndex - 1),
    }));
  }

  truncatePrefix(throughIndex: number): void {
    const count = throughIndex - this.baseIndex;
    if (count <= 0) return;
    this.baseTerm = this.termAt(throughIndex);
    this.#terms.splice(0, count);
    this.#hashes.splice(0, count);
    this.baseIndex = throughIndex;
  }

  /** The log starts anew behind `index`; with a sequence number: from its durability on. */
  reset(index: number, term: number, sequence = 0): void {
    this.#terms.length = 0;
    this.#hashes.length = 0;
    this.baseIndex = index;
    this.baseTerm = term;
    // Until the reset is durable the old entries are what a crash leaves.
    this.durableIndex = sequence === 0 ? index : Math.min(this.durableIndex, index);
    this.#pending = this.#pending.map((write) => ({ ...write, lastIndex: 0 }));
    if (sequence > 0) this.#pending.push({ sequence, lastIndex: index, hardState: null });
  }

  durable(sequence: number): void {
    let done = 0;
    for (const write of this.#pending) {
      if (write.sequence > sequence) break;
      done += 1;
      this.durableIndex = Math.max(this.durableIndex, write.lastIndex);
      if (write.hardState !== null) this.durableHardState = write.hardState;
    }
    this.#pending.splice(0, done);
  }
}
