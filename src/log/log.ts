/**
 * The durable log of one member: entries and hard state, in the order in which they were promised.
 *
 *   append / setHardState -> collecting buffer --flush--> one durable write -> onDurable(sequence)
 *                              ^    (other buffers are being written meanwhile)    |
 *                              +------------------- swap --------------------------+
 *
 * One write at a time; the next one may be at hand, and begins when it has succeeded. What waits when the disk becomes free goes
 * together; no timers. A failed write is final: nothing is acknowledged after it, and the owner ends the process.
 *
 * Entries are handed over once (`append` copies them) and read back from the files (`read`).
 */

import {
  assert,
  HearthError,
  type Logger,
  type Scheduler,
  SYSTEM_SCHEDULER,
} from "../base/index.ts";
import type { Batch, HardState, TermSpan } from "../raft/index.ts";
import { unusable, writeFailed } from "./errors.ts";
import { LOG_BATCH_KIND, logSalt, SEGMENT_HEADER_BYTES } from "./format.ts";
import type { AppendBatch, GroupBuffer, GroupStart, LogBase, SuffixCut } from "./group-buffer.ts";
import { assertLogOptions, bodyMaxBytes, type LogOptions, markPaddingBytes } from "./options.ts";
import { PendingStarts, PromisedEntries, SentEntries } from "./promised.ts";
import { LogReader, type ReadBounds } from "./log-reader.ts";
import { type RecoveredLog, recoverLog } from "./recovery.ts";
import type { ActiveSegment } from "./segment.ts";
import { segmentPath } from "./segment-names.ts";
import { leavesSegment, rollPoint, SegmentSet } from "./segment-set.ts";
import type { MembershipEntry } from "./term-spans.ts";
import { createLogStats, type LogModules, type LogOwner, type LogStats } from "./types.ts";
import { IN_PLACE_BYTES, WritePace } from "./write-pace.ts";
import { type SentGroup, WriteQueue } from "./write-queue.ts";

export class DurableLog {
  readonly options: LogOptions;
  readonly stats: LogStats = createLogStats();
  /** Bytes of an unfinished write that the start cut off. */
  readonly recoveredCutBytes: number;
  /** What the start gave up because it was damaged, in words; null: nothing. The hard state then abstains. */
  readonly recoveredDamage: string | null;
  /**
   * Highest commit index that the owner knows; travels in the headers of later frames. To be raised only after
   * everything was handed over that made it so: entries above a cut that is not handed over yet are not committed.
   */
  commitIndex: number;
  readonly #modules: LogModules;
  readonly #logger: Logger;
  readonly #scheduler: Scheduler;
  readonly #salt: number;
  readonly #segments: SegmentSet;
  readonly #reader: LogReader;
  #owner: LogOwner = { onDurable: () => {}, onFailed: () => {} };

  // Promised to be appended, in this order.
  readonly #promised: PromisedEntries;
  #hardState: HardState;
  #sequence = 0;
  /** A reset that has not been sent to the disk. */
  #reset: LogBase | null = null;
  readonly #starts = new PendingStarts();
  /** Grows when entries are given up: what is being read may be gone. */
  #epoch = 0;

  /** Sent to the disk: durable, or in the write in flight. */
  readonly #sent: SentEntries;

  // On the disk.
  #durableIndex: number;
  #durableSequence = 0;

  readonly #queue: WriteQueue;
  readonly #pace: WritePace;
  #writeStartedAtMs = 0;
  #waitsForSegment = false;
  #failure: HearthError | null = null;
  #onIdle: (() => void) | null = null;
  #isClosed = false;

