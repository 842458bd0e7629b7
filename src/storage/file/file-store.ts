/**
 * A bucket in a directory: an object is a file, the parts of its key are directories, as the file-system bucket of the
 * reference has it.
 *
 * - A write goes to a file of its own under `.hearth-tmp/`, is synced, and renamed into place: nobody ever sees half of it.
 * - Nothing is reached through links: the directory of an object has to be where its key says, and is compared with what
 *   the system makes of the path before the file is touched; the file itself is opened without following.
 * - Deleting takes directories that became empty along, or a drained queue would be listed for ever.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  promises as fs,
  readSync,
  realpathSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fromSystem, linkRefused, objectIncomplete, objectTooLarge } from "../errors.ts";
import { checkKey, checkPrefix } from "../keys.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import type {
  ByteRange,
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
} from "../types.ts";
import { infoOf, isGone, TEMPORARY_DIRECTORY, walkKeys } from "./walk.ts";

/** A link is not followed, a pipe not waited for. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Owner writes, group reads, as for everything else on disk. */
const FILE_MODE = 0o640;
/** A rival may remove an empty directory between its creation and the rename. */
const RENAME_ATTEMPTS = 5;

export interface FileStoreOptions {
  /** Created by the first write. */
  readonly directory: string;
  /**
   * Reads and lists without leaving the thread: a fraction of the cost, for a process that does nothing else meanwhile. A
   * mount that hangs holds the thread, so that no time limit can end the wait. Default: false.
   */
  readonly isBlocking?: boolean;
}

export class FileObjectStore implements ObjectStore {
  readonly name: string;
  readonly #root: string;
  readonly #isBlocking: boolean;
  #realRoot: string | null = null;
  #isSwept = false;

  constructor(options: FileStoreOptions) {
    this.#root = resolve(options.directory);
    this.#isBlocking = options.isBlocking ?? false;
    this.name = `file:${this.#root}`;
  }

