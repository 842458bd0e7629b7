/** Terms and configurations of the log by index, kept in memory: Raft asks for them without waiting for the disk. */

import type { TermSpan } from "../raft/index.ts";

/** Where terms begin, ascending in both; covers the entries of the log without a gap. */
export class TermSpans {
  #spans: TermSpan[] = [];

  get spans(): readonly TermSpan[] {
    return this.#spans;
  }

  /** Entries from `firstIndex` on are of `term`; what stood there before is replaced. */
  add(firstIndex: number, term: number): void {
    this.truncateFrom(firstIndex);
    if (this.#spans.at(-1)?.term !== term) this.#spans.push({ firstIndex, term });
  }

  truncateFrom(index: number): void {
    while ((this.#spans.at(-1)?.firstIndex ?? -1) >= index) this.#spans.pop();
  }

  /** The log begins at `firstIndex` from now on; `lastIndex` is below it when nothing is left. */
  dropBelow(firstIndex: number, lastIndex: number): void {
    if (lastIndex < firstIndex) return this.clear();
    let first = 0;
    while ((this.#spans[first + 1]?.firstIndex ?? firstIndex + 1) <= firstIndex) first += 1;
    this.#spans = this.#spans.slice(first);
    const span = this.#spans[0];
    if (span !== undefined && span.firstIndex < firstIndex)
      this.#spans[0] = { firstIndex, term: span.term };
  }

  clear(): void {
    this.#spans = [];
  }
}

/** The one entry of a membership frame, as it was appended: the entry header and its payload. */
export interface MembershipEntry {
  readonly index: number;
  /** Owned; must not be changed. */
  readonly body: Uint8Array;
}

/** Removes what a cut from `index` on gives up. `items` ascend by index. */
export function dropFrom(items: { readonly index: number }[], index: number): void {
  while ((items.at(-1)?.index ?? -1) >= index) items.pop();
}
