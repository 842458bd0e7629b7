/**
 * The durable log of one member: entries and hard state, in the order in which they were promised.
 *
 *   append / setHardState -> collecting buffer --flush--> one durable write -> onDurable(sequence)
 *                              ^   (the other buffer is being written meanwhile)   |
 *                              +------------------- swap --------------------------+
 *
 * There is never more than one write in flight. Everything that waits when the disk becomes free goes together; no
 * timers. A failed write is final: nothing is acknowledged after it, and the owner ends the process.
 *
 * Entries are handed over once (`append` copies them) and read back from the files (`read`).
 */

import { assert, type HearthError, type Logger } from "../base/index.ts";
import { compacted, writeFailed } from "./errors.ts";
import { writeFully } from "./files.ts";
import {
  encodeSegmentHeader,
  FRAME_KIND,
  type HardState,
  logSalt,
  SEGMENT_HEADER_BYTES,
} from "./format.ts";
import { type AppendBatch, GroupBuffer, type SuffixCut } from "./group-buffer.ts";
import { assertLogOptions, bodyMaxBytes, type LogOptions } from "./options.ts";
import { SegmentReader } from "./reader.ts";
import { type RecoveredLog, recoverLog } from "./recovery.ts";
import { type ActiveSegment, type FrameTable, segmentPath } from "./segment.ts";
import { SegmentSet } from "./segment-set.ts";
import {
  createLogStats,
  type LogModules,
  type LogOwner,
  type LogStats,
  type QueuedWrite,
} from "./types.ts";

export class DurableLog {
  readonly options: LogOptions;
  readonly stats: LogStats = createLogStats();
  /** Bytes of an unfinished write that the start cut off. */
  readonly recoveredCutBytes: number;
  /** Highest commit index the owner knows; travels in the headers of later frames. */
  commitIndex: number;
  readonly #logger: Logger;
  readonly #onWrite: LogModules["onWrite"];
  readonly #logId: Uint8Array;
  readonly #salt: number;
  readonly #segments: SegmentSet;
  readonly #reader: SegmentReader;
  #owner: LogOwner = { onDurable: () => {}, onFailed: () => {} };

  // Promised to be appended, in this order.
  #lastIndex: number;
  #lastTerm: number;
  #hardState: HardState;
  #sequence = 0;
  #cut: SuffixCut | null = null;

  // Sent to the disk: durable, or in the write in flight.
  #sentIndex: number;
  #sentTerm: number;
  #sentHardState: HardState;
  #sentAppendedAtMs: number;

  // On the disk.
  #durableIndex: number;
  #durableSequence = 0;
  #endsWithHardState: boolean;

  #collecting: GroupBuffer;
  #idle: GroupBuffer;
  #writing: GroupBuffer | null = null;
  #writeStartedAtMs = 0;
  #waitsForSegment = false;
  readonly #overflow: QueuedWrite[] = [];
  #failure: HearthError | null = null;
  #onIdle: (() => void) | null = null;
  #isClosed = false;

