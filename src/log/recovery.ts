/**
 * Opens what a stop of any kind left behind: decides what the log holds, repairs the end of it, and refuses when
 * the bytes contradict what was made durable. The argument is in DESIGN.md, "Recovery".
 *
 * Reads the header of every segment, and all of the newest one; sealed segments are checked when they are read.
 * Everything is judged before anything is written, so that a refusal leaves the files as they are.
 */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { damaged, foreignSegment, segmentMissing, versionUnsupported } from "./errors.ts";
import { type FileSystem, type LogFile, OPEN_MODE, type OpenMode, readWhole } from "./files.ts";
import {
  decodeSegmentHeader,
  LOG_ID_BYTES,
  logSalt,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  type SegmentHeaderResult,
} from "./format.ts";
import { type LogEnd, type NewestSegment, readNewestSegment } from "./newest-segment.ts";
import type { LogOptions } from "./options.ts";
import type { Spare } from "./preallocator.ts";
import { type ActiveSegment, type SealedSegment, segmentSequence } from "./segment.ts";
import { judgeTail } from "./segment-scan.ts";

export interface RecoveredLog {
  readonly logId: Uint8Array;
  /** Ascending; each one's entries end where the next one's begin. */
  readonly sealed: SealedSegment[];
  /** Null for a new log. */
  readonly active: ActiveSegment | null;
  readonly spare: Spare | null;
  readonly nextSequence: number;
  readonly end: LogEnd;
  /** Bytes of an unfinished write that were cut. */
  readonly cutBytes: number;
}

interface FoundSegment {
  readonly name: string;
  readonly sequence: number;
  readonly header: SegmentHeader;
}

interface Survey {
  /** Ascending by sequence. */
  readonly written: FoundSegment[];
  /** Files with a blank header: no group was ever acknowledged in them. All above the written ones. */
  readonly blank: string[];
}

interface NewestFound {
  readonly found: FoundSegment;
  readonly newest: NewestSegment;
}

const EMPTY_END: LogEnd = {
  hardState: { term: 0, vote: "" },
  lastIndex: 0,
  lastTerm: 0,
  commitIndex: 0,
  appendedAtMs: 0,
  endsWithHardState: true,
};

export async function recoverLog(options: LogOptions, files: FileSystem): Promise<RecoveredLog> {
  await files.createDirectory(options.directory);
  const recovery = new Recovery(options, files);
  try {
    return await recovery.run();
  } catch (error) {
    await recovery.closeFiles();
    throw error;
  }
}

/** One attempt; keeps what it opened and what has to go. */
class Recovery {
  readonly #options: LogOptions;
  readonly #files: FileSystem;
  readonly #opened: LogFile[] = [];
  /** Names of files that hold nothing any more. */
  readonly #useless: string[] = [];

  constructor(options: LogOptions, files: FileSystem) {
    this.#options = options;
    this.#files = files;
  }

  async run(): Promise<RecoveredLog> {
    const { written, blank } = await this.#survey();
    const top = await this.#findNewest(written);
    const live = top === null ? [] : liveSegments(written);
    const spare = await this.#judgeBlank(blank, top?.found ?? null);
    for (const found of written) if (!live.includes(found)) this.#useless.push(found.name);

    // From here on files change.
    await top?.newest.repair();
    await this.#removeUseless();
    return {
      logId: top?.found.header.logId ?? randomBytes(LOG_ID_BYTES),
      sealed: sealedSegments(live),
      active: top?.newest.active ?? null,
      spare,
      nextSequence: (top?.found.sequence ?? 0) + 1,
      end: top?.newest.end ?? EMPTY_END,
      cutBytes: top?.newest.tornBytes ?? 0,
    };
  }

  async closeFiles(): Promise<void> {
    for (const file of this.#opened) await file.close();
  }

  /** Reads every header. */
  async #survey(): Promise<Survey> {
    const written: FoundSegment[] = [];
    const blank: string[] = [];
    for (const name of await this.#files.list(this.#options.directory)) {
      const sequence = segmentSequence(name);
      if (sequence === 0) continue;
      const result = await this.#readHeader(name);
      if (result.kind === "version") throw versionUnsupported(name, result.version);
      if (result.kind === "invalid") throw damaged(name, "its header has a wrong checksum");
      if (result.kind === "empty") {
        blank.push(name);
        continue;
      }
      const { header } = result;
      if (blank[0] !== undefined)
        throw damaged(blank[0], `its header is blank, but ${name} follows`);
      const first = written[0]?.header;
      const isForeign = first !== undefined && Buffer.compare(first.logId, header.logId) !== 0;
      if (isForeign || header.sequence !== sequence) throw foreignSegment(name);
      written.push({ name, sequence, header });
    }
    return { written, blank };
  }

