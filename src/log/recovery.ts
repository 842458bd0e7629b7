/**
 * Opens what a stop of any kind left behind: decides what the log holds, repairs the end of it, and refuses when
 * the bytes contradict what was made durable. The argument is in DESIGN.md, "Recovery".
 *
 * Reads the header of every segment, and all of the newest one; of the sealed ones only those in which the term or
 * the configuration changed. Everything is judged before anything is written, so that a refusal leaves the files as
 * they are.
 */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { HearthError, type Scheduler, SYSTEM_SCHEDULER } from "../base/index.ts";
import { type FileSystem, OPEN_MODE, type OpenMode, withFile } from "../files/index.ts";
import type { LogEnd } from "./content.ts";
import { damaged, promisesLost, segmentMissing } from "./errors.ts";
import { LOG_ID_BYTES, logSalt } from "./format.ts";
import { type NewestSegment, readNewestSegment } from "./newest-segment.ts";
import type { LogOptions } from "./options.ts";
import type { Spare } from "./preallocator.ts";
import type { FoundEntries, MembershipPlace } from "./promised.ts";
import { salvageLog } from "./salvage.ts";
import { type EntriesOfSegments, readEntries } from "./sealed-content.ts";
import type { ActiveSegment, SealedSegment } from "./segment.ts";
import { freePath, freeSequence, segmentSequence } from "./segment-names.ts";
import { openSegment, type SegmentFile } from "./segment-file.ts";
import { judgeTail } from "./segment-scan.ts";
import {
  type FoundSegment,
  headerProblem,
  type Survey,
  surveyLog,
  type UnreadableSegment,
  wholeChain,
} from "./survey.ts";
import { clearSuspect, isSuspect } from "./suspect.ts";
import type { LogModules } from "./types.ts";

export interface RecoveredLog extends FoundEntries {
  readonly logId: Uint8Array;
  /** Ascending; each one's entries end where the next one's begin. */
  readonly sealed: SealedSegment[];
  /** Null for a new log. */
  readonly active: ActiveSegment | null;
  readonly spare: Spare | null;
  readonly nextSequence: number;
  /** Sequences of the files that wait to be reused, below the next one. */
  readonly free: readonly number[];
  readonly end: LogEnd;
  readonly membershipPlaces: readonly MembershipPlace[];
  /** Bytes of an unfinished write that were cut. */
  readonly cutBytes: number;
  /** What was given up because it was damaged, in words, or null. */
  readonly damage: string | null;
}

interface NewestFound {
  readonly found: FoundSegment;
  readonly newest: NewestSegment;
}

const EMPTY_END: LogEnd = {
  hardState: { term: 0, vote: "", abstains: false },
  hardStateCount: 0,
  lastIndex: 0,
  lastTerm: 0,
  commitIndex: 0,
  appendedAtMs: 0,
  isMarked: true,
};
const NO_ENTRIES: EntriesOfSegments = { terms: [], memberships: [], membershipPlaces: [] };

export async function recoverLog(options: LogOptions, modules: LogModules): Promise<RecoveredLog> {
  await modules.files.createDirectory(options.directory);
  try {
    return await recoverOnce(options, modules, null);
  } catch (error) {
    if (options.damagePolicy !== "abstain" || !isDamage(error)) throw error;
    const damage = await salvageLog(options, modules, error);
    return recoverOnce(options, modules, damage);
  }
}

function isDamage(error: unknown): error is HearthError {
  return (
    error instanceof HearthError &&
    (error.reason === "log_damaged" || error.reason === "log_segment_missing")
  );
}

async function recoverOnce(
  options: LogOptions,
  modules: LogModules,
  damage: string | null,
): Promise<RecoveredLog> {
  const recovery = new Recovery(options, modules);
  try {
    return await recovery.run(damage);
  } catch (error) {
    await recovery.closeFiles();
    throw error;
  }
}

