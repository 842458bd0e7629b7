/**
 * The few file operations that log and snapshots need, as an interface: tests and the simulator put a disk in its place
 * that loses, tears and fails. Errors are the raw ones of the system; the owner translates them where it knows what
 * they mean.
 */

/** Result of a write: bytes written, fewer than asked for when the write was short. */
export type WriteDone = (error: Error | null, writtenBytes: number) => void;

export interface DiskFile {
  /**
   * Writes bytes[start, end) at `position`. Durable when it reports success, if the file was opened as durable.
   * The bytes are borrowed until `done` is called, which is after `write` has returned. With `inPlace` the caller may be made to
   * wait for the disk, and `done` may then be called before: with success only, an error is always told later.
   */
  write(
    bytes: Uint8Array,
    range: ByteRange,
    position: number,
    done: WriteDone,
    inPlace?: boolean,
  ): void;
  /**
   * Whether a write of these bytes may be asked for while another one of such bytes is under way: it begins when that one has
   * succeeded, and fails with it. Left out: never.
   */
  queues?(bytes: Uint8Array): boolean;
  /** Fills `target` from `position` on; returns fewer bytes only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  sizeBytes(): Promise<number>;
  close(): Promise<void>;
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export const OPEN_MODE = {
  /** Reading only. */
  read: "read",
  /** Reading, and writes that are durable when they report success (O_DSYNC). */
  durable: "durable",
  /** As `durable`, and the file is created; it must not exist. */
  create: "create",
} as const;
export type OpenMode = (typeof OPEN_MODE)[keyof typeof OPEN_MODE];

export interface FileSystem {
  /** Creates the directory and its parents, durably. Existing is success. */
  createDirectory(path: string): Promise<void>;
  /** Names in the directory, sorted. */
  list(directory: string): Promise<string[]>;
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Memory from which writes can be queued (`DiskFile.queues`), until `close`. Left out: there is none. */
  allocate?(bytes: number): Uint8Array;
  /** To be called by the owner when no write is under way; nothing is written afterwards. Left out: there is nothing to close. */
  close?(): Promise<void>;
  remove(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(directory: string): Promise<void>;
}

/** For owners of many directories. */
export interface FileTree extends FileSystem {
  /** An empty one. */
  removeDirectory(path: string): Promise<void>;
}

/** Writes all of bytes[start, end), however short the single writes are. `inPlace` as in `DiskFile.write`. */
export function writeFully(
  file: Pick<DiskFile, "write">,
  bytes: Uint8Array,
  range: ByteRange,
  position: number,
  done: (error: Error | null) => void,
  inPlace = false,
): void {
  const onWritten: WriteDone = (error, writtenBytes) => {
    if (error !== null) return done(error);
    const start = range.start + writtenBytes;
    if (start === range.end) return done(null);
    if (writtenBytes <= 0) return done(new Error("the disk accepted no bytes and gave no reason"));
    // What is short has not gone as it should: the rest is nothing to wait for in place, and an error in it comes later.
    writeFully(file, bytes, { start, end: range.end }, position + writtenBytes, done);
  };
  file.write(bytes, range, position, onWritten, inPlace);
}

/** `writeFully` as a promise, for everything that is not the append path. */
export function writeAll(
  file: Pick<DiskFile, "write">,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    writeFully(file, bytes, { start: 0, end: bytes.length }, position, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** The whole file, in `buffer` when that is large enough, else in memory of its own. */
export async function readWhole(
  file: DiskFile,
  buffer: Uint8Array | null = null,
): Promise<Uint8Array> {
  const sizeBytes = await file.sizeBytes();
  const target = buffer !== null && buffer.length >= sizeBytes ? buffer : new Uint8Array(sizeBytes);
  const readBytes = await file.read(target.subarray(0, sizeBytes), 0);
  return target.subarray(0, readBytes);
}

/** Runs `use` on the open file and closes it, also after an error. */
export async function withFile<T>(
  files: FileSystem,
  path: string,
  mode: OpenMode,
  use: (file: DiskFile) => Promise<T>,
): Promise<T> {
  const file = await files.open(path, mode);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** True for an error of the system that says: there is no such file. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "ENOENT";
}

const FULL_CODES: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** True when the disk, a quota or the largest file size is used up. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && FULL_CODES.has((error as NodeJS.ErrnoException).code);
}
