/**
 * Shows a log to a person: every segment and frame in file order, with what is wrong. Reads only, repairs nothing,
 * and goes on behind damage as far as the files allow.
 */

import { join } from "node:path";
import { nextTurn, SYSTEM_SCHEDULER } from "../base/index.ts";
import { type FileSystem, NODE_FILES, OPEN_MODE, withFile } from "../files/index.ts";
import {
  decodeHardStateBody,
  FRAME_HEADER_BYTES,
  FRAME_KIND,
  type FrameHeader,
  holdsEntries,
  logSalt,
} from "./format.ts";
import { freeSequence, segmentSequence } from "./segment-names.ts";
import { openSegment } from "./segment-file.ts";
import type { SegmentHeader, SegmentOrigin } from "./segment-header.ts";
import { judgeTail, scanFrames } from "./segment-scan.ts";

/** One thing found in the log directory. */
export type LogRecord =
  | {
      readonly kind: "segment";
      readonly file: string;
      readonly sequence: number;
      readonly sizeBytes: number;
      readonly firstIndex: number;
      /** Term of the entry before `firstIndex`; 0: none. */
      readonly previousTerm: number;
      readonly origin: SegmentOrigin;
      readonly clusterId: string;
      readonly nodeId: string;
      readonly term: number;
      readonly vote: string;
      readonly abstains: boolean;
      /** Newest membership before this segment, 0: none. */
      readonly membershipIndex: number;
      readonly commitIndex: number;
      readonly belowSequence: number;
    }
  | { readonly kind: "spare"; readonly file: string; readonly sizeBytes: number }
  /** A former segment that waits to be written again. */
  | { readonly kind: "free"; readonly file: string; readonly sizeBytes: number }
  | {
      readonly kind: "entries" | "membership";
      readonly offset: number;
      readonly groupStart: number;
      readonly firstIndex: number;
      readonly count: number;
      readonly term: number;
      readonly appendedAtMs: number;
      readonly commitIndex: number;
      readonly bodyBytes: number;
    }
  | {
      readonly kind: "hardState";
      readonly offset: number;
      readonly groupStart: number;
      readonly term: number;
      readonly vote: string;
      readonly abstains: boolean;
    }
  | { readonly kind: "padding"; readonly offset: number; readonly bodyBytes: number }
  | {
      readonly kind: "end";
      readonly file: string;
      readonly offset: number;
      readonly lastIndex: number;
    }
  /** An unfinished write, which a start cuts. */
  | {
      readonly kind: "torn";
      readonly file: string;
      readonly offset: number;
      readonly sizeBytes: number;
    }
  /** What a start refuses. */
  | { readonly kind: "problem"; readonly file: string; readonly what: string };

export type LogVisitor = (record: LogRecord) => void;

/** Visits everything in the log of `directory`. Cost: reads all of it, one segment at a time. */
export async function inspectLog(
  directory: string,
  visit: LogVisitor,
  files: FileSystem = NODE_FILES,
): Promise<void> {
  for (const name of await files.list(directory)) {
    if (freeSequence(name) > 0) {
      const path = join(directory, name);
      const sizeBytes = await withFile(files, path, OPEN_MODE.read, (file) => file.sizeBytes());
      visit({ kind: "free", file: name, sizeBytes });
    }
    if (segmentSequence(name) === 0) continue;
    const file = await openSegment(files, join(directory, name), OPEN_MODE.read);
    const result = await file.readHeader();
    const image = await file.readAll();
    const sizeBytes = await file.disk.sizeBytes();
    await file.close();
    const found = { name, image, sizeBytes };
    if (result.kind === "ok") await inspectSegment(found, result.header, visit);
    else if (result.kind === "empty") inspectBlank(found, visit);
    else if (result.kind === "invalid")
      visit({ kind: "problem", file: name, what: "header has a wrong checksum" });
    else
      visit({ kind: "problem", file: name, what: `format version ${result.version} is unknown` });
    await nextTurn(SYSTEM_SCHEDULER);
  }
}

interface FoundFile {
  readonly name: string;
  readonly image: Uint8Array;
  /** Of the file. */
  readonly sizeBytes: number;
}

function inspectBlank({ name, image, sizeBytes }: FoundFile, visit: LogVisitor): void {
  const identity = { sequence: segmentSequence(name), salt: null, groupMaxBytes: image.length };
  const verdict = judgeTail(image, identity, 0);
  if (verdict.kind === "clean") visit({ kind: "spare", file: name, sizeBytes });
  else if (verdict.kind === "torn")
    visit({ kind: "torn", file: name, offset: 0, sizeBytes: verdict.end });
  else visit({ kind: "problem", file: name, what: `header is blank, but ${verdict.what}` });
}

