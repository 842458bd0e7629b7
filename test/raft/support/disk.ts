/**
 * What one member has on stable storage: the AppendWork of its core, in order, and nothing else. Every member's disk
 * survives its crashes; a crash loses the pieces that were not made durable.
 */

import assert from "node:assert/strict";
import {
  type AppendWork,
  type Batch,
  BATCH_KIND,
  decodeMembershipBatch,
  type HardState,
  type LogView,
  type MembershipAt,
  type RaftStart,
  type SnapshotMeta,
  type TermSpan,
} from "../../../src/raft/index.ts";
import { sliceBatch } from "../../../src/raft/batches.ts";

export class Disk implements LogView {
  hardState: HardState = { term: 0, vote: "", abstains: false };
  /** Entries one by one: entries[i] has index firstIndex + i. */
  entries: Batch[] = [];
  firstIndex = 1;
  baseTerm = 0;
  snapshot: SnapshotMeta | null = null;
  /** Vote of every term that ever reached this disk: a second one is a violation. */
  readonly votes = new Map<number, string>();
  /** The next slice is answered with null, as if it had to be read first. */
  isCold = false;
  installs = 0;
  truncations = 0;

  get lastIndex(): number {
    return this.firstIndex + this.entries.length - 1;
  }

  termAt(index: number): number {
    if (index === this.firstIndex - 1) return this.baseTerm;
    return this.entries[index - this.firstIndex]?.term ?? -1;
  }

  entryAt(index: number): Batch | undefined {
    return this.entries[index - this.firstIndex];
  }

  write(work: AppendWork): void {
    const { hardState, truncateFrom, batches, install } = work;
    if (hardState !== null) this.#writeHardState(hardState);
    if (truncateFrom !== null) {
      const { fromIndex, previousTerm } = truncateFrom;
      assert.ok(fromIndex >= this.firstIndex && fromIndex <= this.lastIndex, "truncation in range");
      assert.equal(this.termAt(fromIndex - 1), previousTerm, "term before the truncation");
      this.truncations += 1;
      this.entries.length = fromIndex - this.firstIndex;
    }
    for (const batch of batches) {
      assert.equal(batch.firstIndex, this.lastIndex + 1, "a gap in the log on the disk");
      for (let i = 0; i < batch.count; i++) {
        const index = batch.firstIndex + i;
        this.entries.push(sliceBatch(batch, index, index));
      }
    }
    if (install !== null) this.#install(install.meta, install.keepsLog);
  }

  #writeHardState(hardState: HardState): void {
    const { term, vote } = hardState;
    assert.ok(term >= this.hardState.term, "the term on the disk falls");
    const before = this.votes.get(term) ?? "";
    assert.ok(before === "" || before === vote, `two votes in term ${term}: ${before}, ${vote}`);
    if (vote !== "") this.votes.set(term, vote);
    this.hardState = hardState;
  }

  #install(meta: SnapshotMeta, keepsLog: boolean): void {
    assert.equal(keepsLog, this.termAt(meta.index) === meta.term, "keepsLog says what is true");
    this.snapshot = meta;
    this.installs += 1;
    if (keepsLog) return;
    this.entries = [];
    this.firstIndex = meta.index + 1;
    this.baseTerm = meta.term;
  }

  /** Cuts the head of the log. */
  compact(throughIndex: number): void {
    if (throughIndex < this.firstIndex) return;
    const baseTerm = this.termAt(throughIndex);
    this.entries = this.entries.slice(throughIndex + 1 - this.firstIndex);
    this.firstIndex = throughIndex + 1;
    this.baseTerm = baseTerm;
  }

  /** What a start finds. `appliedIndex` is what the state has kept. */
  start(appliedIndex: number): RaftStart {
    const { hardState, firstIndex, baseTerm, lastIndex, snapshot } = this;
    const terms: TermSpan[] = [];
    const memberships: MembershipAt[] = snapshot === null ? [] : [snapshot.membership];
    let lastAppendedAtMs = snapshot?.appendedAtMs ?? 0;
    for (const entry of this.entries) {
      const { firstIndex: index, term, kind, appendedAtMs } = entry;
      if (terms.at(-1)?.term !== term) terms.push({ firstIndex: index, term });
      lastAppendedAtMs = Math.max(lastAppendedAtMs, appendedAtMs);
      if (kind !== BATCH_KIND.membership || index <= (memberships.at(-1)?.index ?? 0)) continue;
      memberships.push({ index, membership: decodeMembershipBatch(entry) });
    }
    const commitIndex = appliedIndex;
    return {
      hardState,
      firstIndex,
      baseTerm,
      lastIndex,
      terms,
      memberships,
      snapshot,
      appliedIndex,
      commitIndex,
      lastAppendedAtMs,
    };
  }

  slice(fromIndex: number, throughIndex: number, maxBytes: number): readonly Batch[] | null {
    assert.ok(fromIndex >= this.firstIndex && throughIndex <= this.lastIndex, "slice in range");
    if (this.isCold) {
      this.isCold = false;
      return null;
    }
    const result: Batch[] = [];
    let bytes = 0;
    for (let index = fromIndex; index <= throughIndex; index++) {
      const entry = this.entryAt(index) as Batch;
      bytes += entry.bodyBytes;
      if (bytes > maxBytes && result.length > 0) break;
      result.push(entry);
    }
    return result;
  }
}
