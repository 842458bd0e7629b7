/** What LMDB says of a commit that failed, in words that help. */

import { statfsSync } from "node:fs";
import { isHearthError } from "../base/index.ts";

/** A commit writes more than that. */
const FULL_BELOW_BYTES = 1024 * 1024;

/** LMDB calls a page that was written in part an i/o error, also when there was only no room for the rest. */
export function explainWriteError(
  error: unknown,
  directory: string,
  freeBytesOf: (directory: string) => number = freeBytes,
): unknown {
  if (!(error instanceof Error) || isHearthError(error)) return error;
  if (freeBytesOf(directory) >= FULL_BELOW_BYTES) return error;
  return new Error(`the disk of ${directory} is full (${error.message})`, { cause: error });
}

function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    // Then the error itself has to do.
    return Number.POSITIVE_INFINITY;
  }
}
