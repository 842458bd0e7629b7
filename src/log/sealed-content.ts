/** Terms and configurations of the whole log, from as few sealed segments as possible. */

import { join } from "node:path";
import type { Scheduler } from "../base/index.ts";
import { type FileSystem, OPEN_MODE } from "../files/index.ts";
import type { TermSpan } from "../raft/index.ts";
import { SegmentContent } from "./content.ts";
import { damaged } from "./errors.ts";
import { logSalt } from "./format.ts";
import type { MembershipPlace } from "./promised.ts";
import type { BelowLink } from "./segment.ts";
import { openSegment } from "./segment-file.ts";
import { type ScanEnd, scanFrames } from "./segment-scan.ts";
import type { FoundSegment } from "./survey.ts";
import { type MembershipEntry, TermSpans } from "./term-spans.ts";

export interface ContentModules {
  readonly files: FileSystem;
  readonly scheduler: Scheduler;
  readonly directory: string;
}

export interface EntriesOfSegments {
  readonly terms: readonly TermSpan[];
  readonly memberships: readonly MembershipEntry[];
  readonly membershipPlaces: readonly MembershipPlace[];
}

export interface ScannedSegment {
  readonly content: SegmentContent;
  readonly end: ScanEnd;
  /** All of its content. */
  readonly image: Uint8Array;
}

/** Reads the frames of a segment from its beginning, at most up to `limit`. */
export async function scanSegment(
  modules: ContentModules,
  { name, header }: FoundSegment,
  limit: number = header.segmentBytes,
): Promise<ScannedSegment> {
  const file = await openSegment(modules.files, join(modules.directory, name), OPEN_MODE.read);
  const image = await file.readAll().finally(() => file.close());
  const { sequence, groupMaxBytes, firstIndex, crc } = header;
  const identity = { sequence, groupMaxBytes, salt: logSalt(header.logId) };
  const content = new SegmentContent(header, image);
  const start = { firstIndex, crc, end: limit };
  const end = await scanFrames(modules.scheduler, image, identity, start, (frame) =>
    content.add(frame),
  );
  return { content, end, image };
}

/** Whether a segment ends where the one above says. */
export function isEndRight(end: ScanEnd, above: BelowLink): boolean {
  return end.offset === above.belowEnd && end.crc === above.belowCrc;
}

/**
 * A segment above which the previous term is the same as below it holds one term. Configurations form a chain: each
 * header names the segment with the newest one below. Everything else has to be read.
 */
export async function readEntries(
  modules: ContentModules,
  live: readonly FoundSegment[],
  newest: SegmentContent,
  mustCheckAll: boolean,
): Promise<EntriesOfSegments> {
  const read = new Map<number, SegmentContent>();
  const contentOf = async (position: number): Promise<SegmentContent> => {
    const known = read.get(position);
    if (known !== undefined) return known;
    const segment = live[position] as FoundSegment;
    const above = (live[position + 1] as FoundSegment).header;
    const { content, end } = await scanSegment(modules, segment, above.belowEnd);
    if (!isEndRight(end, above)) {
      const where = `${segment.name} at offset ${end.offset}`;
      throw damaged(where, `its frames must reach offset ${above.belowEnd}`);
    }
    read.set(position, content);
    return content;
  };
  if (mustCheckAll) for (let i = 0; i + 1 < live.length; i++) await contentOf(i);
  const terms = await readTerms(live, newest, contentOf);
  return { terms, ...(await readMemberships(live, newest, contentOf)) };
}

type ContentOf = (position: number) => Promise<SegmentContent>;

async function readTerms(
  live: readonly FoundSegment[],
  newest: SegmentContent,
  contentOf: ContentOf,
): Promise<readonly TermSpan[]> {
  const terms = new TermSpans();
  for (let i = 0; i + 1 < live.length; i++) {
    const { firstIndex, previousTerm } = (live[i] as FoundSegment).header;
    const above = (live[i + 1] as FoundSegment).header;
    if (previousTerm === above.previousTerm) {
      terms.add(firstIndex, previousTerm);
      continue;
    }
    for (const span of (await contentOf(i)).terms)
      if (span.firstIndex < above.firstIndex) terms.add(span.firstIndex, span.term);
  }
  for (const span of newest.terms) terms.add(span.firstIndex, span.term);
  return terms.spans;
}

async function readMemberships(
  live: readonly FoundSegment[],
  newest: SegmentContent,
  contentOf: ContentOf,
): Promise<Omit<EntriesOfSegments, "terms">> {
  const top = live.length - 1;
  const memberships = newest.memberships.slice();
  const sequences = memberships.map(() => (live[top] as FoundSegment).sequence);
  for (let position = top; ; ) {
    const { membershipSequence } = (live[position] as FoundSegment).header;
    const below = live.findIndex(({ sequence }) => sequence === membershipSequence);
    // Named by the header, but gone with the prefix.
    if (below < 0 || below >= position) break;
    position = below;
    const endIndex = (live[position + 1] as FoundSegment).header.firstIndex;
    const found = (await contentOf(position)).memberships.filter(({ index }) => index < endIndex);
    memberships.unshift(...found);
    sequences.unshift(...found.map(() => membershipSequence));
  }
  const membershipPlaces = memberships.map(({ index }, i) => ({
    index,
    sequence: sequences[i] as number,
  }));
  return { memberships, membershipPlaces };
}