async function inspectSegment(
  { name, image, sizeBytes }: FoundFile,
  header: SegmentHeader,
  visit: LogVisitor,
): Promise<void> {
  visit({
    kind: "segment",
    file: name,
    sequence: header.sequence,
    sizeBytes,
    firstIndex: header.firstIndex,
    previousTerm: header.previousTerm,
    origin: header.origin,
    ...header.owner,
    ...header.hardState,
    membershipIndex: header.membershipIndex,
    commitIndex: header.commitIndex,
    belowSequence: header.belowSequence,
  });
  const { sequence, groupMaxBytes } = header;
  const identity = { sequence, salt: logSalt(header.logId), groupMaxBytes };
  let lastIndex = header.firstIndex - 1;
  const end = await scanFrames(SYSTEM_SCHEDULER, image, identity, header, (frame) => {
    if (holdsEntries(frame.kind)) lastIndex = frame.firstIndex + frame.count - 1;
    visit(frameRecord(frame, image));
  });
  visit({ kind: "end", file: name, offset: end.offset, lastIndex });
  const verdict = judgeTail(image, identity, end.offset);
  if (verdict.kind === "torn") {
    const sizeBytes = verdict.end - end.offset;
    visit({ kind: "torn", file: name, offset: end.offset, sizeBytes });
  } else if (verdict.kind === "damaged") {
    const what = `damaged at offset ${verdict.offset}: ${verdict.what}`;
    visit({ kind: "problem", file: name, what });
  }
}

function frameRecord(frame: FrameHeader, image: Uint8Array): LogRecord {
  const { offset, groupStart, term, bodyBytes } = frame;
  if (frame.kind === FRAME_KIND.hardState) {
    const start = offset + FRAME_HEADER_BYTES;
    const hardState = decodeHardStateBody(term, image.subarray(start, start + bodyBytes));
    return { kind: "hardState", offset, groupStart, ...hardState };
  }
  if (frame.kind === FRAME_KIND.padding) return { kind: "padding", offset, bodyBytes };
  const { firstIndex, count, appendedAtMs, commitIndex } = frame;
  return {
    kind: frame.kind === FRAME_KIND.membership ? "membership" : "entries",
    offset,
    groupStart,
    firstIndex,
    count,
    term,
    appendedAtMs,
    commitIndex,
    bodyBytes,
  };
}

/** One line per record, for `hearth data inspect log`. */
export function formatLogRecord(record: LogRecord): string {
  switch (record.kind) {
    case "segment":
      return formatSegment(record);
    case "spare":
      return `${record.file}  spare, ${record.sizeBytes} bytes prepared`;
    case "free":
      return `${record.file}  former segment of ${record.sizeBytes} bytes, to be written again`;
    case "entries":
    case "membership": {
      const { offset, firstIndex, count, term, bodyBytes, appendedAtMs, commitIndex } = record;
      // Those of a founding, and of a leader that begins, carry no time.
      const at = appendedAtMs === 0 ? "-" : new Date(appendedAtMs).toISOString();
      const last = firstIndex + count - 1;
      const range = count === 1 ? `entry ${firstIndex}` : `entries ${firstIndex}-${last}`;
      const what = record.kind === "membership" ? `membership, ${range}` : range;
      return `  ${offset}  ${what}, term ${term}, ${bodyBytes} bytes, appended ${at}, commit ${commitIndex}`;
    }
    case "hardState":
      return `  ${record.offset}  hard state: ${formatHardState(record)}`;
    case "padding":
      return `  ${record.offset}  padding of ${record.bodyBytes} bytes`;
    case "end":
      return `  ${record.offset}  end of frames, last index ${record.lastIndex}`;
    case "torn":
      return `  ${record.offset}  unfinished write of ${record.sizeBytes} bytes; the next start cuts it`;
    case "problem":
      return `${record.file}  PROBLEM: ${record.what}`;
  }
}

function formatHardState(state: { term: number; vote: string; abstains: boolean }): string {
  const { term, vote, abstains } = state;
  const text = `term ${term}, vote for ${vote === "" ? "nobody" : vote}`;
  return abstains ? `${text}, ABSTAINS` : text;
}

const ORIGIN_TEXT: Readonly<Record<SegmentOrigin, string>> = {
  log: "",
  snapshot: ", begins behind a snapshot",
  damage: ", begins where damage was cut",
};

function formatSegment(record: LogRecord & { readonly kind: "segment" }): string {
  const { file, firstIndex, previousTerm, belowSequence, membershipIndex, origin } = record;
  const base = firstIndex === 1 ? "" : ` (term ${previousTerm} before it)`;
  const membership = membershipIndex === 0 ? "" : `, membership of ${membershipIndex}`;
  const owner = record.nodeId === "" ? "" : `, of node ${record.nodeId}`;
  const cluster = record.clusterId === "" ? "" : ` in cluster ${record.clusterId}`;
  const end = `above segment ${belowSequence}${membership}${ORIGIN_TEXT[origin]}${owner}${cluster}`;
  return `${file}  from index ${firstIndex}${base}, ${formatHardState(record)}, ${end}`;
}
