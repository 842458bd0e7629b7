/**
 * A disk in memory with directories. It keeps a record of everything it was asked for, and is nothing but that record:
 * `crashed` builds the disk that a power cut at some point may leave, `killed` the one that the end of the process
 * leaves, where what was not durable still stands in the page cache and is not durable for a later power cut either.
 *
 * The model: a write is in flight from the call until its completion, and durable afterwards; of one in flight any
 * 512-byte sectors may be there. Changes of a directory are durable after the next sync of it; before, any of them
 * may be lost.
 */

import type {
  ByteRange,
  DiskFile,
  FileTree,
  OpenMode,
  WriteDone,
} from "../../../src/files/index.ts";

const SECTOR_BYTES = 512;

export type DiskOperation =
  | {
      readonly kind: "link";
      readonly directory: number;
      readonly name: string;
      readonly inode: number;
      readonly isDirectory: boolean;
    }
  | { readonly kind: "unlink"; readonly directory: number; readonly name: string }
  | {
      readonly kind: "rename";
      readonly directory: number;
      readonly from: string;
      readonly to: string;
    }
  | { readonly kind: "sync"; readonly directory: number }
  | {
      readonly kind: "write";
      readonly inode: number;
      readonly position: number;
      readonly bytes: Uint8Array;
    }
  /** The write at `operation` was reported as durable. */
  | { readonly kind: "written"; readonly operation: number }
  /** A promise was made to somebody outside at this point. */
  | { readonly kind: "promise"; readonly promise: unknown };

type Inode =
  | { readonly kind: "directory"; readonly entries: Map<string, number> }
  | { readonly kind: "file"; bytes: Uint8Array };

export interface CrashStyle {
  /** What becomes of what was not durable. */
  readonly unsynced: "kept" | "lost" | "prefix" | "random";
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export type Fault = "none" | "short" | Error;

export class TreeDisk implements FileTree {
  readonly operations: DiskOperation[] = [];
  readonly #inodes = new Map<number, Inode>([[0, { kind: "directory", entries: new Map() }]]);
  /** Decides about every change, by its number over the life of this object; reads have numbers of their own. */
  fault: (change: number, path: string) => Fault = () => "none";
  readFault: (read: number, path: string) => Error | null = () => null;
  changes = 0;
  reads = 0;
  openFiles = 0;
  #nextInode = 1;

  constructor(operations: readonly DiskOperation[] = []) {
    for (const operation of operations) this.#record(operation);
  }

  /** The disk after a power cut right after operations[0, count). Everything on it is durable. */
  static crashed(operations: readonly DiskOperation[], count: number, style: CrashStyle): TreeDisk {
    return new TreeDisk(imageOf(operations, count, style));
  }

  /** The disk after the end of the process right after operations[0, count). */
  static killed(operations: readonly DiskOperation[], count: number): TreeDisk {
    return new TreeDisk(operations.slice(0, count));
  }

  promise(promise: unknown): void {
    this.operations.push({ kind: "promise", promise });
  }

  async createDirectory(path: string): Promise<void> {
    this.#mayFail(path);
    const parts = path.split("/").filter((part) => part !== "");
    let directory = 0;
    for (const name of parts) {
      let inode = this.#directory(directory).get(name);
      if (inode === undefined) {
        inode = this.#nextInode;
        this.#record({ kind: "link", directory, name, inode, isDirectory: true });
        this.#record({ kind: "sync", directory });
      }
      directory = inode;
    }
  }