  async #readHeader(name: string): Promise<SegmentHeaderResult> {
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    const file = await this.#open(name, OPEN_MODE.read);
    const readBytes = await file.read(bytes, 0);
    await this.#close(file);
    return decodeSegmentHeader(bytes.subarray(0, readBytes));
  }

  /**
   * The newest segment that took over from the one before it: the one whose first group is durable. A header alone
   * is an unfinished write; it is taken off the list.
   */
  async #findNewest(written: FoundSegment[]): Promise<NewestFound | null> {
    for (let found = written.at(-1); found !== undefined; found = written.at(-1)) {
      const file = await this.#open(found.name, OPEN_MODE.durable);
      const newest = await readNewestSegment(file, found.name, found.header);
      if (newest !== null) return { found, newest };
      await this.#close(file);
      this.#useless.push(found.name);
      written.pop();
    }
    return null;
  }

  /**
   * Files above the newest segment: a spare, or one whose first group never became durable. That group may have left
   * anything but the header; a second group proves that a header was there and is lost.
   */
  async #judgeBlank(names: readonly string[], below: FoundSegment | null): Promise<Spare | null> {
    const salt = below === null ? null : logSalt(below.header.logId);
    const groupMaxBytes = below?.header.groupMaxBytes ?? this.#options.groupMaxBytes;
    let spare: Spare | null = null;
    for (const name of names) {
      const sequence = segmentSequence(name);
      const file = await this.#open(name, OPEN_MODE.durable);
      const image = await readWhole(file);
      const verdict = judgeTail(image, { sequence, salt, groupMaxBytes }, 0);
      if (verdict.kind === "damaged")
        throw damaged(name, `its header is blank, but ${verdict.what}`);
      const isNext = below !== null && sequence === below.sequence + 1;
      if (verdict.kind === "clean" && isNext && image.length <= this.#options.segmentBytes) {
        spare = { sequence, file, filledBytes: image.length };
      } else {
        await this.#close(file);
        this.#useless.push(name);
      }
    }
    return spare;
  }

  async #removeUseless(): Promise<void> {
    const { directory } = this.#options;
    if (this.#useless.length === 0) return;
    for (const name of this.#useless) await this.#files.remove(join(directory, name));
    await this.#files.syncDirectory(directory);
  }

  async #open(name: string, mode: OpenMode): Promise<LogFile> {
    const file = await this.#files.open(join(this.#options.directory, name), mode);
    this.#opened.push(file);
    return file;
  }

  async #close(file: LogFile): Promise<void> {
    this.#opened.splice(this.#opened.indexOf(file), 1);
    await file.close();
  }
}

/**
 * The segments that hold live entries, ascending: the newest, the one it stands on, and so on down. What is left
 * over was replaced or is older than what the log begins with. A segment that is gone although one below it is still
 * here is missing; without one, the log was truncated up to there.
 */
function liveSegments(written: readonly FoundSegment[]): FoundSegment[] {
  const live: FoundSegment[] = [];
  for (let top = written.at(-1); top !== undefined; ) {
    const { name, sequence, header } = top;
    live.unshift(top);
    top = written.find((found) => found.sequence === header.belowSequence);
    if (top !== undefined) continue;
    const isBelow = (found: FoundSegment): boolean =>
      found.sequence < sequence && found.header.firstIndex < header.firstIndex;
    if (written.some(isBelow)) throw segmentMissing(name, header.belowSequence);
  }
  return live;
}

function sealedSegments(live: readonly FoundSegment[]): SealedSegment[] {
  const sealed: SealedSegment[] = [];
  for (let i = 0; i + 1 < live.length; i++) {
    const { sequence, header } = live[i] as FoundSegment;
    const above = (live[i + 1] as FoundSegment).header;
    sealed.push({
      sequence,
      firstIndex: header.firstIndex,
      segmentBytes: header.segmentBytes,
      end: above.belowEnd,
      crc: above.belowCrc,
    });
  }
  return sealed;
}
