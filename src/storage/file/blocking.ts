/**
 * Reading and deleting of files without leaving the thread: a fraction of the cost, for threads that do nothing else
 * meanwhile. A mount that hangs holds the thread.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  realpathSync,
  unlinkSync,
} from "node:fs";
import { linkRefused, objectIncomplete } from "../errors.ts";
import type { GetOptions, ObjectInfo } from "../types.ts";
import { clippedRange, directoryOf, isGone, pathOf, translated } from "./paths.ts";
import { infoNow } from "./walk.ts";

/** A link is not followed, a pipe not waited for. */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export class BlockingFiles {
  readonly #root: string;
  #realRoot: string | null = null;

  constructor(root: string) {
    this.#root = root;
  }

  /** The bytes, owned; null when there is no such file. */
  get(key: string, options: Pick<GetOptions, "range" | "maxBytes">): Uint8Array | null {
    const path = pathOf(this.#root, key);
    try {
      this.#checkDirectory(directoryOf(path));
      const file = openSync(path, READ_FLAGS);
      try {
        const found = fstatSync(file);
        return found.isFile() ? readFrom(file, key, clippedRange(key, found.size, options)) : null;
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if (isGone(error)) return null;
      throw translated("read", path, error);
    }
  }

  head(key: string): ObjectInfo | null {
    const path = pathOf(this.#root, key);
    try {
      this.#checkDirectory(directoryOf(path));
      return infoNow(this.#root, key);
    } catch (error) {
      if (isGone(error)) return null;
      throw translated("look up", path, error);
    }
  }

  /** Its directories stay, also when they are empty now: empty-directories.ts. */
  delete(key: string): void {
    const path = pathOf(this.#root, key);
    try {
      this.#checkDirectory(directoryOf(path));
      unlinkSync(path);
    } catch (error) {
      if (!isGone(error)) throw translated("delete", path, error);
    }
  }

  /** Errors: `storage_link`; ENOENT as the system says it. */
  #checkDirectory(directory: string): void {
    this.#realRoot ??= realpathSync.native(this.#root);
    const wanted = `${this.#realRoot}${directory.slice(this.#root.length)}`;
    if (realpathSync.native(directory) !== wanted) throw linkRefused(directory);
  }
}

function readFrom(
  file: number,
  key: string,
  { start, end }: { readonly start: number; readonly end: number },
): Uint8Array {
  const length = end - start;
  const bytes = new Uint8Array(length);
  let filledBytes = 0;
  while (filledBytes < length) {
    const readBytes = readSync(file, bytes, filledBytes, length - filledBytes, start + filledBytes);
    if (readBytes === 0) throw objectIncomplete(key, filledBytes, length);
    filledBytes += readBytes;
  }
  return bytes;
}