  /**
   * Opens the log in `options.directory`, recovering from any kind of stop.
   *
   * Errors: HearthError `data_loss`, `failed_precondition` or `unavailable` (errors.ts) when the files cannot be
   *   trusted or used; they are left as they are. Cost: reads one segment, about 30 ms for 64 MiB, and each sealed
   *   one in which the term or the configuration changed.
   */
  static async open(options: LogOptions, modules: LogModules): Promise<DurableLog> {
    assertLogOptions(options);
    try {
      const log = new DurableLog(options, modules, await recoverLog(options, modules));
      if (log.#segments.active === null) await log.#segments.prepareFirst();
      return log;
    } catch (error) {
      await modules.files.close?.();
      throw error instanceof HearthError ? error : unusable(options.directory, error);
    }
  }

  private constructor(options: LogOptions, modules: LogModules, found: RecoveredLog) {
    this.options = options;
    this.#modules = modules;
    this.#logger = modules.logger;
    this.#scheduler = modules.scheduler ?? SYSTEM_SCHEDULER;
    this.#salt = logSalt(found.logId);
    const { end } = found;
    this.#promised = new PromisedEntries(found);
    this.#sent = new SentEntries(end, found.membershipPlaces);
    this.#durableIndex = end.lastIndex;
    this.#hardState = end.hardState;
    this.commitIndex = Math.min(end.commitIndex, end.lastIndex);
    this.recoveredCutBytes = found.cutBytes;
    this.recoveredDamage = found.damage;
    this.#queue = new WriteQueue(options, modules.files);
    this.#pace = new WritePace(options.inPlaceMaxMs ?? 0);
    // A group may wait for its segment; nothing else can be in flight then.
    const onReady = (): void => this.flush();
    const rest = { ...modules, scheduler: this.#scheduler };
    const onGivenUp = (where: string, error: Error): void => this.#fail(writeFailed(where, error));
    const { stats } = this;
    this.#segments = new SegmentSet(options, { ...rest, stats, onReady, onGivenUp }, found);
    const bounds = (): ReadBounds => ({
      firstIndex: this.firstIndex,
      endIndex: Math.min(this.#durableIndex, this.lastIndex) + 1,
      epoch: this.#epoch,
    });
    const salt = this.#salt;
    this.#reader = new LogReader(options, { ...rest, segments: this.#segments, bounds, salt });
  }

  setOwner(owner: LogOwner): void {
    this.#owner = owner;
  }

  /** Index of the oldest entry still here, also when there is none: then the next one; 1 for a new log. */
  get firstIndex(): number {
    return this.#reset === null ? this.#segments.firstIndex : this.#reset.index + 1;
  }

  /** Term of the entry before `firstIndex`; 0 for the very first. */
  get baseTerm(): number {
    return this.#reset === null ? this.#segments.baseTerm : this.#reset.term;
  }

  /** Index of the newest entry appended, durable or not; firstIndex - 1 when there is none. */
  get lastIndex(): number {
    return this.#promised.lastIndex;
  }

  get lastTerm(): number {
    return this.#promised.lastTerm;
  }

  /** Terms from firstIndex to lastIndex. Borrowed: changes with the log. */
  get terms(): readonly TermSpan[] {
    return this.#promised.terms;
  }

  /** Every configuration from firstIndex to lastIndex, ascending. Borrowed: changes with the log. */
  get memberships(): readonly MembershipEntry[] {
    return this.#promised.memberships;
  }

  /** Newest entry of this log that no crash can take away. */
  get durableIndex(): number {
    return this.#durableIndex;
  }

  /** Term, vote and abstention as last set; durable once their write sequence number is. */
  get hardState(): HardState {
    return this.#hardState;
  }

  /** Newest appended-at among the written entries and the base, Unix ms; 0 when there is none. */
  get lastAppendedAtMs(): number {
    return this.#sent.appendedAtMs;
  }

  /** Most bytes that one append may carry. */
  get bodyMaxBytes(): number {
    return bodyMaxBytes(this.options);
  }

  /** Why the log has stopped for good, or null. */
  get failure(): HearthError | null {
    return this.#failure;
  }

  /** No write is under way, and none waits: a flush would reach the disk at once. */
  get isIdle(): boolean {
    return this.#queue.sent.length === 0 && !this.#waitsForSegment;
  }

  /** How long the disk has been at the oldest write under way, ms; 0 when there is none. */
  get pendingWriteMs(): number {
    if (this.isIdle) return 0;
    return this.#scheduler.monotonicMs() - this.#writeStartedAtMs;
  }

  /** Bytes of segment files, spare not counted. */
  get sizeBytes(): number {
    return this.#segments.sizeBytes;
  }

  /** Why the next segment cannot be made, or null. The active one still takes entries; attempts go on once a second. */
  get spareError(): Error | null {
    return this.#segments.spaceError;
  }

  /** The same when the active segment is nearly full, too: the owner then refuses new proposals. */
  get spaceError(): Error | null {
    const { active, spaceError } = this.#segments;
    if (spaceError === null || active === null) return null;
    const freeBytes = active.capacityBytes - active.position - this.#queue.collecting.frameBytes;
    return freeBytes < this.options.groupMaxBytes ? spaceError : null;
  }

  /**
   * Appends entries that continue the log. Returns the write sequence number that `onDurable` will reach.
   *
   * The body must not change until then. Nothing is written before `flush`, or before the write in flight ends.
   */
  append(batch: AppendBatch): number {
    this.#assertWritable();
    assert(
      batch.firstIndex === this.lastIndex + 1,
      `Append at ${batch.firstIndex} does not continue the log, which ends at ${this.lastIndex}`,
    );
    assert(batch.count > 0, "An append carries at least one entry");
    assert(batch.bodyBytes % 8 === 0, `Body of ${batch.bodyBytes} bytes is not padded to 8`);
    assert(
      batch.bodyBytes <= this.bodyMaxBytes,
      `Body of ${batch.bodyBytes} bytes is above the limit of ${this.bodyMaxBytes}`,
    );
    assert(
      batch.kind !== LOG_BATCH_KIND.membership || batch.count === 1,
      `A membership is one entry, not ${batch.count}`,
    );
    this.#promised.append(batch);
    const sequence = ++this.#sequence;
    const start = this.#starts.takeCut(sequence);
    const { commitIndex } = this;
    this.#queue.push({ kind: "entries", sequence, commitIndex, batch, start });
    return sequence;
  }

  /** Replaces term, vote and abstention. Returns the write sequence number that makes the promise durable. */
  setHardState(hardState: HardState): number {
    this.#assertWritable();
    assert(
      hardState.term >= this.#hardState.term,
      `Term ${hardState.term} is below the current term ${this.#hardState.term}`,
    );
    this.#hardState = hardState;
    const sequence = ++this.#sequence;
    const { commitIndex } = this;
    this.#queue.push({ kind: "hardState", sequence, commitIndex, hardState, start: null });
    return sequence;
  }

  /**
   * Gives up the entries from `cut.fromIndex` on: the next append begins there and replaces them. Until it is
   * durable, a crash brings the old ones back, which Raft allows: they were never committed.
   */
  truncateSuffix(cut: SuffixCut): void {
    this.#assertWritable();
    const { fromIndex } = cut;
    assert(fromIndex <= this.lastIndex, `Nothing to truncate from ${fromIndex} on`);
    assert(
      fromIndex > this.commitIndex,
      `Cannot truncate from ${fromIndex}: ${this.commitIndex} is committed`,
    );
    assert(
      fromIndex >= this.firstIndex,
      `Cannot truncate from ${fromIndex}: the log begins at ${this.firstIndex}`,
    );
    this.#promised.cut(cut);
    this.#starts.cut = cut;
    this.#epoch += 1;
    this.#durableIndex = Math.min(this.#durableIndex, this.#starts.floorIndex);
  }

  /**
   * Gives up the whole log, because a snapshot of `base.index` takes its place: the log begins behind it. Returns the
   * write sequence number that makes it so; a crash before leaves the old log, one after it the new one. The hard
   * state stays. Old segments are deleted afterwards.
   */
  resetTo(base: LogBase): number {
    this.#assertWritable();
    assert(
      base.index >= this.commitIndex,
      `Cannot begin behind ${base.index}: ${this.commitIndex} is committed`,
    );
    this.#promised.reset(base);
    this.#reset = base;
    this.#epoch += 1;
    // Above the base nothing of the old log may be read; below it the snapshot is what counts.
    this.commitIndex = base.index;
    const sequence = ++this.#sequence;
    this.#starts.addReset(sequence, base);
    this.#durableIndex = Math.min(this.#durableIndex, base.index);
    this.#queue.push({
      kind: "hardState",
      sequence,
      commitIndex: base.index,
      hardState: this.#hardState,
      start: { kind: "reset", base },
    });
    return sequence;
  }

  /**
   * Deletes whole segments of entries up to `throughIndex`, which a verified snapshot holds. What becomes of
   * `firstIndex` and `baseTerm` depends on where segments end.
   */
  truncatePrefix(throughIndex: number): void {
    // Everything goes anyway.
    if (this.#reset !== null) return;
    assert(throughIndex <= this.#durableIndex, `Cannot drop ${throughIndex}: not durable yet`);
    this.#segments.truncatePrefix(throughIndex);
    this.#promised.dropBelow(this.#segments.firstIndex);
  }

  /**
   * Starts a write of what was collected, or has it follow the one under way where that is worth it (write-queue.ts). Up to
   * `waitBytes` may be written in place (write-pace.ts): then it has ended, and `onDurable` was called, when this returns.
   */
  flush(waitBytes: number = IN_PLACE_BYTES.small): void {
    const { collecting, sent } = this.#queue;
    const bytes = collecting.frameBytes;
    if (sent.length === 0) this.#startWrite(bytes <= waitBytes && this.#pace.isInPlace(bytes));
    else if (this.#queue.isWorthQueuing(this.#segments.active)) this.#startWrite(false);
    else collecting.check();
  }

  /**
   * Entries from `fromIndex` up to the durable end, in order; owned by the caller, or borrowed from `buffer`, which
   * has to begin at a multiple of 8 and is used where it is large enough.
   *
   * Shape: at least one batch when `fromIndex` is durable, at most about `maxBytes` or one frame; a batch begins at
   *   `fromIndex` even inside a frame. Errors: `data_loss` for damage, `out_of_range` below the first index.
   */
  read(fromIndex: number, maxBytes: number, buffer?: Uint8Array): Promise<Batch[]> {
    return this.#reader.read(fromIndex, maxBytes, buffer);
  }

  /** Whoever stops cannot wait for a full disk for ever: after `ROOM_WAIT_MS` a write without room has failed. */
  limitRoomWait(): void {
    this.#segments.limitRoomWait();
  }

  /**
   * Makes everything appended durable, and closes the files. A last hard state in sectors of its own tells the next
   * start that the entries before it were durable, so that damage to them cannot pass for an unfinished write.
   * Errors: that of a write which fails here; the files are closed then, too. On a full disk that takes `ROOM_WAIT_MS`.
   */
  async close(): Promise<void> {
    assert(!this.#isClosed, "The log is closed already");
    const hadFailed = this.#failure !== null;
    this.limitRoomWait();
    if (this.#failure === null) {
      await this.#drain();
      if (!this.#sent.isMarked && this.#failure === null) {
        this.#collectMark();
        await this.#drain();
      }
    }
    this.#isClosed = true;
    await this.#segments.close();
    if (!hadFailed && this.#failure !== null) throw this.#failure;
  }

  // -- collecting ----------------------------------------------------------------------------------------------

  #assertWritable(): void {
    assert(this.#failure === null, `The log has failed: ${this.#failure?.message}`);
    assert(!this.#isClosed, "The log is closed");
  }

  /** Where the active segment has no room for both frames, they go into the next one together. */
  #collectMark(): void {
    const position = this.#segments.active?.position ?? 0;
    this.#queue.collecting.tryAppendPadding(markPaddingBytes(position, this.options));
    this.setHardState(this.#hardState);
  }

  // -- writing -------------------------------------------------------------------------------------------------

  /** Makes sure that the active segment takes the group; false when the next one is not ready yet. */
  #ensureSegment(group: GroupBuffer): boolean {
    const { active } = this.#segments;
    const { start } = group;
    const isRoomLeft =
      active !== null && active.position + group.frameBytes <= active.capacityBytes;
    if (isRoomLeft && !leavesSegment(start, active)) return true;
    if (this.#segments.tryRoll(rollPoint(start, this.#sent))) {
      this.#waitsForSegment = false;
      return true;
    }
    if (!this.#waitsForSegment) {
      this.#waitsForSegment = true;
      this.#writeStartedAtMs = this.#scheduler.monotonicMs();
      this.stats.stalls += 1;
    }
    return false;
  }

  #startWrite(inPlace: boolean): void {
    if (this.#queue.collecting.isEmpty || this.#failure !== null) return;
    if (!this.#ensureSegment(this.#queue.collecting)) return;
    const group = this.#queue.take();
    if (this.#queue.sent.length === 0) this.#writeStartedAtMs = this.#scheduler.monotonicMs();
    else this.stats.writesQueued += 1;
    this.#write(group, this.#segments.active as ActiveSegment, inPlace);
  }

  #write(group: GroupBuffer, active: ActiveSegment, inPlace: boolean): void {
    const groupStart = active.position;
    this.#begin(group.start);
    if (groupStart === 0) active.crc = this.#segments.encodeHeader(group, this.#sent);
    const { view } = group;
    const place = {
      sequence: active.sequence,
      groupStart,
      commitIndex: group.commitIndex,
      previousCrc: active.crc,
      hardStateCount: this.#sent.hardStateCount,
      salt: this.#salt,
    };
    active.crc = group.seal(place, (at, offset) => {
      this.stats.frames += 1;
      this.#sent.note(view, at, offset, active);
    });
    if (group.hardState !== null) this.#sent.hardState = group.hardState;
    const start = groupStart === 0 ? 0 : SEGMENT_HEADER_BYTES;
    active.position += group.end - start;
    this.#queue.send({ group, lastIndex: this.#sent.index });
    const onWritten = (error: Error | null): void => {
      if (error === null) this.#onWritten(inPlace);
      else this.#fail(writeFailed(segmentPath(this.options.directory, active.sequence), error));
    };
    const range = { start, end: group.end };
    if (inPlace) this.stats.writesInPlace += 1;
    active.file.writeSpreading(group.bytes, view, range, groupStart, onWritten, inPlace);
  }

  #begin(start: GroupStart | null): void {
    if (start === null) return;
    if (start.kind === "cut") return this.#sent.cut(start.cut);
    this.#sent.reset(start.base);
    if (this.#reset === start.base) this.#reset = null;
  }

  #onWritten(inPlace: boolean): void {
    const { stats } = this;
    const { group, lastIndex } = this.#queue.sent[0] as SentGroup;
    const nowMs = this.#scheduler.monotonicMs();
    stats.lastWriteMs = nowMs - this.#writeStartedAtMs;
    this.#writeStartedAtMs = nowMs;
    const { isQuiet } = this.#queue;
    this.#pace.note(group.frameBytes, { tookMs: stats.lastWriteMs, nowMs, inPlace, isQuiet });
    this.#modules.onWrite?.(stats.lastWriteMs, group.frameBytes);
    stats.writes += 1;
    stats.writtenBytes += group.frameBytes;
    this.#durableSequence = group.lastSequence;
    this.#starts.durable(group.lastSequence);
    this.#durableIndex = Math.min(lastIndex, this.#starts.floorIndex);
    this.#queue.shift();
    // Before the next flush: what that one replaces must stay until it is durable.
    this.#segments.removeDead();
    this.#queue.refill();
    // The disk first: it works while the owner applies and answers.
    if (this.#queue.sent.length === 0) this.#startWrite(false);
    this.#segments.prepareAhead();
    this.#owner.onDurable(this.#durableSequence);
    if (this.#durableSequence === this.#sequence) this.#onIdle?.();
  }

  #fail(error: HearthError): void {
    // What was at hand behind a failed write fails with it.
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#logger.error("log write failed", { reason: error.message });
    this.#owner.onFailed(error);
    this.#onIdle?.();
  }

  /** Waits until everything appended is durable, or the log has failed. */
  async #drain(): Promise<void> {
    while (this.#durableSequence !== this.#sequence && this.#failure === null) {
      const idle = new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
      this.flush();
      await idle;
    }
    this.#onIdle = null;
  }
}
