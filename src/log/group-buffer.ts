/**
 * One swap buffer: collects frames while the other one is on its way to the disk.
 *
 *   0         504                                                  end
 *   | header  | frame 80 B | body ... body | frame | body ... | ... |
 *
 * Room for a segment header stays in front, so that the first group of a segment and its header are one write.
 * Bodies are copied in once, when they are appended; header CRCs follow when the place on the disk is known.
 */

import { crc32c } from "@node-rs/crc32";
import { assert, freeMemory } from "../base/index.ts";
import type { CommittedBatch } from "../protocol/index.ts";
import type { BatchKind, HardState } from "../raft/index.ts";
import {
  encodeFrameContent,
  encodeFramePlace,
  encodeHardStateBody,
  FRAME_HEADER_BYTES,
  FRAME_KIND,
  type FrameContent,
  LOG_BATCH_KIND,
  SEGMENT_HEADER_BYTES,
  viewOf,
} from "./format.ts";
import { spreadRoom } from "./sectors.ts";

/** Entries for the log: consecutive, of one term. The body is borrowed until the append returns. */
export interface AppendBatch extends CommittedBatch {
  /** Left out: entries. A membership is alone in its batch. */
  readonly kind?: BatchKind;
}

/** Where a group goes. */
export interface GroupPlace {
  readonly sequence: number;
  /** Offset of the write in the segment: 0 when the segment header is part of it. */
  readonly groupStart: number;
  readonly commitIndex: number;
  readonly previousCrc: number;
  /** Hard states of the log before this group. */
  readonly hardStateCount: number;
  readonly salt: number;
}

/** A suffix that Raft gave up: entries from `fromIndex` on; the one before, if any, is of `previousTerm`. */
export interface SuffixCut {
  readonly fromIndex: number;
  readonly previousTerm: number;
}

/** What a log begins behind when a snapshot has taken the place of its entries. */
export interface LogBase {
  /** Last index in the snapshot, and its term. */
  readonly index: number;
  readonly term: number;
  /** Of the entry at `index`, Unix ms. */
  readonly appendedAtMs: number;
}

/** What has to happen to the log before the first frame of a group. */
export type GroupStart =
  | { readonly kind: "cut"; readonly cut: SuffixCut }
  | { readonly kind: "reset"; readonly base: LogBase };

interface OpenFrame {
  readonly at: number;
  readonly firstIndex: number;
  readonly term: number;
  readonly appendedAtMs: number;
  count: number;
  /** CRC of its body up to `checkedEnd`. */
  bodyCrc: number;
  checkedEnd: number;
}

/**
 * A group with something in it takes nothing beyond: what waits goes with the next write, which a disk does not notice at this
 * size. Only a frame that is larger by itself gets more, for its one write.
 */
const USUAL_MAX_BYTES = 4 * 1024 * 1024;

export class GroupBuffer {
  /** With room behind the collected bytes in which they can be spread over sectors. */
  bytes: Uint8Array;
  view: DataView;
  /** End of the collected bytes. */
  end = SEGMENT_HEADER_BYTES;
  /** Newest write sequence number in here; the owner's count of promises. */
  lastSequence = 0;
  /** Commit index when the newest frame was appended. */
  commitIndex = 0;
  /** Set when the first frame of this group does not continue the log. */
  start: GroupStart | null = null;
  /** The last hard state in here, or null. */
  hardState: HardState | null = null;
  readonly #maxBytes: number;
  /** For all but large frames. What was never written to takes no memory. */
  readonly #usual: Uint8Array;
  readonly #usualBytes: number;
  /** Of collected bytes that fit in now. */
  #roomBytes: number;
  readonly #starts: number[] = [];
  #open: OpenFrame | null = null;

  constructor(
    groupMaxBytes: number,
    allocate = (bytes: number): Uint8Array => new Uint8Array(bytes),
  ) {
    this.#maxBytes = groupMaxBytes + SEGMENT_HEADER_BYTES;
    this.#usualBytes = Math.min(USUAL_MAX_BYTES, this.#maxBytes);
    this.#usual = allocate(spreadRoom(this.#usualBytes));
    this.#roomBytes = this.#usualBytes;
    this.bytes = this.#usual;
    this.view = viewOf(this.bytes);
  }

  get isEmpty(): boolean {
    return this.end === SEGMENT_HEADER_BYTES;
  }

  get frameBytes(): number {
    return this.end - SEGMENT_HEADER_BYTES;
  }

