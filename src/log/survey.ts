/** What lies in the log directory, and which segments make up the log. Reads headers only, writes nothing. */

import { join } from "node:path";
import { type FileSystem, OPEN_MODE } from "../files/index.ts";
import {
  damaged,
  foreignSegment,
  segmentMissing,
  versionUnsupported,
  wrongOwner,
} from "./errors.ts";
import type { LogOptions } from "./options.ts";
import { freeSequence, segmentSequence } from "./segment-names.ts";
import { type HeaderFound, openSegment } from "./segment-file.ts";
import type { LogOwnerName, SegmentHeader } from "./segment-header.ts";

export interface FoundSegment {
  readonly name: string;
  readonly sequence: number;
  readonly header: SegmentHeader;
}

/** A segment file without a good header. */
export interface UnreadableSegment {
  readonly name: string;
  readonly sequence: number;
  /** Nothing where the header belongs: never used as this segment, or lost. Otherwise its checksum is wrong. */
  readonly isBlank: boolean;
  /** Header of the segment that a blank file was before, or of the one that it is under a wrong name. */
  readonly former: SegmentHeader | null;
}

export interface Survey {
  /** All names in the directory. */
  readonly names: readonly string[];
  /** Ascending by sequence. */
  readonly written: FoundSegment[];
  /** Ascending by sequence. */
  readonly unreadable: readonly UnreadableSegment[];
  /** The newest segment whose file was given away, 0: none. A newer one was durable before that. */
  readonly givenUpSequence: number;
}

/** Errors: `failed_precondition` for files of another log, owner or version, by name. */
export async function surveyLog(options: LogOptions, files: FileSystem): Promise<Survey> {
  const names = await files.list(options.directory);
  const written: FoundSegment[] = [];
  const unreadable: UnreadableSegment[] = [];
  for (const name of names) {
    const sequence = segmentSequence(name);
    if (sequence === 0) continue;
    const result = await readHeader(files, join(options.directory, name));
    if (result.kind === "version") throw versionUnsupported(name, result.version);
    if (result.kind !== "ok") {
      const isBlank = result.kind === "empty";
      unreadable.push({ name, sequence, isBlank, former: isBlank ? result.former : null });
      continue;
    }
    const { header } = result;
    const first = written[0]?.header;
    const isForeign = first !== undefined && Buffer.compare(first.logId, header.logId) !== 0;
    if (isForeign || header.sequence !== sequence) throw foreignSegment(name);
    assertOwner(name, header.owner, options);
    written.push({ name, sequence, header });
  }
  return { names, written, unreadable, givenUpSequence: givenUp(names, written, unreadable) };
}

/** Errors: `failed_precondition` for a file that was a segment of another log. */
function givenUp(
  names: readonly string[],
  written: readonly FoundSegment[],
  unreadable: readonly UnreadableSegment[],
): number {
  const logId = written[0]?.header.logId;
  const sequences = names.map(freeSequence);
  for (const { name, former } of unreadable) {
    if (former === null) continue;
    if (logId !== undefined && Buffer.compare(former.logId, logId) !== 0)
      throw foreignSegment(name);
    sequences.push(former.sequence);
  }
  return Math.max(0, ...sequences);
}

async function readHeader(files: FileSystem, path: string): Promise<HeaderFound> {
  const file = await openSegment(files, path, OPEN_MODE.read);
  try {
    return await file.readHeader();
  } finally {
    await file.close();
  }
}

function assertOwner(name: string, found: LogOwnerName, options: LogOptions): void {
  const { owner: expected, formerClusterIds = [] } = options;
  if (expected === undefined) return;
  const differs = (a: string, b: string): boolean => a !== "" && b !== "" && a !== b;
  const isForeign =
    differs(found.clusterId, expected.clusterId) && !formerClusterIds.includes(found.clusterId);
  if (isForeign || differs(found.nodeId, expected.nodeId)) throw wrongOwner(name, found, expected);
}

/** The segments a log stands on, ascending, or where the way down ends too early. */
export type Chain =
  | { readonly kind: "whole"; readonly segments: FoundSegment[] }
  /** `above` stands on a segment that is gone or cannot be read (`lost`, null when it is gone). */
  | {
      readonly kind: "broken";
      readonly above: FoundSegment;
      readonly lost: UnreadableSegment | null;
    };

/**
 * Follows the links down from `top`. What is left over was replaced or is older than what the log begins with. A
 * segment that is gone is the beginning of the log, unless an older one is still here: prefixes go oldest first.
 */
export function chainFrom(top: FoundSegment, survey: Survey): Chain {
  const { written, unreadable } = survey;
  const segments: FoundSegment[] = [];
  for (let above = top; ; ) {
    segments.unshift(above);
    const { belowSequence, firstIndex } = above.header;
    if (belowSequence === 0) return { kind: "whole", segments };
    const below = written.find(({ sequence }) => sequence === belowSequence);
    if (below !== undefined) {
      above = below;
      continue;
    }
    const lost = unreadable.find(({ sequence }) => sequence === belowSequence) ?? null;
    const { sequence } = above;
    const isOlderHere =
      written.some((other) => other.sequence < sequence && other.header.firstIndex < firstIndex) ||
      unreadable.some((other) => other.sequence < sequence);
    return isOlderHere ? { kind: "broken", above, lost } : { kind: "whole", segments };
  }
}

/** The chain of a log that is sound. Errors: `data_loss` when it is broken. */
export function wholeChain(top: FoundSegment, survey: Survey): FoundSegment[] {
  const chain = chainFrom(top, survey);
  if (chain.kind === "whole") return chain.segments;
  const { above, lost } = chain;
  if (lost === null) throw segmentMissing(above.name, above.header.belowSequence);
  throw damaged(lost.name, headerProblem(lost));
}

export function headerProblem({ isBlank }: UnreadableSegment): string {
  return isBlank ? "its header is blank, but the log goes on" : "its header has a wrong checksum";
}
