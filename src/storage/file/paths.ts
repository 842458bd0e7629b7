/** What both ways to the files of a directory share: which part is read, and errors of the system in our words. */
import { fromSystem, objectTooLarge } from "../errors.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import type { ByteRange, GetOptions } from "../types.ts";

/** Path of an object. Keys are in normal form, so that nothing is left for `join` to do, which costs as much as a read. */
export function pathOf(root: string, key: string): string {
  return root === "/" ? `/${key}` : `${root}/${key}`;
}

/** Directory of a path as `pathOf` makes them. */
export function directoryOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

/** What is read of an object of that size. Errors: `object_too_large`. */
export function clippedRange(
  key: string,
  sizeBytes: number,
  { range, maxBytes = STORAGE_LIMITS.getMaxBytes }: Pick<GetOptions, "range" | "maxBytes">,
): ByteRange {
  const start = range === undefined ? 0 : Math.min(Math.max(0, range.start), sizeBytes);
  const end = range === undefined ? sizeBytes : Math.max(start, Math.min(range.end, sizeBytes));
  if (end - start > maxBytes) throw objectTooLarge(key, end - start, maxBytes);
  return { start, end };
}

/** A part of the path is missing, or is a file. */
export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** What is ours stays as it is, an aborted signal too. */
export function translated(
  operation: "read" | "write" | "delete" | "look up",
  path: string,
  error: unknown,
): unknown {
  const isSystem =
    error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
  return isSystem ? fromSystem(operation, path, error) : error;
}
