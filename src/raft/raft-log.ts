/**
 * The log as the core sees it: where terms begin, which configuration holds from where, and the newest batches
 * themselves (the tail). What is no longer in the tail is durable and applied, and comes from the LogView.
 *
 * ```
 *  firstIndex          tailFirst        durableIndex         lastIndex
 *      |--- on disk only ---|--- tail: memory ---|--- not yet durable ---|
 * ```
 */

import { assert } from "../base/index.ts";
import { lastIndexOf, sliceBatch } from "./batches.ts";
import { decodeMembershipBatch } from "./codec/index.ts";
import {
  type Batch,
  BATCH_KIND,
  type Membership,
  type MembershipAt,
  type RaftStart,
  type SnapshotMeta,
  type TermSpan,
} from "./types.ts";

export interface LogState {
  /** Oldest entry; the entry before it has baseTerm. */
  firstIndex: number;
  baseTerm: number;
  lastIndex: number;
  /** Entries up to here are on stable storage as they are here. At most lastIndex. */
  durableIndex: number;
  /** Ascending; covers firstIndex..lastIndex; neighbours differ in term. */
  readonly spans: TermSpan[];
  /** Ascending by index; never empty; the last one holds. The first one holds at the base. */
  readonly memberships: MembershipAt[];
  /** Consecutive batches that end with lastIndex. */
  readonly tail: Batch[];
  tailBytes: number;
  /** Newest appended-at that was ever seen here: log time never goes below. Unix ms. */
  lastAppendedAtMs: number;
}

/** Of a member that waits to join. */
const NO_MEMBERSHIP: Membership = {
  members: [],
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
};

export function createLog(start: RaftStart): LogState {
  const { firstIndex, baseTerm, lastIndex, terms, memberships } = start;
  assert(firstIndex >= 1 && lastIndex >= firstIndex - 1, `Log of ${firstIndex}..${lastIndex}`);
  assert(start.commitIndex <= lastIndex, `Commit index ${start.commitIndex} behind ${lastIndex}`);
  assert(
    start.appliedIndex <= start.commitIndex,
    `Applied index ${start.appliedIndex} above commit index ${start.commitIndex}`,
  );
  assert(
    start.appliedIndex >= firstIndex - 1,
    `Applied index ${start.appliedIndex} below the log, which begins with ${firstIndex}`,
  );
  assert(
    lastIndex < firstIndex || terms[0]?.firstIndex === firstIndex,
    `Terms of the log do not begin with its first entry ${firstIndex}`,
  );
  return {
    firstIndex,
    baseTerm,
    lastIndex,
    durableIndex: lastIndex,
    spans: [...terms],
    // The bootstrap entry has nothing before it, and a truncation may take whatever is not committed.
    memberships:
      (memberships[0]?.index ?? firstIndex) < firstIndex
        ? [...memberships]
        : [{ index: 0, membership: NO_MEMBERSHIP }, ...memberships],
    tail: [],
    tailBytes: 0,
    lastAppendedAtMs: start.lastAppendedAtMs,
  };
}

/** Index of the first entry in memory; lastIndex + 1 when there is none. */
export function tailFirst(log: LogState): number {
  return log.tail.length === 0 ? log.lastIndex + 1 : (log.tail[0] as Batch).firstIndex;
}

/** Term of the entry, or -1 when it is before the base or behind the end. */
export function termAt(log: LogState, index: number): number {
  if (index === log.firstIndex - 1) return log.baseTerm;
  if (index < log.firstIndex || index > log.lastIndex) return -1;
  return (log.spans[spanAt(log, index)] as TermSpan).term;
}

export function lastTerm(log: LogState): number {
  return log.spans.length === 0 ? log.baseTerm : (log.spans.at(-1) as TermSpan).term;
}

