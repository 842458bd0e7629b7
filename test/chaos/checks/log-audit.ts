/**
 * The logs of stopped nodes, entry by entry, against the history: every attempt stands in the log at most once, every
 * acknowledged one where its answer said, no refused one at all, and all logs tell the same story.
 *
 * Sees what the index hides: an element that was proposed twice is one block all the same.
 */

import { join } from "node:path";
import { withFile } from "../../../src/files/index.ts";
import { FRAME_HEADER_BYTES } from "../../../src/log/format.ts";
import { inspectLog, NODE_FILES } from "../../../src/log/index.ts";
import { SegmentFile } from "../../../src/log/segment-file.ts";
import { segmentSequence } from "../../../src/log/segment-names.ts";
import {
  COMMAND,
  decodeBlock,
  iterateBlockBatch,
  iterateEntries,
} from "../../../src/protocol/index.ts";
import { describeWrite, OUTCOME, type Violation, type Write } from "../history.ts";
import { placeOfId } from "../load/keyspace.ts";

/** What one log holds, up to what it knew to be committed. */
export interface LoggedWrites {
  readonly serverId: string;
  /** Of entries that are still there; 0: none. */
  readonly firstIndex: number;
  /** Newest index that some frame calls committed. */
  readonly commitIndex: number;
  /** By index: the element that the entry adds, as "key/element". Other entries are left out. */
  readonly elements: ReadonlyMap<number, string>;
  readonly problems: readonly string[];
}

export function nameOf({
  key,
  element,
}: {
  readonly key: number;
  readonly element: number;
}): string {
  return `${key}/${element}`;
}

interface EntriesFrame {
  readonly file: string;
  readonly offset: number;
  readonly bodyBytes: number;
  readonly firstIndex: number;
  readonly count: number;
}

/** Reads the log of a node that does not run. */
export async function readLoggedWrites(serverId: string, directory: string): Promise<LoggedWrites> {
  const problems: string[] = [];
  const frames: EntriesFrame[] = [];
  let file = "";
  let commitIndex = 0;
  await inspectLog(directory, (record) => {
    if (record.kind === "problem") problems.push(`${record.file}: ${record.what}`);
    if (record.kind === "segment") file = record.file;
    if ("commitIndex" in record) commitIndex = Math.max(commitIndex, record.commitIndex);
    if (record.kind === "entries" || record.kind === "membership") frames.push({ file, ...record });
  });
  const elements = await elementsOf(frames, directory);
  const firstIndex = frames.reduce(
    (least, frame) => Math.min(least, frame.firstIndex),
    Number.POSITIVE_INFINITY,
  );
  return {
    serverId,
    firstIndex: Number.isFinite(firstIndex) ? firstIndex : 0,
    commitIndex,
    elements,
    problems,
  };
}

async function elementsOf(
  frames: readonly EntriesFrame[],
  directory: string,
): Promise<Map<number, string>> {
  const elements = new Map<number, string>();
  let lastIndex = 0;
  let image: Uint8Array = new Uint8Array(0);
  let file = "";
  for (const frame of frames) {
    if (frame.file !== file) {
      file = frame.file;
      const sequence = segmentSequence(file);
      image = await withFile(NODE_FILES, join(directory, file), "read", (disk) =>
        new SegmentFile(disk, sequence).readAll(),
      );
    }
    // A frame at or below an earlier one replaces it and everything above.
    for (let index = frame.firstIndex; index <= lastIndex; index++) elements.delete(index);
    lastIndex = frame.firstIndex + frame.count - 1;
    const start = frame.offset + FRAME_HEADER_BYTES;
    addElements(image.subarray(start, start + frame.bodyBytes), frame.firstIndex, elements);
  }
  return elements;
}

function addElements(body: Uint8Array, firstIndex: number, into: Map<number, string>): void {
  // Readers of blocks want them at a multiple of 8.
  const aligned = new Uint8Array(body);
  iterateEntries(aligned, aligned.length, (command, _version, payload, payloadBytes, position) => {
    if (command !== COMMAND.addBlocks) return;
    iterateBlockBatch(aligned, payload, payloadBytes, (offset, bytes) => {
      const place = placeOfId(decodeBlock(aligned, offset, bytes).id);
      if (place !== null) into.set(firstIndex + position, nameOf(place));
    });
  });
}

export interface AuditReport {
  readonly violations: readonly Violation[];
  /** Entries of writes that were looked at, all logs together. */
  readonly entries: number;
  /** Acknowledged writes that were found in at least one log at their index. */
  readonly found: number;
}

export function auditLogs(logs: readonly LoggedWrites[], writes: readonly Write[]): AuditReport {
  const violations: Violation[] = [];
  const report = (check: string, text: string): void => {
    violations.push({ check, text });
  };
  // What else stands in the logs, a fault's own programs may have repeated.
  const ours = new Set(writes.map(nameOf));
  const truth = new Map<number, string>();
  const indexOf = new Map<string, number>();
  let entries = 0;
  for (const { serverId, elements, commitIndex, problems } of logs) {
    for (const problem of problems) report("log-problem", `${serverId}: ${problem}`);
    for (const [index, name] of elements) {
      if (index > commitIndex) continue;
      entries += 1;
      const known = truth.get(index);
      if (known !== undefined && known !== name) {
        report("logs-differ", `index ${index}: ${known}, ${name} on ${serverId}`);
      }
      truth.set(index, name);
      if (!ours.has(name)) continue;
      const other = indexOf.get(name);
      if (other !== undefined && other !== index) {
        report(
          "applied-twice",
          `element ${name} stands at ${other} and, on ${serverId}, at ${index}`,
        );
      }
      indexOf.set(name, index);
    }
  }
  const found = checkWrites({ logs, writes, indexOf }, report);
  return { violations, entries, found };
}

interface Audited {
  readonly logs: readonly LoggedWrites[];
  readonly writes: readonly Write[];
  readonly indexOf: ReadonlyMap<string, number>;
}

/** Returns how many acknowledged writes were found. */
function checkWrites(
  { logs, writes, indexOf }: Audited,
  report: (check: string, text: string) => void,
): number {
  // Below the oldest entry that some log still holds, a snapshot stands in its place.
  const firstIndex = Math.min(...logs.map((log) => log.firstIndex).filter((index) => index > 0));
  const commitIndex = Math.max(0, ...logs.map((log) => log.commitIndex));
  let found = 0;
  for (const write of writes) {
    const index = indexOf.get(nameOf(write));
    if (write.outcome === OUTCOME.refused && index !== undefined) {
      report("refused-applied", `${describeWrite(write)} stands in the log at ${index}`);
    }
    if (write.outcome !== OUTCOME.acked) continue;
    if (index === write.logIndex) found += 1;
    else if (index !== undefined) {
      report("acked-elsewhere", `${describeWrite(write)} stands in the log at ${index}`);
    } else if (write.logIndex >= firstIndex && write.logIndex <= commitIndex) {
      report("lost", `${describeWrite(write)} is in no log`);
    }
  }
  return found;
}
