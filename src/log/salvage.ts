/**
 * Cuts a damaged log before the damage, so that its member can catch up from its peers. The argument why this breaks
 * no promise, and when it would, is in DESIGN.md, "Damage".
 *
 * The cut is one durable write: a new segment that stands on the last good frame and begins with a hard state that
 * abstains. Before it the log is as it was found, after it the damage is behind the log's end.
 */

import { join } from "node:path";
import { type Logger, type Scheduler, SYSTEM_SCHEDULER } from "../base/index.ts";
import { type FileSystem, OPEN_MODE, writeAll } from "../files/index.ts";
import { collectEvidence, type Evidence, nothingLeft } from "./evidence.ts";
import { logSalt } from "./format.ts";
import { GroupBuffer, type LogBase } from "./group-buffer.ts";
import type { LogOptions } from "./options.ts";
import { isEndRight, type ScannedSegment, scanSegment } from "./sealed-content.ts";
import type { BelowLink } from "./segment.ts";
import { segmentPath } from "./segment-names.ts";
import { openSegment } from "./segment-file.ts";
import { encodeSegmentHeader, SEGMENT_ORIGIN, type SegmentHeader } from "./segment-header.ts";
import { chainFrom, type FoundSegment, type Survey, surveyLog } from "./survey.ts";
import type { LogModules } from "./types.ts";

/** Most bytes of one side file, and most side files: for a person to look at, not to fill the disk. */
const SIDE_FILE_MAX_BYTES = 16 * 1024 * 1024;
const SIDE_FILES_MAX = 8;
const SIDE_FILE = /^damaged-\d{10}\.bin$/;
const FILL_BYTES = 1024 * 1024;

/** Where the log ends that is kept. */
interface Kept {
  readonly segment: FoundSegment;
  readonly scanned: ScannedSegment;
}

/**
 * Returns what was given up, in words. A start then finds a sound log.
 *
 * Errors: HearthError data_loss when the hard state is not certain (`log_promises_lost`), or when nothing is left to
 *   begin with; then nothing has been written. Cost: reads every segment twice.
 */
export async function salvageLog(
  options: LogOptions,
  modules: LogModules,
  cause: Error,
): Promise<string> {
  const survey = await surveyLog(options, modules.files);
  const salvage = new Salvage(options, modules, survey);
  return salvage.run(cause);
}

class Salvage {
  readonly #options: LogOptions;
  readonly #files: FileSystem;
  readonly #logger: Logger;
  readonly #scheduler: Scheduler;
  readonly #survey: Survey;

  constructor(options: LogOptions, modules: LogModules, survey: Survey) {
    this.#options = options;
    this.#files = modules.files;
    this.#logger = modules.logger;
    this.#scheduler = modules.scheduler ?? SYSTEM_SCHEDULER;
    this.#survey = survey;
  }