/** Position of the span that holds the index. Most questions are about the end. */
function spanAt(log: LogState, index: number): number {
  let position = log.spans.length - 1;
  while (position > 0 && (log.spans[position] as TermSpan).firstIndex > index) position -= 1;
  return position;
}

/**
 * The last entry at or before `index` whose term is at most `term`: where two logs may match at best, once one of
 * them says that its entry at `index` has that term.
 */
export function lastWithTermAtMost(log: LogState, index: number, term: number): number {
  const { spans, firstIndex } = log;
  let at = Math.min(index, log.lastIndex);
  for (let i = spans.length - 1; i >= 0 && at >= firstIndex; i--) {
    const span = spans[i] as TermSpan;
    if (span.firstIndex > at) continue;
    if (span.term <= term) return at;
    at = span.firstIndex - 1;
  }
  return at;
}

/**
 * First entry of the batch that this log holds with another term, or 0. Batches of one term are equal to the log up to
 * there (log matching).
 */
export function firstConflict(log: LogState, batch: Batch): number {
  const last = Math.min(lastIndexOf(batch), log.lastIndex);
  let index = Math.max(batch.firstIndex, log.firstIndex);
  if (index > last) return 0;
  for (let i = spanAt(log, index); index <= last; i++) {
    if ((log.spans[i] as TermSpan).term !== batch.term) return index;
    index = log.spans[i + 1]?.firstIndex ?? last + 1;
  }
  return 0;
}

export function currentMembership(log: LogState): MembershipAt {
  return log.memberships.at(-1) as MembershipAt;
}

/** Appends in memory. Answers whether it brought a configuration, which holds from now on. */
export function appendBatch(log: LogState, batch: Batch): boolean {
  assert(
    batch.firstIndex === log.lastIndex + 1,
    `Cannot append ${batch.firstIndex} behind ${log.lastIndex}`,
  );
  assert(batch.term >= lastTerm(log), `Term ${batch.term} behind ${lastTerm(log)}`);
  if (log.spans.length === 0 || lastTerm(log) !== batch.term) {
    log.spans.push({ firstIndex: batch.firstIndex, term: batch.term });
  }
  log.lastIndex = lastIndexOf(batch);
  log.tail.push(batch);
  log.tailBytes += batch.bodyBytes;
  if (batch.appendedAtMs > log.lastAppendedAtMs) log.lastAppendedAtMs = batch.appendedAtMs;
  if (batch.kind !== BATCH_KIND.membership) return false;
  const membership = decodeMembershipBatch(batch);
  log.memberships.push({ index: batch.firstIndex, membership });
  return true;
}

/** Gives up the entries from `fromIndex` on, and the configurations that they brought. */
export function truncateLog(log: LogState, fromIndex: number): void {
  assert(
    log.firstIndex <= fromIndex && fromIndex <= log.lastIndex,
    `Cannot truncate ${log.firstIndex}..${log.lastIndex} from ${fromIndex}`,
  );
  while (log.tail.length > 0 && lastIndexOf(log.tail.at(-1) as Batch) >= fromIndex) {
    const batch = log.tail.pop() as Batch;
    log.tailBytes -= batch.bodyBytes;
    if (batch.firstIndex >= fromIndex) continue;
    const kept = sliceBatch(batch, batch.firstIndex, fromIndex - 1);
    log.tail.push(kept);
    log.tailBytes += kept.bodyBytes;
  }
  while (log.spans.length > 0 && (log.spans.at(-1) as TermSpan).firstIndex >= fromIndex) {
    log.spans.pop();
  }
  while (log.memberships.length > 1 && currentMembership(log).index >= fromIndex) {
    log.memberships.pop();
  }
  assert(currentMembership(log).index < fromIndex, `No membership is left before ${fromIndex}`);
  log.lastIndex = fromIndex - 1;
  log.durableIndex = Math.min(log.durableIndex, log.lastIndex);
}