  /**
   * Copies the batch in, as part of the open frame where it continues it, else as a new frame.
   * Answers false, and changes nothing, when there is no room.
   */
  tryAppend(batch: AppendBatch): boolean {
    if (batch.kind === LOG_BATCH_KIND.membership) return this.#tryAppendMembership(batch);
    const open = this.#open;
    const isContinuation =
      open !== null &&
      open.term === batch.term &&
      open.appendedAtMs === batch.appendedAtMs &&
      open.firstIndex + open.count === batch.firstIndex;
    const neededBytes = batch.bodyBytes + (isContinuation ? 0 : FRAME_HEADER_BYTES);
    if (!this.#reserve(neededBytes)) return false;
    if (isContinuation) {
      open.count += batch.count;
    } else {
      this.#closeFrame();
      const { firstIndex, term, appendedAtMs, count } = batch;
      const checkedEnd = this.end + FRAME_HEADER_BYTES;
      this.#open = { at: this.end, firstIndex, term, appendedAtMs, count, bodyCrc: 0, checkedEnd };
      this.#starts.push(this.end);
      this.end += FRAME_HEADER_BYTES;
    }
    const { body, bodyBytes } = batch;
    this.bytes.set(body.length === bodyBytes ? body : body.subarray(0, bodyBytes), this.end);
    this.end += bodyBytes;
    return true;
  }

  /** Appends a hard state frame. Answers false, and changes nothing, when there is no room. */
  tryAppendHardState(hardState: HardState): boolean {
    const body = encodeHardStateBody(hardState);
    const { term } = hardState;
    const content = { kind: FRAME_KIND.hardState, count: 0, firstIndex: 0, term, appendedAtMs: 0 };
    if (!this.#tryAppendWhole(content, body)) return false;
    this.hardState = hardState;
    return true;
  }

  /** Appends a frame that says nothing. `frameBytes` is a multiple of 8. */
  tryAppendPadding(frameBytes: number): boolean {
    const body = new Uint8Array(frameBytes - FRAME_HEADER_BYTES);
    const kind = FRAME_KIND.padding;
    return this.#tryAppendWhole({ kind, count: 0, firstIndex: 0, term: 0, appendedAtMs: 0 }, body);
  }

  /** Takes the checksum of what was collected so far: while the disk is busy with another group it costs no time. */
  check(): void {
    const open = this.#open;
    if (open === null) return;
    open.bodyCrc = crc32c(this.bytes.subarray(open.checkedEnd, this.end), open.bodyCrc);
    open.checkedEnd = this.end;
  }

  /**
   * Completes the frame headers for their place on the disk; `visit` gets each frame's offset there.
   * Returns the CRC of the last frame: the chain value for the next group.
   */
  seal(place: GroupPlace, visit: (at: number, offset: number) => void): number {
    assert(!this.isEmpty, "A group without frames is not written");
    this.#closeFrame();
    const { sequence, groupStart, commitIndex, salt } = place;
    const shift = (groupStart === 0 ? SEGMENT_HEADER_BYTES : groupStart) - SEGMENT_HEADER_BYTES;
    let { previousCrc, hardStateCount } = place;
    for (const at of this.#starts) {
      const offset = at + shift;
      if (this.view.getUint16(at + 6, true) === FRAME_KIND.hardState) hardStateCount += 1;
      previousCrc = encodeFramePlace(this.bytes, this.view, at, {
        sequence,
        offset,
        groupStart,
        commitIndex,
        previousCrc,
        hardStateCount,
        salt,
      });
      visit(at, offset);
    }
    return previousCrc;
  }

  reset(): void {
    this.end = SEGMENT_HEADER_BYTES;
    this.start = null;
    this.hardState = null;
    this.#starts.length = 0;
    this.#open = null;
    if (this.bytes === this.#usual) return;
    freeMemory(this.bytes.buffer);
    this.#use(this.#usual, this.#usualBytes);
  }

  #tryAppendMembership(batch: AppendBatch): boolean {
    const { firstIndex, term, appendedAtMs, count, body, bodyBytes } = batch;
    const kind = FRAME_KIND.membership;
    return this.#tryAppendWhole(
      { kind, count, firstIndex, term, appendedAtMs },
      body.subarray(0, bodyBytes),
    );
  }

  /** A frame that nothing is added to later. */
  #tryAppendWhole(content: Omit<FrameContent, "bodyBytes" | "bodyCrc">, body: Uint8Array): boolean {
    if (!this.#reserve(FRAME_HEADER_BYTES + body.length)) return false;
    this.#closeFrame();
    this.bytes.set(body, this.end + FRAME_HEADER_BYTES);
    encodeFrameContent(this.view, this.end, {
      ...content,
      bodyBytes: body.length,
      bodyCrc: crc32c(body),
    });
    this.#starts.push(this.end);
    this.end += FRAME_HEADER_BYTES + body.length;
    return true;
  }

  #closeFrame(): void {
    const open = this.#open;
    if (open === null) return;
    this.check();
    this.#open = null;
    const content: FrameContent = {
      kind: FRAME_KIND.entries,
      bodyBytes: this.end - open.at - FRAME_HEADER_BYTES,
      count: open.count,
      bodyCrc: open.bodyCrc,
      firstIndex: open.firstIndex,
      term: open.term,
      appendedAtMs: open.appendedAtMs,
    };
    encodeFrameContent(this.view, open.at, content);
  }

  #reserve(neededBytes: number): boolean {
    const end = this.end + neededBytes;
    if (end <= this.#roomBytes) return true;
    if (end > this.#maxBytes || !this.isEmpty) return false;
    this.#use(new Uint8Array(spreadRoom(end)), end);
    return true;
  }

  #use(bytes: Uint8Array, roomBytes: number): void {
    this.bytes = bytes;
    this.view = viewOf(bytes);
    this.#roomBytes = roomBytes;
  }
}
