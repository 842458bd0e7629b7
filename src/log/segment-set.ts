/**
 * The segment files of one log: which one is written, which are sealed, which may go, and the next one in the making.
 * Knows nothing of buffers and promises; the log tells it where to roll.
 */

import { assert, type Logger, type Scheduler } from "../base/index.ts";
import type { FileSystem } from "../files/index.ts";
import type { LogOptions } from "./options.ts";
import type { GroupBuffer, GroupStart } from "./group-buffer.ts";
import type { SentEntries } from "./promised.ts";
import { Preallocator } from "./preallocator.ts";
import type { RecoveredLog } from "./recovery.ts";
import { contentBytes } from "./sectors.ts";
import { type ActiveSegment, FrameTable, type SealedSegment } from "./segment.ts";
import { freePath, segmentPath } from "./segment-names.ts";
import { encodeSegmentHeader, NO_OWNER, SEGMENT_ORIGIN } from "./segment-header.ts";
import type { LogStats } from "./types.ts";

export interface SegmentSetModules {
  readonly files: FileSystem;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
  /** Left out: always. */
  readonly hasRoom?: () => boolean;
  /** Rolls and reuses are counted here. */
  readonly stats: LogStats;
  /** Called when a segment has become ready that `tryRoll` had to do without. */
  readonly onReady: () => void;
  /** Called once, when there is no room for such a segment and nobody waits for room any more. */
  readonly onGivenUp: (where: string, error: Error) => void;
}

/** Where a fresh segment takes the log up. */
export interface RollPoint {
  readonly firstIndex: number;
  /** Term of the entry before it. */
  readonly previousTerm: number;
  /** Nothing below counts any more. */
  readonly isReset: boolean;
}

/** The next segment is asked to be ready when the active one is full to 1 / pace: a third is left for delays. */
const PREPARE_PACE = 1.5;

export class SegmentSet {
  readonly #options: LogOptions;
  readonly #modules: SegmentSetModules;
  readonly #preallocator: Preallocator;
  readonly #logId: Uint8Array;
  readonly #sealed: SealedSegment[];
  #active: ActiveSegment | null;
  /** Not needed any more once the first group of the active segment is durable; a crash before needs them. */
  #dead: SealedSegment[] = [];
  #isActiveDurable = true;
  #maintenance: Promise<void> = Promise.resolve();

  constructor(options: LogOptions, modules: SegmentSetModules, found: RecoveredLog) {
    this.#options = options;
    this.#modules = modules;
    this.#logId = found.logId;
    this.#sealed = found.sealed;
    this.#active = found.active;
    this.#preallocator = new Preallocator(options, modules, found);
    this.prepareAhead();
  }

  get active(): ActiveSegment | null {
    return this.#active;
  }

  /** The newest sealed segment that holds live entries. */
  get below(): SealedSegment | undefined {
    return this.#sealed.at(-1);
  }

  /** Index of the oldest entry still here; 1 for a new log. */
  get firstIndex(): number {
    return this.#sealed[0]?.firstIndex ?? this.#active?.firstIndex ?? 1;
  }