  async list(path: string): Promise<string[]> {
    this.#mayFailReading(path);
    return [...this.#directory(this.#find(path)).keys()].sort();
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    if (mode === "create") {
      this.#mayFail(path);
      const { directory, name } = this.#parent(path);
      if (this.#directory(directory).has(name)) throw errorOf("EEXIST", path);
      const inode = this.#nextInode;
      this.#record({ kind: "link", directory, name, inode, isDirectory: false });
    } else {
      this.#mayFailReading(path);
    }
    const inode = this.#find(path);
    this.openFiles++;
    return new TreeFile(this, inode, path);
  }

  async remove(path: string): Promise<void> {
    this.#mayFail(path);
    if (this.#inodes.get(this.#find(path))?.kind !== "file") throw errorOf("EISDIR", path);
    this.#record({ kind: "unlink", ...this.#parent(path) });
  }

  async removeDirectory(path: string): Promise<void> {
    this.#mayFail(path);
    if (this.#directory(this.#find(path)).size > 0) throw errorOf("ENOTEMPTY", path);
    this.#record({ kind: "unlink", ...this.#parent(path) });
  }

  async rename(from: string, to: string): Promise<void> {
    this.#mayFail(from);
    this.#find(from);
    const source = this.#parent(from);
    const target = this.#parent(to);
    if (source.directory !== target.directory) throw errorOf("EXDEV", to);
    const existing = this.#directory(target.directory).get(target.name);
    if (existing !== undefined && this.#directory(existing).size > 0) {
      throw errorOf("ENOTEMPTY", to);
    }
    const { directory } = source;
    this.#record({ kind: "rename", directory, from: source.name, to: target.name });
  }

  async syncDirectory(path: string): Promise<void> {
    this.#mayFail(path);
    this.#record({ kind: "sync", directory: this.#find(path) });
  }

  /** Live content, for tests that look at it or change it behind the back of the store. */
  bytesOf(path: string): Uint8Array {
    return this.bytesOfInode(this.#find(path));
  }

  replace(path: string, bytes: Uint8Array): void {
    const file = this.#inodes.get(this.#find(path));
    if (file?.kind !== "file") throw errorOf("EISDIR", path);
    file.bytes = bytes;
  }

  bytesOfInode(inode: number): Uint8Array {
    const file = this.#inodes.get(inode);
    if (file?.kind !== "file") throw errorOf("EISDIR", String(inode));
    return file.bytes;
  }

  readOf(inode: number, path: string): Uint8Array {
    this.#mayFailReading(path);
    return this.bytesOfInode(inode);
  }

  write(file: { inode: number; path: string }, bytes: Uint8Array, at: number, done: WriteDone) {
    const fault = this.fault(this.changes++, file.path);
    const { inode } = file;
    const kept = fault === "short" ? bytes.slice(0, Math.ceil(bytes.length / 2)) : bytes.slice();
    const operation = this.operations.length;
    // Also of a write that fails: the page cache has it, the platter perhaps.
    this.#record({ kind: "write", inode, position: at, bytes: kept });
    void Promise.resolve().then(() => {
      if (fault instanceof Error) return done(fault, 0);
      this.#record({ kind: "written", operation });
      done(null, kept.length);
    });
  }

  #record(operation: DiskOperation): void {
    this.operations.push(operation);
    if (operation.kind === "link") this.#nextInode = Math.max(this.#nextInode, operation.inode + 1);
    perform(this.#inodes, operation);
  }

  #mayFail(path: string): void {
    const fault = this.fault(this.changes++, path);
    if (fault instanceof Error) throw fault;
  }

  #mayFailReading(path: string): void {
    const error = this.readFault(this.reads++, path);
    if (error !== null) throw error;
  }

  #directory(inode: number): Map<string, number> {
    const found = this.#inodes.get(inode);
    if (found?.kind !== "directory") throw errorOf("ENOTDIR", String(inode));
    return found.entries;
  }

  #find(path: string): number {
    let inode = 0;
    for (const name of path.split("/").filter((part) => part !== "")) {
      const next = this.#directory(inode).get(name);
      if (next === undefined) throw errorOf("ENOENT", path);
      inode = next;
    }
    return inode;
  }

  #parent(path: string): { directory: number; name: string } {
    const parts = path.split("/").filter((part) => part !== "");
    const name = parts.pop() as string;
    return { directory: this.#find(parts.join("/")), name };
  }
}

class TreeFile implements DiskFile {
  readonly #disk: TreeDisk;
  readonly inode: number;
  readonly path: string;
  #isClosed = false;

  constructor(disk: TreeDisk, inode: number, path: string) {
    this.#disk = disk;
    this.inode = inode;
    this.path = path;
  }

  write(bytes: Uint8Array, range: ByteRange, position: number, done: WriteDone): void {
    this.#disk.write(this, bytes.subarray(range.start, range.end), position, done);
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const bytes = this.#disk.readOf(this.inode, this.path);
    const part = bytes.subarray(position, position + target.length);
    target.set(part);
    return part.length;
  }

  async sizeBytes(): Promise<number> {
    return this.#disk.bytesOfInode(this.inode).length;
  }

