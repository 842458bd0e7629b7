/**
 * A directory tree as a sorted list of keys: directories are entered in the order in which their keys come, one at a
 * time, and those that cannot hold a wanted key not at all.
 *
 * Links are neither files nor directories here and are passed over, as sockets and pipes are; so are the directory for
 * half-written objects and whatever vanishes meanwhile.
 */
import { type Dirent, promises as fs, lstatSync, readdirSync, type Stats } from "node:fs";
import { join } from "node:path";
import { fromSystem } from "../errors.ts";
import { compareKeys } from "../keys.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import type { ObjectInfo } from "../types.ts";
import { isGone, pathOf } from "./paths.ts";

/** Directory at the root for objects that are being written. Never part of a list. */
export const TEMPORARY_DIRECTORY = ".hearth-tmp";

export interface WalkOptions {
  readonly root: string;
  readonly prefix: string;
  readonly after: string;
  readonly signal: AbortSignal | undefined;
  /** Reads without leaving the thread. */
  readonly isBlocking: boolean;
  /** See ListOptions. */
  readonly removesEmpty: boolean;
}

/** What is found below the root, in pages of keys, ascending; none is empty. */
export async function* pagesOf(
  options: WalkOptions & { readonly pageMaxCount: number },
): AsyncGenerator<readonly ObjectInfo[]> {
  let keys: string[] = [];
  for await (const key of walkKeys(options)) {
    if (keys.push(key) < options.pageMaxCount) continue;
    const page = await infosOf(options, keys);
    keys = [];
    if (page.length > 0) yield page;
  }
  const page = await infosOf(options, keys);
  if (page.length > 0) yield page;
}

async function infosOf(
  { root, isBlocking }: WalkOptions,
  keys: readonly string[],
): Promise<ObjectInfo[]> {
  const infos = isBlocking
    ? keys.map((key) => infoNow(root, key))
    : await Promise.all(keys.map((key) => infoOf(root, key)));
  return infos.filter((info) => info !== null);
}

/** Keys of files below the root, ascending. A root that does not exist is an empty bucket. */
async function* walkKeys(options: WalkOptions): AsyncGenerator<string> {
  // Directories to read, the next one last; each with the key that its files begin with.
  const waiting: (string | { readonly directory: string })[] = [{ directory: "" }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    options.signal?.throwIfAborted();
    if (typeof next === "string") {
      yield next;
      continue;
    }
    const entries = await entriesOf(options, next.directory);
    if (entries.length === 0 && options.removesEmpty)
      await removeLeftOver(join(options.root, next.directory));
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
export async function infoOf(root: string, key: string): Promise<ObjectInfo | null> {
  try {
    return infoFrom(key, await fs.lstat(pathOf(root, key)));
  } catch (error) {
    return goneOrFailed(root, key, error);
  }
}

/** The same, without leaving the thread. */
export function infoNow(root: string, key: string): ObjectInfo | null {
  try {
    return infoFrom(key, lstatSync(pathOf(root, key)));
  } catch (error) {
    return goneOrFailed(root, key, error);
  }
}

function infoFrom(key: string, found: Stats): ObjectInfo | null {
  if (!found.isFile()) return null;
  return { key, sizeBytes: found.size, modifiedAtMs: Math.floor(found.mtimeMs) };
}

function goneOrFailed(root: string, key: string, error: unknown): null {
  if (isGone(error)) return null;
  throw fromSystem("look up", join(root, key), error);
}

/**
 * A directory that a process left empty when it was killed between the object and its directory. Only one that nobody has
 * touched for long goes: whoever writes an object makes its directory a moment before. Removing is atomic and fails for
 * one that is not empty any more; a write that loses its directory nevertheless makes it again.
 */
async function removeLeftOver(path: string): Promise<void> {
  try {
    const { mtimeMs } = await fs.lstat(path);
    if (Date.now() - mtimeMs > STORAGE_LIMITS.emptyMinAgeMs) await fs.rmdir(path);
  } catch {
    // It holds something, is gone, or is not ours to remove: the list does not depend on it.
  }
}