  /** Term of the entry before `firstIndex`; 0: none. */
  get baseTerm(): number {
    return (this.#sealed[0] ?? this.#active)?.previousTerm ?? 0;
  }

  get sizeBytes(): number {
    const sealedBytes = this.#sealed.reduce((sum, segment) => sum + segment.segmentBytes, 0);
    return sealedBytes + (this.#active?.segmentBytes ?? 0);
  }

  /** Why the next segment cannot be made, or null. */
  get spaceError(): Error | null {
    return this.#preallocator.error;
  }

  limitRoomWait(): void {
    this.#preallocator.limitRoomWait();
  }

  /**
   * Makes the very first segment, so that a disk that takes none is known before anything is promised. Errors: the raw
   * one of the disk; everything is closed then.
   */
  async prepareFirst(): Promise<void> {
    try {
      await this.#preallocator.prepare();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Puts the header of the active segment in front of its first group. Returns its CRC, the first link of the chain. */
  encodeHeader(group: GroupBuffer, sent: SentEntries): number {
    const { below } = this;
    const { sequence, segmentBytes, firstIndex, previousTerm } = this.#active as ActiveSegment;
    return encodeSegmentHeader(group.bytes, group.view, {
      sequence,
      segmentBytes,
      firstIndex,
      previousTerm,
      logId: this.#logId,
      owner: this.#options.owner ?? NO_OWNER,
      origin: group.start?.kind === "reset" ? SEGMENT_ORIGIN.snapshot : SEGMENT_ORIGIN.log,
      ...sent.headerFields(),
      commitIndex: group.commitIndex,
      belowSequence: below?.sequence ?? 0,
      belowEnd: below?.end ?? 0,
      belowCrc: below?.crc ?? 0,
      groupMaxBytes: this.#options.groupMaxBytes,
    });
  }

  /** Lets the next segment grow with the active one, a little ahead. */
  prepareAhead(): void {
    const active = this.#active;
    if (active === null) return;
    const fill = Math.min(1, (PREPARE_PACE * active.position) / active.capacityBytes);
    this.#preallocator.advance(Math.ceil(fill * this.#options.segmentBytes));
    if (this.#preallocator.hasFree && !this.#hasRoom())
      this.#maintain("cannot remove free log files", () => this.#preallocator.removeFree());
  }

  /** Makes a fresh segment the active one; false when it is not ready yet. */
  tryRoll(point: RollPoint): boolean {
    const spare = this.#preallocator.take();
    if (spare === null) return false;
    this.#modules.stats.rolls += 1;
    if (spare.isReused) this.#modules.stats.reuses += 1;
    if (this.#active !== null) this.#seal(this.#active, point);
    this.#isActiveDurable = false;
    this.#active = {
      sequence: spare.sequence,
      file: spare.file,
      firstIndex: point.firstIndex,
      previousTerm: point.previousTerm,
      segmentBytes: this.#options.segmentBytes,
      capacityBytes: contentBytes(this.#options.segmentBytes),
      table: new FrameTable(),
      position: 0,
      crc: 0,
    };
    return true;
  }

  /** Segments whose entries are all replaced, or that hold none, are dead: nothing stands on them. */
  #seal(active: ActiveSegment, point: RollPoint): void {
    const { sequence, firstIndex, previousTerm, segmentBytes, position: end, crc } = active;
    this.#sealed.push({ sequence, firstIndex, previousTerm, segmentBytes, end, crc });
    while (
      this.#sealed.length > 0 &&
      (point.isReset || (this.#sealed.at(-1) as SealedSegment).firstIndex >= point.firstIndex)
    ) {
      this.#dead.push(this.#sealed.pop() as SealedSegment);
    }
    this.#maintain("cannot close a log segment", () => active.file.close());
  }

  /** The sealed segment with `index`, and the index after its last live entry. */
  findSealed(index: number): { readonly segment: SealedSegment; readonly endIndex: number } {
    let i = this.#sealed.length - 1;
    while (i > 0 && (this.#sealed[i] as SealedSegment).firstIndex > index) i -= 1;
    const segment = this.#sealed[i];
    assert(
      segment !== undefined && segment.firstIndex <= index,
      `No segment holds log index ${index}`,
    );
    const above = this.#sealed[i + 1]?.firstIndex ?? this.#active?.firstIndex;
    assert(above !== undefined, "Sealed segments lie below an active one");
    return { segment, endIndex: above };
  }

  /** Removes the sealed segments that hold nothing above `throughIndex`, in the background. Their files may be kept. */
  truncatePrefix(throughIndex: number): void {
    const segments: SealedSegment[] = [];
    while (this.#sealed.length > 0) {
      const next = this.#sealed[1]?.firstIndex ?? this.#active?.firstIndex ?? 0;
      if (next > throughIndex + 1) break;
      segments.push(this.#sealed.shift() as SealedSegment);
    }
    // A crash may still find the active segment empty: then these are the log, its hard state included.
    if (this.#isActiveDurable) this.#remove(segments);
    else this.#dead.push(...segments);
  }

  /** To be called when a group has become durable: removes what it replaces, in the background. */
  removeDead(): void {
    this.#isActiveDurable = true;
    if (this.#dead.length === 0) return;
    this.#remove(this.#dead);
    this.#dead = [];
  }

  #remove(segments: readonly SealedSegment[]): void {
    const { directory } = this.#options;
    const { files } = this.#modules;
    // What is left after a failure is removed by the next start or stays as history; it costs space only.
    this.#maintain("cannot remove a log segment", async () => {
      for (const { sequence, segmentBytes } of segments) {
        const path = segmentPath(directory, sequence);
        const isKept = this.#preallocator.wants(segmentBytes) && this.#hasRoom();
        if (isKept) await files.rename(path, freePath(directory, sequence));
        else await files.remove(path);
        // One at a time: a crash must not leave an older segment where a newer one is gone.
        await files.syncDirectory(directory);
        if (isKept) this.#preallocator.addFree(sequence);
      }
    });
  }

  #hasRoom(): boolean {
    return this.#modules.hasRoom?.() ?? true;
  }

  /** With the disk. */
  async close(): Promise<void> {
    await this.#maintenance;
    await this.#preallocator.close();
    await this.#active?.file.close();
    await this.#modules.files.close?.();
  }

  #maintain(failure: string, work: () => Promise<void>): void {
    this.#maintenance = this.#maintenance.then(work).catch((error: unknown) => {
      this.#modules.logger.warn(failure, { reason: String(error) });
    });
  }
}

/** Whether the group cannot go on in the active segment, however much room there is. */
export function leavesSegment(start: GroupStart | null, active: ActiveSegment): boolean {
  if (start === null) return false;
  return start.kind === "reset" || start.cut.fromIndex < active.firstIndex;
}

/** Where a segment takes the log up whose first group begins with `start`. */
export function rollPoint(start: GroupStart | null, sent: SentEntries): RollPoint {
  if (start === null)
    return { firstIndex: sent.index + 1, previousTerm: sent.term, isReset: false };
  if (start.kind === "cut") {
    const { fromIndex, previousTerm } = start.cut;
    return { firstIndex: fromIndex, previousTerm, isReset: false };
  }
  return { firstIndex: start.base.index + 1, previousTerm: start.base.term, isReset: true };
}
