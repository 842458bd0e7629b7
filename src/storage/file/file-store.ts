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
import { promises as fs } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { linkRefused, objectIncomplete, objectTooLarge } from "../errors.ts";
import { checkKey, checkPrefix } from "../keys.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import type { CallOptions, GetOptions, ListOptions, ObjectInfo, ObjectStore } from "../types.ts";
import { BlockingFiles, READ_FLAGS } from "./blocking.ts";
import { removeEmptyDirectories } from "./empty-directories.ts";
import type { FileOperation, FileValue, PageWanted } from "./messages.ts";
import { clippedRange, isGone, translated } from "./paths.ts";
import type { FileThreadLink } from "./thread-link.ts";
import { infoOf, pagesOf, TEMPORARY_DIRECTORY } from "./walk.ts";

/** Owner writes, group reads, as for everything else on disk. */
const FILE_MODE = 0o640;
/** A rival may remove an empty directory between its creation and the rename. */
const RENAME_ATTEMPTS = 5;
/** A list that is longer than this is bulk work: it and what is asked for meanwhile go to a thread. */
const SHORT_LIST_MAX = 64;

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
  readonly #blocking: BlockingFiles | null;
  #realRoot: string | null = null;
  #isSwept = false;
  /** Started by the first long list. */
  #thread: Promise<FileThreadLink> | null = null;
  /** Of long lists; every one has had a number of its own. */
  readonly #lists = { begun: 0, underWay: 0 };

  constructor(options: FileStoreOptions) {
    this.#root = resolve(options.directory);
    this.#blocking = options.isBlocking === true ? new BlockingFiles(this.#root) : null;
    this.name = `file:${this.#root}`;
  }

  async *list(options: ListOptions): AsyncGenerator<readonly ObjectInfo[]> {
    const { prefix, after = "", signal, removesEmpty = false } = options;
    checkPrefix(prefix);
    const wantedCount = options.pageMaxCount ?? STORAGE_LIMITS.pageMaxCount;
    const pageMaxCount = Math.min(Math.max(1, wantedCount), STORAGE_LIMITS.pageMaxCount);
    const isBlocking = this.#blocking !== null;
    const wanted = { root: this.#root, prefix, after, signal, isBlocking, removesEmpty };
    if (isBlocking) return yield* pagesOf({ ...wanted, pageMaxCount });
    const firstMaxCount = Math.min(pageMaxCount, SHORT_LIST_MAX);
    let last = after;
    let count = 0;
    for await (const page of pagesOf({ ...wanted, pageMaxCount: firstMaxCount })) {
      yield page;
      last = page.at(-1)?.key ?? last;
      count += page.length;
      if (count >= SHORT_LIST_MAX) break;
    }
    if (count >= SHORT_LIST_MAX)
      yield* this.#longList({ prefix, after: last, pageMaxCount, removesEmpty }, signal);
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    checkKey(key);
    const { range, maxBytes, signal } = options;
    signal?.throwIfAborted();
    if (this.#blocking !== null) return this.#blocking.get(key, options);
    if (this.#isBulk)
      return (await this.#ask({ kind: "get", key, range, maxBytes }, signal)) as Uint8Array | null;
    const path = join(this.#root, key);
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
    if (this.#isBulk) {
      await this.#ask({ kind: "delete", key }, options.signal);
      return;
    }
    const path = join(this.#root, key);
    try {
      if (!(await this.#isDirectlyBelow(path))) return;
      await fs.unlink(path);
    } catch (error) {
      if (!isGone(error)) throw translated("delete", path, error);
    }
    await removeEmptyDirectories(this.#root, [key]);
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    checkKey(key);
    options.signal?.throwIfAborted();
    if (this.#blocking !== null) return this.#blocking.head(key);
    if (this.#isBulk)
      return (await this.#ask({ kind: "head", key }, options.signal)) as ObjectInfo | null;
    const path = join(this.#root, key);
    try {
      if (!(await this.#isDirectlyBelow(path))) return null;
    } catch (error) {
      throw translated("look up", path, error);
    }
    return infoOf(this.#root, key);
  }

  async close(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    await (await thread)?.close();
  }

  get #isBulk(): boolean {
    return this.#lists.underWay > 0;
  }

  /** From a thread: on this one each object would cost a dozen hops to the pool that the log writes through. */
  async *#longList(
    wanted: PageWanted,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<readonly ObjectInfo[]> {
    const list = ++this.#lists.begun;
    this.#lists.underWay++;
    let { after } = wanted;
    try {
      for (;;) {
        const operation = { kind: "page", list, wanted: { ...wanted, after } } as const;
        const page = (await this.#ask(operation, signal)) as readonly ObjectInfo[];
        if (page.length === 0) return;
        after = page.at(-1)?.key ?? after;
        yield page;
      }
    } finally {
      this.#lists.underWay--;
      // Nobody waits for it, and a thread that is gone has forgotten it anyway.
      if (this.#thread !== null) this.#ask({ kind: "end", list }, undefined).catch(() => {});
    }
  }

  async #ask(operation: FileOperation, signal: AbortSignal | undefined): Promise<FileValue> {
    this.#thread ??= import("./thread-link.ts").then(
      ({ FileThreadLink: Link }) => new Link(this.#root),
    );
    return (await this.#thread).run(operation, signal);
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
    // Without its entry a power cut could take the directory away, with what was put into it and acknowledged.
    await syncDirectory(dirname(dirname(path)));
  }

  async #moveInto(temporary: string, path: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#makeDirectory(path);
        await fs.rename(temporary, path);
        break;
      } catch (error) {
        if (!isGone(error) || attempt === RENAME_ATTEMPTS) throw error;
      }
    }
    await syncDirectory(dirname(path));
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
  options: GetOptions,
): Promise<Uint8Array> {
  const { start, end } = clippedRange(key, sizeBytes, options);
  const length = end - start;
  const bytes = new Uint8Array(length);
  let filledBytes = 0;
  while (filledBytes < length) {
    options.signal?.throwIfAborted();
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
