/**
 * A directory tree as a sorted list of keys: directories are entered in the order in which their keys come, one at a
 * time, and those that cannot hold a wanted key not at all.
 *
 * Links are neither files nor directories here and are passed over, as sockets and pipes are; so are the directory for
 * half-written objects and whatever vanishes meanwhile.
 */
import { type Dirent, promises as fs, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fromSystem } from "../errors.ts";
import { compareKeys } from "../keys.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import type { ObjectInfo } from "../types.ts";

/** Directory at the root for objects that are being written. Never part of a list. */
export const TEMPORARY_DIRECTORY = ".hearth-tmp";

export interface WalkOptions {
  readonly root: string;
  readonly prefix: string;
  readonly after: string;
  readonly signal: AbortSignal | undefined;
  /** Reads without leaving the thread. */
  readonly isBlocking: boolean;
}

/** Keys of files below the root, ascending. A root that does not exist is an empty bucket. */
export async function* walkKeys(options: WalkOptions): AsyncGenerator<string> {
  // Directories to read, the next one last; each with the key that its files begin with.
  const waiting: (string | { readonly directory: string })[] = [{ directory: "" }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    options.signal?.throwIfAborted();
    if (typeof next === "string") {
      yield next;
      continue;
    }
    const entries = await entriesOf(options, next.directory);
    for (let i = entries.length - 1; i >= 0; i--) {
      const { key, isDirectory } = entries[i] as Entry;
      if (isDirectory && mayHold(key, options)) waiting.push({ directory: key });
      if (!isDirectory && isWanted(key, options)) waiting.push(key);
    }
  }
}

interface Entry {
  /** Of a directory: with the slash that its keys go on with, which is what sorts it among the files. */
  readonly key: string;
  readonly isDirectory: boolean;
}

async function entriesOf(
  { root, isBlocking }: Pick<WalkOptions, "root" | "isBlocking">,
  directory: string,
): Promise<Entry[]> {
  let found: Dirent[];
  try {
    const path = join(root, directory);
    found = isBlocking
      ? readdirSync(path, { withFileTypes: true })
      : await fs.readdir(path, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || (code === "ENOTDIR" && directory !== "")) return [];
    throw fromSystem("list", join(root, directory), error);
  }
  if (found.length > STORAGE_LIMITS.directoryMaxCount) {
    const text = `it has more than ${STORAGE_LIMITS.directoryMaxCount} entries`;
    throw fromSystem("list", join(root, directory), text);
  }
  const entries: Entry[] = [];
  for (const entry of found) {
    if (directory === "" && entry.name === TEMPORARY_DIRECTORY) continue;
    const key = `${directory}${entry.name}`;
    if (entry.isDirectory()) entries.push({ key: `${key}/`, isDirectory: true });
    else if (entry.isFile()) entries.push({ key, isDirectory: false });
  }
  return entries.sort((a, b) => compareKeys(a.key, b.key));
}

function isWanted(key: string, { prefix, after }: WalkOptions): boolean {
  return key.startsWith(prefix) && (after === "" || compareKeys(key, after) > 0);
}

/** Whether a key that begins with `directory` can be wanted. */
function mayHold(directory: string, { prefix, after }: WalkOptions): boolean {
  const overlaps = directory.startsWith(prefix) || prefix.startsWith(directory);
  if (!overlaps) return false;
  return after === "" || after.startsWith(directory) || compareKeys(directory, after) > 0;
}

/** Size and time of a file; null when it is gone, or not a file any more. */
export async function infoOf(
  root: string,
  key: string,
  isBlocking: boolean,
): Promise<ObjectInfo | null> {
  try {
    const path = join(root, key);
    const found = isBlocking ? lstatSync(path) : await fs.lstat(path);
    if (!found.isFile()) return null;
    return { key, sizeBytes: found.size, modifiedAtMs: Math.floor(found.mtimeMs) };
  } catch (error) {
    if (isGone(error)) return null;
    throw fromSystem("look up", join(root, key), error);
  }
}

/** A part of the path is missing, or is a file. */
export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}
