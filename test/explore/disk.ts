/** What a member finds again after a crash, as values: no file is involved. */

import {
  type AppendWork,
  type Batch,
  BATCH_KIND,
  decodeMembershipBatch,
  type HardState,
  type LogView,
  type MembershipAt,
  type RaftStart,
  type TermSpan,
} from "../../src/raft/index.ts";

export interface Disk {
  readonly hardState: HardState;
  /** From index 1 on, without a gap. */
  readonly batches: readonly Batch[];
  /** Why the newest work contradicts what was there, or null: kept for the checks. */
  readonly broken: string | null;
}

export const EMPTY_DISK: Disk = {
  hardState: { term: 0, vote: "", abstains: false },
  batches: [],
  broken: null,
};

export function lastIndexOf(batches: readonly Batch[]): number {
  const last = batches.at(-1);
  return last === undefined ? 0 : last.firstIndex + last.count - 1;
}

/** One piece of durable work, done. */
export function perform(disk: Disk, work: AppendWork): Disk {
  let broken = disk.broken;
  let { hardState, batches } = disk;
  if (work.hardState !== null) {
    broken ??= hardStateProblem(hardState, work.hardState);
    hardState = work.hardState;
  }
  if (work.truncateFrom !== null) batches = cutFrom(batches, work.truncateFrom.fromIndex);
  for (const batch of work.batches) {
    if (batch.firstIndex !== lastIndexOf(batches) + 1) {
      broken ??= `log: batch ${batch.firstIndex} behind ${lastIndexOf(batches)} on the disk`;
    }
    batches = [...batches, batch];
  }
  return { hardState, batches, broken };
}

/** Vote at most once in a term, and never go back. */
function hardStateProblem(before: HardState, after: HardState): string | null {
  if (after.term < before.term) return `term on disk: ${before.term} then ${after.term}`;
  const isChanged = after.term === before.term && before.vote !== "" && after.vote !== before.vote;
  if (!isChanged) return null;
  return `one vote per term on disk: ${before.vote} then ${after.vote} in term ${after.term}`;
}

/** Batches carry one entry each here, so a cut falls between two of them. */
function cutFrom(batches: readonly Batch[], fromIndex: number): readonly Batch[] {
  return batches.filter((batch) => batch.firstIndex < fromIndex);
}

export function startFrom(disk: Disk): RaftStart {
  const terms: TermSpan[] = [];
  const memberships: MembershipAt[] = [];
  for (const batch of disk.batches) {
    const { firstIndex, term } = batch;
    if (terms.at(-1)?.term !== term) terms.push({ firstIndex, term });
    if (batch.kind !== BATCH_KIND.membership) continue;
    memberships.push({ index: firstIndex, membership: decodeMembershipBatch(batch) });
  }
  return {
    hardState: disk.hardState,
    firstIndex: 1,
    baseTerm: 0,
    lastIndex: lastIndexOf(disk.batches),
    terms,
    memberships,
    snapshot: null,
    // A restart that remembers least: what was committed has to be found out again.
    appliedIndex: 0,
    commitIndex: 0,
    lastAppendedAtMs: 1,
  };
}

export function viewOf(disk: Disk): LogView {
  return {
    slice: (fromIndex, throughIndex) =>
      disk.batches.filter(
        ({ firstIndex }) => fromIndex <= firstIndex && firstIndex <= throughIndex,
      ),
  };
}