/** The log begins behind `throughIndex` from now on. */
export function compactLog(log: LogState, throughIndex: number): void {
  if (throughIndex < log.firstIndex) return;
  const baseTerm = termAt(log, throughIndex);
  assert(baseTerm >= 0, `Cannot compact ${log.firstIndex}..${log.lastIndex} to ${throughIndex}`);
  const position = spanAt(log, throughIndex);
  const hasRest = throughIndex < log.lastIndex;
  const next = log.spans[position + 1]?.firstIndex ?? log.lastIndex + 1;
  log.spans.splice(0, next > throughIndex + 1 && hasRest ? position : position + 1);
  if (hasRest && next > throughIndex + 1) {
    log.spans[0] = { firstIndex: throughIndex + 1, term: baseTerm };
  }
  while (log.memberships.length > 1 && (log.memberships[1] as MembershipAt).index <= throughIndex) {
    log.memberships.shift();
  }
  let gone = 0;
  while (gone < log.tail.length && lastIndexOf(log.tail[gone] as Batch) <= throughIndex) gone += 1;
  dropTail(log, gone);
  const first = log.tail[0];
  if (first !== undefined && first.firstIndex <= throughIndex) {
    const kept = sliceBatch(first, throughIndex + 1, lastIndexOf(first));
    log.tail[0] = kept;
    log.tailBytes += kept.bodyBytes - first.bodyBytes;
  }
  log.firstIndex = throughIndex + 1;
  log.baseTerm = baseTerm;
}

/** The log is empty from now on and goes on behind a snapshot. */
export function replaceLog(log: LogState, meta: SnapshotMeta): void {
  log.firstIndex = meta.index + 1;
  log.baseTerm = meta.term;
  log.lastIndex = meta.index;
  log.spans.length = 0;
  log.memberships.length = 0;
  log.memberships.push(meta.membership);
  log.tail.length = 0;
  log.tailBytes = 0;
}

/** Frees memory: batches up to `throughIndex` may go, oldest first, until `maxBytes` are left. */
export function trimTail(log: LogState, throughIndex: number, maxBytes: number): void {
  if (log.tailBytes <= maxBytes) return;
  // A quarter at once: moving the rest up costs as much for one as for many.
  const target = maxBytes - Math.floor(maxBytes / 4);
  let bytes = log.tailBytes;
  let gone = 0;
  while (gone < log.tail.length && bytes > target) {
    const batch = log.tail[gone] as Batch;
    if (lastIndexOf(batch) > throughIndex) break;
    bytes -= batch.bodyBytes;
    gone += 1;
  }
  dropTail(log, gone);
}

function dropTail(log: LogState, count: number): void {
  if (count === 0) return;
  for (let i = 0; i < count; i++) log.tailBytes -= (log.tail[i] as Batch).bodyBytes;
  log.tail.splice(0, count);
}

/** Position in the tail of the batch that holds `index`, which must be in the tail. */
export function tailPosition(log: LogState, index: number): number {
  let low = 0;
  let high = log.tail.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((log.tail[middle] as Batch).firstIndex <= index) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * Batches from `fromIndex` through `throughIndex` out of the tail, about `maxBytes`, at least one; cut at both ends
 * where an end lies inside of a batch. `fromIndex` must be in the tail.
 */
export function sliceTail(
  log: LogState,
  fromIndex: number,
  throughIndex: number,
  maxBytes: number,
): Batch[] {
  const result: Batch[] = [];
  let bytes = 0;
  for (let i = tailPosition(log, fromIndex); i < log.tail.length; i++) {
    const batch = log.tail[i] as Batch;
    if (batch.firstIndex > throughIndex) break;
    const piece = sliceBatch(
      batch,
      Math.max(batch.firstIndex, fromIndex),
      Math.min(lastIndexOf(batch), throughIndex),
    );
    bytes += piece.bodyBytes;
    if (bytes > maxBytes && result.length > 0) break;
    result.push(piece);
  }
  return result;
}