  async *list(options: ListOptions): AsyncGenerator<readonly ObjectInfo[]> {
    const { prefix, after = "", signal } = options;
    checkPrefix(prefix);
    const wanted = options.pageMaxCount ?? STORAGE_LIMITS.pageMaxCount;
    const pageMaxCount = Math.min(Math.max(1, wanted), STORAGE_LIMITS.pageMaxCount);
    const walk = { root: this.#root, prefix, after, signal, isBlocking: this.#isBlocking };
    let keys: string[] = [];
    for await (const key of walkKeys(walk)) {
      if (keys.push(key) < pageMaxCount) continue;
      const page = await this.#infos(keys);
      keys = [];
      if (page.length > 0) yield page;
    }
    const page = await this.#infos(keys);
    if (page.length > 0) yield page;
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    checkKey(key);
    options.signal?.throwIfAborted();
    const path = join(this.#root, key);
    if (this.#isBlocking) return this.#getBlocking(key, path, options);
    try {
      if (!(await this.#isDirectlyBelow(path))) return null;
      const file = await fs.open(path, READ_FLAGS);
      try {
        const found = await file.stat();
        if (!found.isFile()) return null;
        return await readRange(file, { key, sizeBytes: found.size }, options);
      } finally {
        await file.close();
      }
    } catch (error) {
      if (isGone(error)) return null;
      throw translated("read", path, error);
    }
  }

  async put(key: string, bytes: Uint8Array, options: CallOptions = {}): Promise<void> {
    checkKey(key);
    options.signal?.throwIfAborted();
    if (bytes.length > STORAGE_LIMITS.putMaxBytes)
      throw objectTooLarge(key, bytes.length, STORAGE_LIMITS.putMaxBytes);
    const path = join(this.#root, key);
    const directory = join(this.#root, TEMPORARY_DIRECTORY);
    const temporary = join(directory, `${randomBytes(12).toString("hex")}.tmp`);
    try {
      await fs.mkdir(directory, { recursive: true });
      await this.#sweepTemporary(directory);
      await writeDurably(temporary, bytes);
      await this.#moveInto(temporary, path);
    } catch (error) {
      await fs.unlink(temporary).catch(() => {});
      throw translated("write", path, error);
    }
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    checkKey(key);
    options.signal?.throwIfAborted();
    const path = join(this.#root, key);
    try {
      if (!(await this.#isDirectlyBelow(path))) return;
      await fs.unlink(path);
    } catch (error) {
      if (!isGone(error)) throw translated("delete", path, error);
    }
    await this.#removeEmptyParents(dirname(path));
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    checkKey(key);
    options.signal?.throwIfAborted();
    const path = join(this.#root, key);
    try {
      if (!(await this.#isDirectlyBelow(path))) return null;
    } catch (error) {
      throw translated("look up", path, error);
    }
    return infoOf(this.#root, key, this.#isBlocking);
  }

  async close(): Promise<void> {}

  #getBlocking(key: string, path: string, options: GetOptions): Uint8Array | null {
    try {
      this.#realRoot ??= realpathSync.native(this.#root);
      const directory = dirname(path);
      const wanted = join(this.#realRoot, directory.slice(this.#root.length));
      if (realpathSync.native(directory) !== wanted) throw linkRefused(directory);
      const file = openSync(path, READ_FLAGS);
      try {
        const found = fstatSync(file);
        return found.isFile() ? readRangeBlocking(file, key, found.size, options) : null;
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if (isGone(error)) return null;
      throw translated("read", path, error);
    }
  }

  async #infos(keys: readonly string[]): Promise<ObjectInfo[]> {
    const infos = await Promise.all(keys.map((key) => infoOf(this.#root, key, this.#isBlocking)));
    return infos.filter((info) => info !== null);
  }

  /** False when the directory of `path` does not exist. Errors: it lies behind a link. */
  async #isDirectlyBelow(path: string): Promise<boolean> {
    const directory = dirname(path);
    try {
      // The root itself may be a link: it is the operator's.
      this.#realRoot ??= await fs.realpath(this.#root);
      const real = await fs.realpath(directory);
      if (real !== join(this.#realRoot, directory.slice(this.#root.length)))
        throw linkRefused(directory);
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  /** Makes the directory of `path`. What exists of it is looked at first: nothing may be made behind a link. */
  async #makeDirectory(path: string): Promise<void> {
    if (await this.#isDirectlyBelow(path)) return;
    if (dirname(path) !== this.#root) await this.#makeDirectory(dirname(path));
    await fs.mkdir(dirname(path), { recursive: true });
  }

  async #moveInto(temporary: string, path: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.#makeDirectory(path);
      try {
        await fs.rename(temporary, path);
        break;
      } catch (error) {
        if (!isGone(error) || attempt === RENAME_ATTEMPTS) throw error;
      }
    }
    await syncDirectory(dirname(path));
  }

  async #removeEmptyParents(first: string): Promise<void> {
    for (let level = first; level.length > this.#root.length; level = dirname(level)) {
      try {
        await fs.rmdir(level);
      } catch (error) {
        // Usually: not empty. The object is gone, and that is what was asked for.
        if (!isGone(error)) return;
      }
    }
  }

  /** What a crash left half-written, once per process. */
  async #sweepTemporary(directory: string): Promise<void> {
    if (this.#isSwept) return;
    this.#isSwept = true;
    for (const name of await fs.readdir(directory)) {
      const path = join(directory, name);
      const found = await fs.lstat(path).catch(() => null);
      const ageMs = found === null ? 0 : Date.now() - found.mtimeMs;
      if (ageMs > STORAGE_LIMITS.temporaryMaxAgeMs) await fs.unlink(path).catch(() => {});
    }
  }
}

async function readRange(
  file: fs.FileHandle,
  { key, sizeBytes }: { readonly key: string; readonly sizeBytes: number },
  { range, maxBytes = STORAGE_LIMITS.getMaxBytes, signal }: GetOptions,
): Promise<Uint8Array> {
  const { start, end } = clipped(range, sizeBytes);
  const length = end - start;
  if (length > maxBytes) throw objectTooLarge(key, length, maxBytes);
  const bytes = new Uint8Array(length);
  let filledBytes = 0;
  while (filledBytes < length) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(
      bytes,
      filledBytes,
      length - filledBytes,
      start + filledBytes,
    );
    if (bytesRead === 0) throw objectIncomplete(key, filledBytes, length);
    filledBytes += bytesRead;
  }
  return bytes;
}

function readRangeBlocking(
  file: number,
  key: string,
  sizeBytes: number,
  { range, maxBytes = STORAGE_LIMITS.getMaxBytes }: GetOptions,
): Uint8Array {
  const { start, end } = clipped(range, sizeBytes);
  const length = end - start;
  if (length > maxBytes) throw objectTooLarge(key, length, maxBytes);
  const bytes = new Uint8Array(length);
  let filledBytes = 0;
  while (filledBytes < length) {
    const at = start + filledBytes;
    const readBytes = readSync(file, bytes, filledBytes, length - filledBytes, at);
    if (readBytes === 0) throw objectIncomplete(key, filledBytes, length);
    filledBytes += readBytes;
  }
  return bytes;
}

function clipped(range: ByteRange | undefined, sizeBytes: number): ByteRange {
  if (range === undefined) return { start: 0, end: sizeBytes };
  const start = Math.min(Math.max(0, range.start), sizeBytes);
  return { start, end: Math.max(start, Math.min(range.end, sizeBytes)) };
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(path, "wx", FILE_MODE);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await fs.open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What is ours stays as it is, an aborted signal too. */
function translated(
  operation: "read" | "write" | "delete" | "look up",
  path: string,
  error: unknown,
): unknown {
  const isSystem =
    error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
  return isSystem ? fromSystem(operation, path, error) : error;
}