  async run(cause: Error): Promise<string> {
    const modules = this.#contentModules();
    const evidence = await collectEvidence(modules, this.#survey, cause);
    const kept = await this.#findKept();
    const lastIndex = kept?.scanned.content.lastIndex ?? -1;
    const snapshot = this.#options.snapshot ?? null;
    const base = snapshot !== null && lastIndex < snapshot.index ? snapshot : null;
    if (kept === null && base === null) throw nothingLeft(cause);
    // From here on files change.
    if (kept !== null) await this.#keepTail(kept);
    await this.#writeSegment(this.#header(kept, base, evidence));
    await this.#moveAside(base === null ? (kept?.segment.sequence ?? 0) : 0);
    const where = base === null ? `the log ends at ${lastIndex}` : `it begins behind ${base.index}`;
    const text = `${cause.message}; ${where}`;
    this.#logger.error("log was damaged: it is cut, and this member abstains from voting", {
      reason: text,
      lastIndex,
      snapshotIndex: base?.index ?? 0,
      ...evidence.hardState,
    });
    return text;
  }

  #contentModules(): { files: FileSystem; scheduler: Scheduler; directory: string } {
    const { directory } = this.#options;
    return { files: this.#files, scheduler: this.#scheduler, directory };
  }

  /**
   * The newest state of the log, in the order in which it was written, that can be read from its beginning to its
   * end. A segment above a lost one is given up with everything that stands on it.
   */
  async #findKept(): Promise<Kept | null> {
    const { written } = this.#survey;
    let candidates = written.slice();
    for (let top = candidates.at(-1); top !== undefined; top = candidates.at(-1)) {
      const { sequence } = top;
      const chain = chainFrom(top, this.#survey);
      if (chain.kind === "broken") {
        candidates = written.filter((found) => found.sequence < chain.above.sequence);
        continue;
      }
      const scanned = await scanSegment(this.#contentModules(), top);
      const damagedBelow = await this.#firstDamaged(chain.segments);
      if (damagedBelow !== null) return damagedBelow;
      if (!scanned.content.isEmpty) return { segment: top, scanned };
      // A header without a frame: its first group was never acknowledged, or is lost.
      candidates = written.filter((found) => found.sequence < sequence);
    }
    return null;
  }

  /** The lowest sealed segment of the chain that ends before the one above it says. */
  async #firstDamaged(chain: readonly FoundSegment[]): Promise<Kept | null> {
    for (let i = 0; i + 1 < chain.length; i++) {
      const segment = chain[i] as FoundSegment;
      const above = (chain[i + 1] as FoundSegment).header;
      const scanned = await scanSegment(this.#contentModules(), segment, above.belowEnd);
      if (!isEndRight(scanned.end, above)) return { segment, scanned };
    }
    return null;
  }

  #header(kept: Kept | null, base: LogBase | null, evidence: Evidence): Omit<SegmentHeader, "crc"> {
    const { written, unreadable } = this.#survey;
    const sequences = [...written, ...unreadable].map(({ sequence }) => sequence);
    const { segmentBytes, groupMaxBytes } = this.#options;
    const shared = {
      sequence: Math.max(...sequences) + 1,
      segmentBytes,
      groupMaxBytes,
      logId: (written[0] as FoundSegment).header.logId,
      owner: this.#options.owner ?? { clusterId: "", nodeId: "" },
      hardState: evidence.hardState,
      hardStateCount: evidence.hardStateCount,
    };
    if (base !== null) {
      return {
        ...shared,
        origin: SEGMENT_ORIGIN.snapshot,
        firstIndex: base.index + 1,
        previousTerm: base.term,
        membershipIndex: 0,
        membershipSequence: 0,
        commitIndex: base.index,
        appendedAtMs: Math.max(evidence.appendedAtMs, base.appendedAtMs),
        belowSequence: 0,
        belowEnd: 0,
        belowCrc: 0,
      };
    }
    const { content } = (kept as Kept).scanned;
    return {
      ...shared,
      origin: SEGMENT_ORIGIN.damage,
      firstIndex: content.lastIndex + 1,
      previousTerm: content.lastTerm,
      ...newestMembership(kept as Kept),
      // Only what was known before the damage: a later one may speak of entries that are gone.
      commitIndex: Math.min(content.commitIndex, content.lastIndex),
      appendedAtMs: evidence.appendedAtMs,
      ...linkTo(kept as Kept),
    };
  }

  /** The bytes behind the last good frame, before nobody looks at them any more. */
  async #keepTail({ segment, scanned }: Kept): Promise<void> {
    const { image, end } = scanned;
    let last = image.length;
    while (last > end.offset && image[last - 1] === 0) last -= 1;
    if (last === end.offset) return;
    const tail = image.subarray(end.offset, Math.min(last, end.offset + SIDE_FILE_MAX_BYTES));
    const path = this.#sidePath(segment.sequence);
    await this.#files.remove(path).catch(() => {});
    const file = await this.#files.open(path, OPEN_MODE.create);
    await writeAll(file, tail, 0).finally(() => file.close());
    await this.#files.syncDirectory(this.#options.directory);
  }

  /** Filled first, so that the one write that decides changes no metadata. */
  async #writeSegment(header: Omit<SegmentHeader, "crc">): Promise<void> {
    const { directory } = this.#options;
    const { segmentBytes, sequence, hardState } = header;
    const group = new GroupBuffer(4096);
    group.tryAppendHardState({ ...hardState, abstains: true });
    const previousCrc = encodeSegmentHeader(group.bytes, group.view, header);
    const { commitIndex, hardStateCount, logId } = header;
    const salt = logSalt(logId);
    const place = { sequence, groupStart: 0, commitIndex, previousCrc, hardStateCount, salt };
    group.seal(place, () => {});
    const path = segmentPath(directory, sequence);
    const file = await openSegment(this.#files, path, OPEN_MODE.create);
    try {
      await this.#files.syncDirectory(directory);
      const zeros = new Uint8Array(FILL_BYTES);
      for (let at = 0; at < segmentBytes; at += FILL_BYTES)
        await writeAll(file.disk, zeros.subarray(0, Math.min(FILL_BYTES, segmentBytes - at)), at);
      await writeAll(file, group.bytes.subarray(0, group.end), 0);
    } finally {
      await file.close();
    }
  }

  /** Segments above the cut stay under another name, as far as the bound allows; the next start removes the rest. */
  async #moveAside(keptSequence: number): Promise<void> {
    const { directory } = this.#options;
    const { written, unreadable } = this.#survey;
    const used = [...written, ...unreadable.filter(({ isBlank }) => !isBlank)];
    const given = used
      .filter(({ sequence }) => sequence > keptSequence)
      .sort((a, b) => a.sequence - b.sequence)
      .slice(0, SIDE_FILES_MAX);
    for (const { name, sequence } of given)
      await this.#files.rename(join(directory, name), this.#sidePath(sequence));
    const sideFiles = (await this.#files.list(directory)).filter((name) => SIDE_FILE.test(name));
    for (const name of sideFiles.slice(0, -SIDE_FILES_MAX))
      await this.#files.remove(join(directory, name));
    await this.#files.syncDirectory(directory);
  }

  #sidePath(sequence: number): string {
    const name = `damaged-${String(sequence).padStart(10, "0")}.bin`;
    return join(this.#options.directory, name);
  }
}

/** The new segment stands on the last one that keeps entries. */
function linkTo({ segment, scanned }: Kept): BelowLink {
  const { header } = segment;
  const { content, end } = scanned;
  if (content.lastIndex < header.firstIndex) {
    const { belowSequence, belowEnd, belowCrc } = header;
    return { belowSequence, belowEnd, belowCrc };
  }
  return { belowSequence: segment.sequence, belowEnd: end.offset, belowCrc: end.crc };
}

function newestMembership({
  segment,
  scanned,
}: Kept): Pick<SegmentHeader, "membershipIndex" | "membershipSequence"> {
  const own = scanned.content.memberships.at(-1);
  if (own !== undefined)
    return { membershipIndex: own.index, membershipSequence: segment.sequence };
  const { membershipIndex, membershipSequence } = segment.header;
  return { membershipIndex, membershipSequence };
}