/** One attempt; keeps what it opened and what has to go. */
class Recovery {
  readonly #options: LogOptions;
  readonly #files: FileSystem;
  readonly #scheduler: Scheduler;
  readonly #makeLogId: () => Uint8Array;
  readonly #opened: SegmentFile[] = [];
  /** Files that hold nothing any more. */
  readonly #useless: { readonly name: string; readonly sequence: number }[] = [];

  constructor(options: LogOptions, modules: LogModules) {
    this.#options = options;
    this.#files = modules.files;
    this.#scheduler = modules.scheduler ?? SYSTEM_SCHEDULER;
    this.#makeLogId = modules.makeLogId ?? (() => randomBytes(LOG_ID_BYTES));
  }

  async run(damage: string | null): Promise<RecoveredLog> {
    const survey = await surveyLog(this.#options, this.#files);
    const { written } = survey;
    const top = await this.#findNewest(written);
    const live = top === null ? [] : wholeChain(top.found, survey);
    const spare = await this.#judgeUnreadable(survey, top?.found ?? null);
    for (const found of written) if (!live.includes(found)) this.#useless.push(found);
    const mustCheckAll = isSuspect(survey.names);
    const entries = top === null ? NO_ENTRIES : await this.#readEntries(live, top, mustCheckAll);

    // From here on files change. A segment that a killed process has made may stand in the page cache alone: nothing is
    // promised in it before its name is durable.
    await this.#files.syncDirectory(this.#options.directory);
    await top?.newest.repair();
    await this.#removeUseless();
    if (mustCheckAll) await clearSuspect(this.#files, this.#options.directory);
    const end = top?.newest.content ?? EMPTY_END;
    return {
      logId: top?.found.header.logId ?? this.#makeLogId(),
      sealed: sealedSegments(live),
      active: top?.newest.active ?? null,
      spare,
      nextSequence: (top?.found.sequence ?? 0) + 1,
      free: await this.#adoptFree(survey.names),
      end,
      firstIndex: live[0]?.header.firstIndex ?? 1,
      lastIndex: end.lastIndex,
      lastTerm: end.lastTerm,
      ...entries,
      cutBytes: top?.newest.tornBytes ?? 0,
      damage,
    };
  }

  async closeFiles(): Promise<void> {
    for (const file of this.#opened) await file.close();
  }

  #readEntries(
    live: readonly FoundSegment[],
    top: NewestFound,
    mustCheckAll: boolean,
  ): Promise<EntriesOfSegments> {
    const { directory } = this.#options;
    const modules = { files: this.#files, scheduler: this.#scheduler, directory };
    return readEntries(modules, live, top.newest.content, mustCheckAll);
  }

  /**
   * The newest segment that took over from the one before it: the one whose first group is durable. A header alone
   * is an unfinished write; it is taken off the list.
   */
  async #findNewest(written: FoundSegment[]): Promise<NewestFound | null> {
    for (let found = written.at(-1); found !== undefined; found = written.at(-1)) {
      const file = await this.#open(found.name, OPEN_MODE.durable);
      const newest = await readNewestSegment(this.#scheduler, file, found.name, found.header);
      if (newest !== null) return { found, newest };
      await this.#close(file);
      this.#useless.push(found);
      written.pop();
    }
    return null;
  }

  /** Files without a header: below the newest segment they were replaced, or the chain would have missed them. */
  async #judgeUnreadable(survey: Survey, newest: FoundSegment | null): Promise<Spare | null> {
    let spare: Spare | null = null;
    for (const segment of survey.unreadable) {
      const isAbove = newest === null || segment.sequence > newest.sequence;
      if (!isAbove) this.#useless.push(segment);
      else if (!segment.isBlank) throw damaged(segment.name, headerProblem(segment));
      else spare = (await this.#judgeBlank(segment, newest)) ?? spare;
    }
    assertNoHole(survey, newest?.sequence ?? 0);
    assertNoneLost(survey, newest?.sequence ?? 0);
    return spare;
  }

  /**
   * A file above the newest segment: a spare, or one whose first group never became durable. That group may have left
   * anything but the header; a second group proves that a header was there and is lost.
   */
  async #judgeBlank(segment: UnreadableSegment, below: FoundSegment | null): Promise<Spare | null> {
    const { name, sequence } = segment;
    const salt = below === null ? null : logSalt(below.header.logId);
    const groupMaxBytes = below?.header.groupMaxBytes ?? this.#options.groupMaxBytes;
    const file = await this.#open(name, OPEN_MODE.durable);
    const image = await file.readAll();
    const sizeBytes = await file.disk.sizeBytes();
    const verdict = judgeTail(image, { sequence, salt, groupMaxBytes }, 0);
    if (verdict.kind === "damaged") throw damaged(name, `its header is blank, but ${verdict.what}`);
    const isNext = below !== null && sequence === below.sequence + 1;
    if (verdict.kind === "clean" && isNext && sizeBytes <= this.#options.segmentBytes)
      return { sequence, file, filledBytes: sizeBytes, isReused: false };
    await this.#close(file);
    this.#useless.push(segment);
    return null;
  }

  /** Newest first, each one durably: a hole below a spare would say that a segment was lost. */
  async #removeUseless(): Promise<void> {
    const { directory } = this.#options;
    const names = this.#useless.sort((a, b) => b.sequence - a.sequence);
    for (const { name } of names) {
      await this.#files.remove(join(directory, name));
      await this.#files.syncDirectory(directory);
    }
  }

  /** Free files of the size in use, up to the bound; the others go. */
  async #adoptFree(names: readonly string[]): Promise<number[]> {
    const { directory, segmentBytes, reuseMaxBytes = 0 } = this.#options;
    const adopted: number[] = [];
    for (const sequence of names.map(freeSequence)) {
      if (sequence === 0) continue;
      const path = freePath(directory, sequence);
      const sizeBytes = await withFile(this.#files, path, OPEN_MODE.read, (file) =>
        file.sizeBytes(),
      );
      const isWanted = (adopted.length + 1) * segmentBytes <= reuseMaxBytes;
      if (isWanted && sizeBytes === segmentBytes) {
        adopted.push(sequence);
        continue;
      }
      await this.#files.remove(path);
      await this.#files.syncDirectory(directory);
    }
    return adopted;
  }

  async #open(name: string, mode: OpenMode): Promise<SegmentFile> {
    const file = await openSegment(this.#files, join(this.#options.directory, name), mode);
    this.#opened.push(file);
    return file;
  }

  async #close(file: SegmentFile): Promise<void> {
    this.#opened.splice(this.#opened.indexOf(file), 1);
    await file.close();
  }
}