  /**
   * Opens the log in `options.directory`, recovering from any kind of stop.
   *
   * Errors: HearthError `data_loss` or `failed_precondition` (errors.ts) when the files cannot be trusted; they are
   *   left as they are. Cost: reads one segment, about 30 ms for 64 MiB.
   */
  static async open(options: LogOptions, modules: LogModules): Promise<DurableLog> {
    assertLogOptions(options);
    const log = new DurableLog(options, modules, await recoverLog(options, modules.files));
    if (log.#segments.active === null) {
      await log.#segments.prepareFirst().catch(async (error: unknown) => {
        await log.#segments.close();
        throw writeFailed(options.directory, error);
      });
    }
    return log;
  }

  private constructor(options: LogOptions, modules: LogModules, found: RecoveredLog) {
    this.options = options;
    this.#logger = modules.logger;
    this.#onWrite = modules.onWrite;
    this.#logId = found.logId;
    this.#salt = logSalt(found.logId);
    const { end } = found;
    this.#lastIndex = this.#sentIndex = this.#durableIndex = end.lastIndex;
    this.#lastTerm = this.#sentTerm = end.lastTerm;
    this.#hardState = this.#sentHardState = end.hardState;
    this.#sentAppendedAtMs = end.appendedAtMs;
    this.commitIndex = Math.min(end.commitIndex, end.lastIndex);
    this.#endsWithHardState = end.endsWithHardState;
    this.recoveredCutBytes = found.cutBytes;
    this.#collecting = new GroupBuffer(options.groupMaxBytes);
    this.#idle = new GroupBuffer(options.groupMaxBytes);
    const { files } = modules;
    this.#reader = new SegmentReader({ files, directory: options.directory, salt: this.#salt });
    // A group may wait for its segment; nothing else can be in flight then.
    const onReady = (): void => this.flush();
    this.#segments = new SegmentSet(options, { ...modules, onReady }, found);
  }

  setOwner(owner: LogOwner): void {
    this.#owner = owner;
  }

  /** Index of the oldest entry still here; 1 for a new log. */
  get firstIndex(): number {
    return this.#segments.firstIndex;
  }

  /** Index of the newest entry appended, durable or not; 0 when there is none. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  get lastTerm(): number {
    return this.#lastTerm;
  }

  /** Newest entry that no crash can take away. */
  get durableIndex(): number {
    return this.#durableIndex;
  }

  /** Term and vote as last set; durable once their write sequence number is. */
  get hardState(): HardState {
    return this.#hardState;
  }

  /** Newest appended-at among the written entries, Unix ms; 0 when there is none. */
  get lastAppendedAtMs(): number {
    return this.#sentAppendedAtMs;
  }

  /** Most bytes that one append may carry. */
  get bodyMaxBytes(): number {
    return bodyMaxBytes(this.options);
  }

  /** Why the log has stopped for good, or null. */
  get failure(): HearthError | null {
    return this.#failure;
  }

  /** How long the write in flight has been on its way, ms; 0 when there is none. */
  get pendingWriteMs(): number {
    if (this.#writing === null && !this.#waitsForSegment) return 0;
    return performance.now() - this.#writeStartedAtMs;
  }

  /** Bytes of segment files, spare not counted. */
  get sizeBytes(): number {
    return this.#segments.sizeBytes;
  }

  /**
   * Why there is soon no room for more, or null: the next segment cannot be made and the active one is nearly full.
   * The owner then refuses new proposals; attempts go on once a second.
   */
  get spaceError(): Error | null {
    const { active, spaceError } = this.#segments;
    if (spaceError === null || active === null) return null;
    const freeBytes = active.segmentBytes - active.position - this.#collecting.frameBytes;
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
      batch.firstIndex === this.#lastIndex + 1,
      `Append at ${batch.firstIndex} does not continue the log, which ends at ${this.#lastIndex}`,
    );
    assert(batch.count > 0, "An append carries at least one entry");
    assert(batch.bodyBytes % 8 === 0, `Body of ${batch.bodyBytes} bytes is not padded to 8`);
    assert(
      batch.bodyBytes <= this.bodyMaxBytes,
      `Body of ${batch.bodyBytes} bytes is above the limit of ${this.bodyMaxBytes}`,
    );
    this.#lastIndex = batch.firstIndex + batch.count - 1;
    this.#lastTerm = batch.term;
    const sequence = ++this.#sequence;
    const cut = this.#cut;
    this.#cut = null;
    if (this.#overflow.length > 0 || !this.#tryCollect(batch, cut, sequence)) {
      this.#overflow.push({ kind: "entries", sequence, batch, cut });
    }
    return sequence;
  }

  /** Replaces term and vote. Returns the write sequence number that makes the promise durable. */
  setHardState(hardState: HardState): number {
    this.#assertWritable();
    assert(
      hardState.term >= this.#hardState.term,
      `Term ${hardState.term} is below the current term ${this.#hardState.term}`,
    );
    this.#hardState = hardState;
    const sequence = ++this.#sequence;
    if (this.#overflow.length > 0 || !this.#tryCollectHardState(hardState, sequence)) {
      this.#overflow.push({ kind: "hardState", sequence, hardState });
    }
    return sequence;
  }

  /**
   * Gives up the entries from `cut.fromIndex` on: the next append begins there and replaces them. Until it is
   * durable, a crash brings the old ones back, which Raft allows: they were never committed.
   */
  truncateSuffix(cut: SuffixCut): void {
    this.#assertWritable();
    const { fromIndex } = cut;
    assert(fromIndex <= this.#lastIndex, `Nothing to truncate from ${fromIndex} on`);
    assert(
      fromIndex > this.commitIndex,
      `Cannot truncate from ${fromIndex}: ${this.commitIndex} is committed`,
    );
    assert(
      fromIndex >= this.firstIndex,
      `Cannot truncate from ${fromIndex}: the log begins at ${this.firstIndex}`,
    );
    this.#lastIndex = fromIndex - 1;
    this.#lastTerm = cut.previousTerm;
    this.#cut = cut;
  }

  /** Deletes whole segments of entries up to `throughIndex`, which a verified snapshot holds. */
  truncatePrefix(throughIndex: number): void {
    assert(throughIndex <= this.#durableIndex, `Cannot drop ${throughIndex}: not durable yet`);
    this.#segments.truncatePrefix(throughIndex);
  }

  /** Starts a write of what was collected, unless one is in flight: then it goes when that one ends. */
  flush(): void {
    if (this.#writing !== null || this.#collecting.isEmpty || this.#failure !== null) return;
    const group = this.#collecting;
    if (!this.#ensureSegment(group)) return;
    this.#writing = group;
    this.#collecting = this.#idle;
    this.#writeStartedAtMs = performance.now();
    this.#write(group, this.#segments.active as ActiveSegment);
  }

  /**
   * Entries from `fromIndex` up to the durable end, in order; owned by the caller, or borrowed from `buffer`, which
   * has to begin at a multiple of 8 and is used where it is large enough.
   *
   * Shape: at least one batch when `fromIndex` is durable, at most about `maxBytes` or one frame; a batch begins at
   *   `fromIndex` even inside a frame. Errors: `data_loss` for damage, `out_of_range` below the first index.
   */
  async read(fromIndex: number, maxBytes: number, buffer?: Uint8Array): Promise<AppendBatch[]> {
    if (fromIndex < this.firstIndex) throw compacted(fromIndex, this.firstIndex);
    const { active } = this.#segments;
    const endIndex = Math.min(this.#durableIndex, this.#lastIndex) + 1;
    if (active === null || fromIndex >= endIndex) return [];
    if (fromIndex >= active.firstIndex) {
      return this.#reader.readActive(active, { fromIndex, endIndex, maxBytes, buffer });
    }
    const found = this.#segments.findSealed(fromIndex);
    const range = { fromIndex, endIndex: Math.min(endIndex, found.endIndex), maxBytes, buffer };
    return this.#reader.readSealed(found.segment, range);
  }

  /**
   * Makes everything appended durable and closes the files. A last hard state tells the next start that the entries
   * before it were durable, so that damage to them cannot pass for an unfinished write.
   */
  async close(): Promise<void> {
    assert(!this.#isClosed, "The log is closed already");
    if (this.#failure === null) {
      await this.#drain();
      if (!this.#endsWithHardState && this.#failure === null) {
        this.setHardState(this.#hardState);
        await this.#drain();
      }
    }
    this.#isClosed = true;
    await this.#segments.close();
  }

  // -- collecting ----------------------------------------------------------------------------------------------

  #assertWritable(): void {
    assert(this.#failure === null, `The log has failed: ${this.#failure?.message}`);
    assert(!this.#isClosed, "The log is closed");
  }

  /** A cut has to be the first frame of its group: it decides in which segment the group goes. */
  #tryCollect(batch: AppendBatch, cut: SuffixCut | null, sequence: number): boolean {
    const group = this.#collecting;
    if (cut !== null && !group.isEmpty) return false;
    if (!group.tryAppend(batch)) return false;
    if (cut !== null) group.cut = cut;
    group.lastSequence = sequence;
    return true;
  }

  #tryCollectHardState(hardState: HardState, sequence: number): boolean {
    if (!this.#collecting.tryAppendHardState(hardState)) return false;
    this.#collecting.lastSequence = sequence;
    return true;
  }

  #collectOverflow(): void {
    const queue = this.#overflow;
    let taken = 0;
    for (const queued of queue) {
      const isCollected =
        queued.kind === "entries"
          ? this.#tryCollect(queued.batch, queued.cut, queued.sequence)
          : this.#tryCollectHardState(queued.hardState, queued.sequence);
      if (!isCollected) break;
      taken += 1;
    }
    if (taken > 0) queue.splice(0, taken);
  }

  // -- writing -------------------------------------------------------------------------------------------------

  /** Makes sure that the active segment takes the group; false when the next one is not ready yet. */
  #ensureSegment(group: GroupBuffer): boolean {
    const { active } = this.#segments;
    const isCutBelow =
      group.cut !== null && active !== null && group.cut.fromIndex < active.firstIndex;
    const isRoomLeft = active !== null && active.position + group.frameBytes <= active.segmentBytes;
    if (isRoomLeft && !isCutBelow) return true;
    if (this.#segments.tryRoll(group.cut?.fromIndex ?? this.#sentIndex + 1)) {
      this.#waitsForSegment = false;
      this.stats.rolls += 1;
      return true;
    }
    if (!this.#waitsForSegment) {
      this.#waitsForSegment = true;
      this.#writeStartedAtMs = performance.now();
      this.stats.stalls += 1;
    }
    return false;
  }

  #write(group: GroupBuffer, active: ActiveSegment): void {
    const groupStart = active.position;
    if (groupStart === 0) active.crc = this.#encodeHeader(group, active);
    if (group.cut !== null) {
      this.#sentIndex = group.cut.fromIndex - 1;
      this.#sentTerm = group.cut.previousTerm;
    }
    const { view } = group;
    const place = {
      sequence: active.sequence,
      groupStart,
      commitIndex: this.commitIndex,
      previousCrc: active.crc,
      salt: this.#salt,
    };
    active.crc = group.seal(place, (at, offset) => this.#noteFrame(view, at, offset, active.table));
    if (group.hardState !== null) this.#sentHardState = group.hardState;
    const start = groupStart === 0 ? 0 : SEGMENT_HEADER_BYTES;
    active.position += group.end - start;
    writeFully(active.file, group.bytes, { start, end: group.end }, groupStart, (error) => {
      if (error === null) this.#onWritten(group);
      else this.#fail(writeFailed(segmentPath(this.options.directory, active.sequence), error));
    });
  }

  #encodeHeader(group: GroupBuffer, active: ActiveSegment): number {
    const { below } = this.#segments;
    return encodeSegmentHeader(group.bytes, group.view, {
      sequence: active.sequence,
      segmentBytes: active.segmentBytes,
      logId: this.#logId,
      firstIndex: active.firstIndex,
      previousTerm: group.cut?.previousTerm ?? this.#sentTerm,
      hardState: this.#sentHardState,
      commitIndex: this.commitIndex,
      appendedAtMs: this.#sentAppendedAtMs,
      belowSequence: below?.sequence ?? 0,
      belowEnd: below?.end ?? 0,
      belowCrc: below?.crc ?? 0,
      groupMaxBytes: this.options.groupMaxBytes,
    });
  }

  /** Reads back from the sealed frame header what the log has to remember of it. */
  #noteFrame(view: DataView, at: number, offset: number, table: FrameTable): void {
    const kind = view.getUint16(at + 6, true);
    this.stats.frames += 1;
    this.#endsWithHardState = kind === FRAME_KIND.hardState;
    if (this.#endsWithHardState) return;
    const firstIndex = view.getFloat64(at + 32, true);
    this.#sentIndex = firstIndex + view.getUint32(at + 12, true) - 1;
    this.#sentTerm = view.getFloat64(at + 40, true);
    this.#sentAppendedAtMs = Math.max(this.#sentAppendedAtMs, view.getFloat64(at + 48, true));
    table.add(firstIndex, offset);
  }

  #onWritten(group: GroupBuffer): void {
    const { stats } = this;
    stats.lastWriteMs = performance.now() - this.#writeStartedAtMs;
    this.#onWrite?.(stats.lastWriteMs, group.frameBytes);
    stats.writes += 1;
    stats.writtenBytes += group.frameBytes;
    this.#durableIndex = this.#sentIndex;
    this.#durableSequence = group.lastSequence;
    group.reset();
    this.#idle = group;
    this.#writing = null;
    // Before the next flush: what that one replaces must stay until it is durable.
    this.#segments.removeDead();
    this.#collectOverflow();
    // The disk first: it works while the owner applies and answers.
    this.flush();
    this.#segments.prepareAhead();
    this.#owner.onDurable(this.#durableSequence);
    if (this.#durableSequence === this.#sequence) this.#onIdle?.();
  }

  #fail(error: HearthError): void {
    assert(this.#failure === null, "A failed log writes no more");
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
