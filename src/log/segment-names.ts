/** Names of the files in the log directory. */

import { basename, join } from "node:path";

const NAME = /^(\d{10})\.log$/;
const FREE_NAME = /^free-(\d{10})\.bin$/;

/** File name of a segment. Names sort by sequence; the index range is in the header, so a spare needs no rename. */
export function segmentPath(directory: string, sequence: number): string {
  return join(directory, `${String(sequence).padStart(10, "0")}.log`);
}

/** Sequence of a segment file name, or 0 for any other file. */
export function segmentSequence(name: string): number {
  return sequenceIn(NAME, name);
}

/** Where the file of a segment waits that is not needed any more: to become another one, of a higher sequence. */
export function freePath(directory: string, sequence: number): string {
  return join(directory, `free-${String(sequence).padStart(10, "0")}.bin`);
}

/** Sequence that such a file had as a segment, or 0 for any other file. */
export function freeSequence(name: string): number {
  return sequenceIn(FREE_NAME, name);
}

function sequenceIn(pattern: RegExp, name: string): number {
  const match = pattern.exec(basename(name));
  return match === null ? 0 : Number(match[1]);
}
