/** Folds the frames of one segment, in order, into what they say together. */

import type { HardState, TermSpan } from "../raft/index.ts";
import {
  decodeHardStateBody,
  FRAME_HEADER_BYTES,
  FRAME_KIND,
  type FrameHeader,
  holdsEntries,
} from "./format.ts";
import { FrameTable } from "./segment.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { dropFrom, type MembershipEntry, TermSpans } from "./term-spans.ts";

/** State of the log after the last good frame. */
export interface LogEnd {
  readonly hardState: HardState;
  /** Hard states written since the log was made. */
  readonly hardStateCount: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly commitIndex: number;
  readonly appendedAtMs: number;
  /** The log was closed and nothing came after: its entries are known to be durable (log.ts, `close`). */
  readonly isMarked: boolean;
}

export class SegmentContent implements LogEnd {
  readonly table = new FrameTable();
  /** Configurations among the live entries of this segment, ascending. */
  readonly memberships: MembershipEntry[] = [];
  isEmpty = true;
  hardState: HardState;
  hardStateCount: number;
  lastIndex: number;
  lastTerm: number;
  commitIndex: number;
  appendedAtMs: number;
  isMarked = false;
  readonly #spans = new TermSpans();
  readonly #image: Uint8Array;
  #followsPadding = false;

  constructor(header: SegmentHeader, image: Uint8Array) {
    this.hardState = header.hardState;
    this.hardStateCount = header.hardStateCount;
    this.lastIndex = header.firstIndex - 1;
    this.lastTerm = header.previousTerm;
    this.commitIndex = header.commitIndex;
    this.appendedAtMs = header.appendedAtMs;
    this.#image = image;
  }

  /** Terms of the live entries of this segment. */
  get terms(): readonly TermSpan[] {
    return this.#spans.spans;
  }

  /** Takes a frame whose body is intact. */
  add(frame: FrameHeader): void {
    this.isEmpty = false;
    this.commitIndex = Math.max(this.commitIndex, frame.commitIndex);
    this.isMarked = frame.kind === FRAME_KIND.hardState && this.#followsPadding;
    this.#followsPadding = frame.kind === FRAME_KIND.padding;
    if (frame.kind === FRAME_KIND.hardState) {
      this.hardState = decodeHardStateBody(frame.term, this.#bodyOf(frame));
      this.hardStateCount = frame.hardStateCount;
    }
    if (!holdsEntries(frame.kind)) return;
    const { firstIndex } = frame;
    this.table.add(firstIndex, frame.offset);
    this.#spans.add(firstIndex, frame.term);
    dropFrom(this.memberships, firstIndex);
    if (frame.kind === FRAME_KIND.membership)
      this.memberships.push({ index: firstIndex, body: this.#bodyOf(frame).slice() });
    this.lastIndex = firstIndex + frame.count - 1;
    this.lastTerm = frame.term;
    this.appendedAtMs = Math.max(this.appendedAtMs, frame.appendedAtMs);
  }

  #bodyOf(frame: FrameHeader): Uint8Array {
    const start = frame.offset + FRAME_HEADER_BYTES;
    return this.#image.subarray(start, start + frame.bodyBytes);
  }
}
