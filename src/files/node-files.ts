/** The real disk: Node's fs, with O_DSYNC for everything durable. */

import { close, constants, fstat, open, read, write, writeSync } from "node:fs";
import { mkdir, open as openHandle, readdir, rename, rmdir, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import type { ByteRange, DiskFile, FileTree, OpenMode, WriteDone } from "./files.ts";
import type { WriterHandle } from "./writer-handle.ts";

const openAsync = promisify(open);
const closeAsync = promisify(close);
const fstatAsync = promisify(fstat);

/** Owner and group may read; nobody else needs the metadata. */
const FILE_MODE = 0o640;

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  durable: constants.O_RDWR | constants.O_DSYNC,
  create: constants.O_RDWR | constants.O_DSYNC | constants.O_CREAT | constants.O_EXCL,
};

/** Callbacks instead of FileHandle, for the append path: a promise per write costs more than the call itself. */
class NodeFile implements DiskFile {
  readonly #fd: number;
  /** Makes the writes from its memory. */
  readonly #thread: WriterHandle | null;

  constructor(fd: number, thread: WriterHandle | null) {
    this.#fd = fd;
    this.#thread = thread;
  }

  queues(bytes: Uint8Array): boolean {
    return this.#thread?.canWrite(bytes) === true;
  }

  write(
    bytes: Uint8Array,
    range: ByteRange,
    position: number,
    done: WriteDone,
    inPlace = false,
  ): void {
    const length = range.end - range.start;
    if (!inPlace) {
      const thread = this.#thread;
      if (thread?.canWrite(bytes) === true) thread.write(this.#fd, bytes, range, position, done);
      else write(this.#fd, bytes, range.start, length, position, done);
      return;
    }
    let writtenBytes: number;
    try {
      writtenBytes = writeSync(this.#fd, bytes, range.start, length, position);
    } catch (error) {
      setImmediate(done, error as Error, 0);
      return;
    }
    done(null, writtenBytes);
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const readFrom = (filledBytes: number): void => {
        const length = target.length - filledBytes;
        if (length === 0) return resolve(filledBytes);
        read(this.#fd, target, filledBytes, length, position + filledBytes, (error, readBytes) => {
          if (error !== null) reject(error);
          else if (readBytes === 0) resolve(filledBytes);
          else readFrom(filledBytes + readBytes);
        });
      };
      readFrom(0);
    });
  }

  async sizeBytes(): Promise<number> {
    return (await fstatAsync(this.#fd)).size;
  }

  close(): Promise<void> {
    return closeAsync(this.#fd);
  }
}

/** `thread`: for the writes from its memory; null: none. */
export async function openNodeFile(
  path: string,
  mode: OpenMode,
  thread: WriterHandle | null,
): Promise<DiskFile> {
  return new NodeFile(await openAsync(path, FLAGS[mode], FILE_MODE), thread);
}

export const NODE_FILES: FileTree = {
  async createDirectory(path: string): Promise<void> {
    const created = await mkdir(path, { recursive: true });
    if (created === undefined) return;
    // Every new level is an entry in its parent; unsynced, a power cut could take everything away.
    for (let level = path; level.length >= created.length; level = dirname(level)) {
      await NODE_FILES.syncDirectory(dirname(level));
    }
  },
  async list(directory: string): Promise<string[]> {
    return (await readdir(directory)).sort();
  },
  open: (path: string, mode: OpenMode): Promise<DiskFile> => openNodeFile(path, mode, null),
  remove: unlink,
  removeDirectory: rmdir,
  rename,
  async syncDirectory(directory: string): Promise<void> {
    const handle = await openHandle(directory, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};
