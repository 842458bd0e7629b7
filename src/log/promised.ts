/**
 * Two views of the log's end in memory. Promised: what `append` and its like have taken on, durable or not; this is
 * the log as Raft knows it. Sent: what has gone to the disk; this is what a segment header repeats.
 */

import type { HardState, TermSpan } from "../raft/index.ts";
import type { LogEnd } from "./content.ts";
import type { AppendBatch, GroupStart, LogBase, SuffixCut } from "./group-buffer.ts";
import { FRAME_KIND, type FrameKind, holdsEntries, LOG_BATCH_KIND } from "./format.ts";
import type { ActiveSegment } from "./segment.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { dropFrom, type MembershipEntry, TermSpans } from "./term-spans.ts";

/** What recovery knows of the entries. */
export interface FoundEntries {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly terms: readonly TermSpan[];
  readonly memberships: readonly MembershipEntry[];
}

export class PromisedEntries {
  lastIndex: number;
  lastTerm: number;
  /** Configurations in the log, ascending. */
  readonly memberships: MembershipEntry[];
  readonly #terms = new TermSpans();

  constructor(found: FoundEntries) {
    this.lastIndex = found.lastIndex;
    this.lastTerm = found.lastTerm;
    this.memberships = found.memberships.slice();
    for (const { firstIndex, term } of found.terms) this.#terms.add(firstIndex, term);
  }

  get terms(): readonly TermSpan[] {
    return this.#terms.spans;
  }

  append(batch: AppendBatch): void {
    const { firstIndex, term, count, body, bodyBytes } = batch;
    this.lastIndex = firstIndex + count - 1;
    this.lastTerm = term;
    this.#terms.add(firstIndex, term);
    if (batch.kind === LOG_BATCH_KIND.membership)
      this.memberships.push({ index: firstIndex, body: body.slice(0, bodyBytes) });
  }

  cut({ fromIndex, previousTerm }: SuffixCut): void {
    this.lastIndex = fromIndex - 1;
    this.lastTerm = previousTerm;
    this.#terms.truncateFrom(fromIndex);
    dropFrom(this.memberships, fromIndex);
  }

  reset({ index, term }: LogBase): void {
    this.lastIndex = index;
    this.lastTerm = term;
    this.#terms.clear();
    this.memberships.length = 0;
  }

  /** The log begins at `firstIndex` now. */
  dropBelow(firstIndex: number): void {
    this.#terms.dropBelow(firstIndex, this.lastIndex);
    const kept = this.memberships.findIndex(({ index }) => index >= firstIndex);
    this.memberships.splice(0, kept < 0 ? this.memberships.length : kept);
  }
}

/** A configuration, and the segment that holds it. */
export interface MembershipPlace {
  readonly index: number;
  readonly sequence: number;
}

export class SentEntries {
  index: number;
  term: number;
  appendedAtMs: number;
  hardState: HardState;
  hardStateCount: number;
  /** Ascending by index; may reach below the log's first index. */
  readonly memberships: MembershipPlace[];
  /** The log was closed and nothing came after (log.ts, `close`). */
  isMarked: boolean;
  #followsPadding = false;

  constructor(end: LogEnd, memberships: readonly MembershipPlace[]) {
    this.index = end.lastIndex;
    this.term = end.lastTerm;
    this.appendedAtMs = end.appendedAtMs;
    this.hardState = end.hardState;
    this.hardStateCount = end.hardStateCount;
    this.memberships = memberships.slice();
    this.isMarked = end.isMarked;
  }

  /** Takes from the sealed frame header at `at` what has to be remembered of it. */
  note(view: DataView, at: number, offset: number, active: ActiveSegment): void {
    const kind = view.getUint16(at + 6, true) as FrameKind;
    this.isMarked = kind === FRAME_KIND.hardState && this.#followsPadding;
    this.#followsPadding = kind === FRAME_KIND.padding;
    if (kind === FRAME_KIND.hardState) this.hardStateCount += 1;
    if (!holdsEntries(kind)) return;
    const firstIndex = view.getFloat64(at + 32, true);
    this.index = firstIndex + view.getUint32(at + 12, true) - 1;
    this.term = view.getFloat64(at + 40, true);
    this.appendedAtMs = Math.max(this.appendedAtMs, view.getFloat64(at + 48, true));
    active.table.add(firstIndex, offset);
    if (kind === FRAME_KIND.membership)
      this.memberships.push({ index: firstIndex, sequence: active.sequence });
  }

  /** What a segment repeats of everything before it. */
  headerFields(): Pick<
    SegmentHeader,
    "hardState" | "hardStateCount" | "appendedAtMs" | "membershipIndex" | "membershipSequence"
  > {
    const { hardState, hardStateCount, appendedAtMs } = this;
    const membership = this.memberships.at(-1);
    return {
      hardState,
      hardStateCount,
      appendedAtMs,
      membershipIndex: membership?.index ?? 0,
      membershipSequence: membership?.sequence ?? 0,
    };
  }

  cut({ fromIndex, previousTerm }: SuffixCut): void {
    this.index = fromIndex - 1;
    this.term = previousTerm;
    dropFrom(this.memberships, fromIndex);
  }

  reset({ index, term, appendedAtMs }: LogBase): void {
    this.index = index;
    this.term = term;
    this.appendedAtMs = Math.max(this.appendedAtMs, appendedAtMs);
    this.memberships.length = 0;
  }
}

/** Cuts and resets that are not durable yet: a crash brings back what lies above them. */
export class PendingStarts {
  /** Waits for the append that brings it to the disk. */
  cut: SuffixCut | null = null;
  readonly #pending: { readonly sequence: number; readonly floorIndex: number }[] = [];

  /** The cut that the append with this sequence number has to begin with, or null. */
  takeCut(sequence: number): GroupStart | null {
    const { cut } = this;
    if (cut === null) return null;
    this.cut = null;
    this.#pending.push({ sequence, floorIndex: cut.fromIndex - 1 });
    return { kind: "cut", cut };
  }

  addReset(sequence: number, base: LogBase): void {
    this.cut = null;
    this.#pending.push({ sequence, floorIndex: base.index });
  }

  durable(sequence: number): void {
    while ((this.#pending[0]?.sequence ?? Number.MAX_SAFE_INTEGER) <= sequence)
      this.#pending.shift();
  }

  /** Above it nothing on the disk is of this log. */
  get floorIndex(): number {
    let floorIndex = this.cut === null ? Number.MAX_SAFE_INTEGER : this.cut.fromIndex - 1;
    for (const pending of this.#pending) floorIndex = Math.min(floorIndex, pending.floorIndex);
    return floorIndex;
  }
}