  async close(): Promise<void> {
    if (this.#isClosed) throw errorOf("EBADF", this.path);
    this.#isClosed = true;
    this.#disk.openFiles--;
  }
}

export function errorOf(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

function perform(inodes: Map<number, Inode>, operation: DiskOperation): void {
  if (operation.kind === "write") {
    const file = inodes.get(operation.inode);
    if (file?.kind === "file")
      file.bytes = written(file.bytes, operation.position, operation.bytes);
    return;
  }
  if (operation.kind !== "link" && operation.kind !== "unlink" && operation.kind !== "rename")
    return;
  const directory = inodes.get(operation.directory);
  if (directory?.kind !== "directory") return;
  if (operation.kind === "unlink") directory.entries.delete(operation.name);
  if (operation.kind === "link") {
    directory.entries.set(operation.name, operation.inode);
    if (inodes.has(operation.inode)) return;
    inodes.set(
      operation.inode,
      operation.isDirectory
        ? { kind: "directory", entries: new Map() }
        : { kind: "file", bytes: new Uint8Array(0) },
    );
  }
  if (operation.kind === "rename") {
    const inode = directory.entries.get(operation.from);
    // The creation was lost.
    if (inode === undefined) return;
    directory.entries.delete(operation.from);
    directory.entries.set(operation.to, inode);
  }
}

function written(file: Uint8Array, position: number, bytes: Uint8Array): Uint8Array {
  const target = new Uint8Array(Math.max(file.length, position + bytes.length));
  target.set(file);
  target.set(bytes, position);
  return target;
}

/** What is left, as a record in which everything is durable. */
function imageOf(
  operations: readonly DiskOperation[],
  count: number,
  style: CrashStyle,
): DiskOperation[] {
  const done = new Set<number>();
  const syncedAt = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const operation = operations[i] as DiskOperation;
    if (operation.kind === "written") done.add(operation.operation);
    if (operation.kind === "sync") syncedAt.set(operation.directory, i);
  }
  const border = Math.floor(style.random() * (count + 1));
  const isKept = (i: number): boolean =>
    style.unsynced === "kept" ||
    (style.unsynced === "prefix" && i < border) ||
    (style.unsynced === "random" && style.random() < 0.5);
  const inodes = new Map<number, Inode>([[0, { kind: "directory", entries: new Map() }]]);
  // Files and directories exist as soon as they were made; whether a name leads to them is the question.
  for (const operation of operations.slice(0, count)) {
    if (operation.kind !== "link") continue;
    perform(inodes, operation);
  }
  for (const inode of inodes.values()) if (inode.kind === "directory") inode.entries.clear();
  for (let i = 0; i < count; i++) {
    const operation = operations[i] as DiskOperation;
    if (operation.kind === "write") {
      if (done.has(i)) perform(inodes, operation);
      else tear(inodes, operation, () => isKept(i));
    } else if ("directory" in operation && operation.kind !== "sync") {
      if (i < (syncedAt.get(operation.directory) ?? -1) || isKept(i)) perform(inodes, operation);
    }
  }
  return recordOf(inodes);
}

/** Keeps some sectors of a write in flight. Sectors are aligned in the file, not in the write. */
function tear(
  inodes: Map<number, Inode>,
  write: DiskOperation & { readonly kind: "write" },
  isKept: () => boolean,
): void {
  const { inode, position, bytes } = write;
  const end = position + bytes.length;
  for (let start = position; start < end; ) {
    const stop = Math.min(end, (Math.floor(start / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (isKept()) {
      const part = bytes.subarray(start - position, stop - position);
      perform(inodes, { kind: "write", inode, position: start, bytes: part });
    }
    start = stop;
  }
}

function recordOf(inodes: ReadonlyMap<number, Inode>): DiskOperation[] {
  const record: DiskOperation[] = [];
  const visit = (directory: number): void => {
    const found = inodes.get(directory);
    if (found?.kind !== "directory") return;
    for (const [name, inode] of found.entries) {
      const child = inodes.get(inode) as Inode;
      const isDirectory = child.kind === "directory";
      record.push({ kind: "link", directory, name, inode, isDirectory });
      if (child.kind === "file") {
        record.push({ kind: "write", inode, position: 0, bytes: child.bytes });
        record.push({ kind: "written", operation: record.length - 1 });
      } else {
        visit(inode);
      }
    }
    record.push({ kind: "sync", directory });
  };
  visit(0);
  return record;
}
