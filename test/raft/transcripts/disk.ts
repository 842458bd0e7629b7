/** What one member has on stable storage, and what a start finds there. A crash leaves exactly this. */

import assert from "node:assert/strict";
import { iterateEntries } from "../../../src/protocol/index.ts";
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

export class Disk implements LogView {
  hardState: HardState = { term: 0, vote: "", abstains: false };
  /** Index and term of the entry before the oldest in the log. */
  base = { index: 0, term: 0 };
  /** The configuration at the base; null: a member that waits to join. */
  baseMembership: MembershipAt | null;
  batches: Batch[] = [];
  snapshot: SnapshotMeta | null = null;
  /** Answers `slice` with null, as when entries have to be read first. */
  isCold = false;

  constructor(baseMembership: MembershipAt | null) {
    this.baseMembership = baseMembership;
  }

  get lastIndex(): number {
    const last = this.batches.at(-1);
    return last === undefined ? this.base.index : last.firstIndex + last.count - 1;
  }

  /** Terms of the entries from the oldest on. */
  get terms(): readonly number[] {
    return this.batches.flatMap(({ term, count }) => new Array<number>(count).fill(term));
  }

  write(work: AppendWork): void {
    if (work.hardState !== null) this.hardState = work.hardState;
    if (work.install !== null) this.#install(work.install.meta, work.install.keepsLog);
    if (work.truncateFrom !== null) this.truncate(work.truncateFrom.fromIndex);
    for (const batch of work.batches) {
      assert.equal(batch.firstIndex, this.lastIndex + 1, "the log grows without gaps");
      this.batches.push(batch);
    }
  }

  truncate(fromIndex: number): void {
    assert.ok(fromIndex > this.base.index, "what is before the log cannot be given up");
    const kept: Batch[] = [];
    for (const batch of this.batches) {
      if (batch.firstIndex + batch.count <= fromIndex) kept.push(batch);
      else if (batch.firstIndex < fromIndex) kept.push(first(batch, fromIndex - batch.firstIndex));
    }
    this.batches = kept;
  }

  /** Gives up entries through `index`; whole batches only, like the log's segments. */
  cut(index: number): void {
    for (let oldest = this.batches[0]; oldest !== undefined; oldest = this.batches[0]) {
      const last = oldest.firstIndex + oldest.count - 1;
      if (last > index) return;
      if (oldest.kind === BATCH_KIND.membership) this.baseMembership = membershipAt(oldest);
      this.base = { index: last, term: oldest.term };
      this.batches.shift();
    }
  }

  slice(fromIndex: number, throughIndex: number, maxBytes: number): readonly Batch[] | null {
    assert.ok(fromIndex > this.base.index, `asked for ${fromIndex}, which has been cut`);
    if (this.isCold) return null;
    const found: Batch[] = [];
    let bytes = 0;
    for (const batch of this.batches) {
      const { firstIndex, count, bodyBytes } = batch;
      if (firstIndex + count <= fromIndex) continue;
      if (firstIndex + count - 1 > throughIndex) break;
      if (found.length > 0 && bytes + bodyBytes > maxBytes) break;
      found.push(batch);
      bytes += bodyBytes;
    }
    return found;
  }

  start(): RaftStart {
    const appliedIndex = Math.max(this.snapshot?.index ?? 0, this.base.index);
    const times = this.batches.map(({ appendedAtMs }) => appendedAtMs);
    return {
      hardState: this.hardState,
      firstIndex: this.base.index + 1,
      baseTerm: this.base.term,
      lastIndex: this.lastIndex,
      terms: this.#spans(),
      memberships: [
        ...(this.baseMembership === null ? [] : [this.baseMembership]),
        ...this.batches.flatMap((batch) =>
          batch.kind === BATCH_KIND.membership ? [membershipAt(batch)] : [],
        ),
      ],
      snapshot: this.snapshot,
      appliedIndex,
      commitIndex: appliedIndex,
      lastAppendedAtMs: Math.max(0, this.snapshot?.appendedAtMs ?? 0, ...times),
    };
  }

  #install(meta: SnapshotMeta, keepsLog: boolean): void {
    this.snapshot = meta;
    // What matches stays, before the snapshot's index, too: cutting is another decision.
    if (keepsLog) return;
    this.batches = [];
    this.base = { index: meta.index, term: meta.term };
    this.baseMembership = meta.membership;
  }

  #spans(): TermSpan[] {
    const spans: TermSpan[] = [];
    for (const { firstIndex, term } of this.batches) {
      if (spans.at(-1)?.term !== term) spans.push({ firstIndex, term });
    }
    return spans;
  }
}

function membershipAt(batch: Batch): MembershipAt {
  return { index: batch.firstIndex, membership: decodeMembershipBatch(batch) };
}

/** The first `count` entries of a batch. */
function first(batch: Batch, count: number): Batch {
  let bodyBytes = batch.bodyBytes;
  iterateEntries(batch.body, batch.bodyBytes, (_command, _version, offset, _length, position) => {
    if (position === count) bodyBytes = offset - 16;
  });
  return { ...batch, count, bodyBytes };
}