/**
 * The file of a segment is given away when a newer one is durable. Where none is to be seen, its end was damaged, and nobody
 * knows what was promised behind it.
 */
function assertNoneLost({ givenUpSequence }: Survey, newestSequence: number): void {
  if (givenUpSequence > 0 && newestSequence <= givenUpSequence)
    throw promisesLost(
      `the segments behind ${givenUpSequence}`,
      `one of them was durable before the file of ${givenUpSequence} was given away, and none can be read; or files have changed names`,
    );
}

/** Files are made in order of their sequence: one above a hole says that a segment was there. */
function assertNoHole({ names, unreadable }: Survey, newestSequence: number): void {
  const sequences = new Set(names.map(segmentSequence));
  for (const { name, sequence } of unreadable) {
    if (sequence > newestSequence + 1 && !sequences.has(sequence - 1))
      throw segmentMissing(name, sequence - 1);
  }
}

function sealedSegments(live: readonly FoundSegment[]): SealedSegment[] {
  const sealed: SealedSegment[] = [];
  for (let i = 0; i + 1 < live.length; i++) {
    const { sequence, header } = live[i] as FoundSegment;
    const above = (live[i + 1] as FoundSegment).header;
    const { firstIndex, previousTerm, segmentBytes } = header;
    const { belowEnd: end, belowCrc: crc } = above;
    sealed.push({ sequence, firstIndex, previousTerm, segmentBytes, end, crc });
  }
  return sealed;
}
