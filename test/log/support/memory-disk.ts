/**
 * A disk in memory that records what it was asked for and can fail on demand. From the record, `imageAfterCrash`
 * builds the files as a crash may leave them: what was synced is there; what was in flight is kept, lost or torn.
 *
 * The model: a write to a durable file is in flight from the call until its completion and durable afterwards; the
 * completion comes in a later turn. Directory changes are durable after the next sync of the directory.
 */

import { basename } from "node:path";
import type {
  ByteRange,
  DiskFile,
  FileSystem,
  OpenMode,
  WriteDone,
} from "../../../src/files/index.ts";
import { WriteLines } from "../../support/write-lines.ts";

export const SECTOR_BYTES = 512;

export type DiskOperation =
  | { readonly kind: "create"; readonly name: string }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "syncDirectory" }
  | {
      readonly kind: "write";
      readonly name: string;
      readonly position: number;
      readonly bytes: Uint8Array;
    }
  /** The write at `operation` has been reported as durable. */
  | { readonly kind: "written"; readonly operation: number }
  /** A promise was made to somebody outside at this point. */
  | { readonly kind: "promise"; readonly value: number }
  /** What the owner of the disk is doing: something of this kind begins or ends. */
  | { readonly kind: "begin" | "end"; readonly what: string };

interface Write {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly position: number;
  readonly done: WriteDone;
}

/** What to do with a write: nothing, or fail it, or cut it short. */
export type WriteFault = "none" | "error" | "short" | "hold";

export class MemoryDisk implements FileSystem {
  readonly files = new Map<string, Uint8Array>();
  readonly operations: DiskOperation[] = [];
  /** Durable writes completed. */
  syncs = 0;
  openFiles = 0;
  /** Decides about the n-th write, counted from 0 over the life of the disk. */
  fault: (write: number, name: string) => WriteFault = () => "none";
  /** Completions of writes that were held. */
  readonly held: (() => void)[] = [];
  /** Whether a write may be asked for while one of the same file is under way. */
  queuesWrites = false;
  readonly #lines = new WriteLines<string>();
  #writes = 0;

  constructor(files: ReadonlyMap<string, Uint8Array> = new Map()) {
    for (const [name, bytes] of files) this.files.set(name, bytes.slice());
  }

  async createDirectory(): Promise<void> {}

  async list(): Promise<string[]> {
    return [...this.files.keys()].sort();
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const name = basename(path);
    if (mode === "create") {
      if (this.files.has(name)) throw new Error(`EEXIST: ${name}`);
      this.files.set(name, new Uint8Array(0));
      this.operations.push({ kind: "create", name });
    }
    if (!this.files.has(name)) throw new Error(`ENOENT: ${name}`);
    this.openFiles += 1;
    return new MemoryFile(this, name);
  }

  async remove(path: string): Promise<void> {
    const name = basename(path);
    if (!this.files.delete(name)) throw new Error(`ENOENT: ${name}`);
    this.operations.push({ kind: "remove", name });
  }

  async rename(fromPath: string, toPath: string): Promise<void> {
    const [from, to] = [basename(fromPath), basename(toPath)];
    const bytes = this.files.get(from);
    if (bytes === undefined) throw new Error(`ENOENT: ${from}`);
    this.files.delete(from);
    this.files.set(to, bytes);
    this.operations.push({ kind: "rename", from, to });
  }

  async syncDirectory(): Promise<void> {
    this.operations.push({ kind: "syncDirectory" });
  }

  promise(value: number): void {
    this.operations.push({ kind: "promise", value });
  }

  begin(what: string): void {
    this.operations.push({ kind: "begin", what });
  }

  end(what: string): void {
    this.operations.push({ kind: "end", what });
  }

  write(write: Write, inPlace: boolean): void {
    if (!this.queuesWrites) return this.#begin(write, inPlace);
    this.#lines.add(write.name, {
      begin: () => this.#begin(write, inPlace),
      fail: (error) => write.done(error, 0),
    });
  }

  #begin({ name, bytes, position, done }: Write, inPlace: boolean): void {
    const fault = this.fault(this.#writes, name);
    this.#writes += 1;
    const kept = fault === "short" ? bytes.slice(0, Math.ceil(bytes.length / 2)) : bytes.slice();
    const operation = this.operations.push({ kind: "write", name, position, bytes: kept }) - 1;
    const end = (error: Error | null): void => {
      if (this.queuesWrites) this.#lines.ended(name, error);
    };
    const complete = (): void => {
      if (fault === "error") {
        const error = new Error("EIO: i/o error");
        done(error, 0);
        return end(error);
      }
      const file = this.files.get(name);
      if (file !== undefined) this.files.set(name, written(file, position, kept));
      this.operations.push({ kind: "written", operation });
      this.syncs += 1;
      end(null);
      done(null, kept.length);
    };
    if (fault === "hold") this.held.push(complete);
    else if (inPlace && fault !== "error") complete();
    else setImmediate(complete);
  }
}

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk;
  readonly #name: string;

  constructor(disk: MemoryDisk, name: string) {
    this.#disk = disk;
    this.#name = name;
  }

  write(
    bytes: Uint8Array,
    range: ByteRange,
    position: number,
    done: WriteDone,
    inPlace = false,
  ): void {
    const part = bytes.subarray(range.start, range.end);
    this.#disk.write({ name: this.#name, bytes: part, position, done }, inPlace);
  }

  queues(): boolean {
    return this.#disk.queuesWrites;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const part = this.#bytes().subarray(position, position + target.length);
    target.set(part);
    return part.length;
  }

  async sizeBytes(): Promise<number> {
    return this.#bytes().length;
  }

  async close(): Promise<void> {
    this.#disk.openFiles -= 1;
  }

  #bytes(): Uint8Array {
    const bytes = this.#disk.files.get(this.#name);
    if (bytes === undefined) throw new Error(`ENOENT: ${this.#name}`);
    return bytes;
  }
}

function written(file: Uint8Array, position: number, bytes: Uint8Array): Uint8Array {
  const end = position + bytes.length;
  let target = file;
  if (end > file.length) {
    target = new Uint8Array(end);
    target.set(file);
  }
  target.set(bytes, position);
  return target;
}

/** What a crash does to the write in flight; `choose` is asked per sector by "sectors" and per change by directories. */
export interface CrashStyle {
  readonly inFlight: "kept" | "lost" | "prefix" | "suffix" | "sectors";
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** The files as they may be found when everything stops right after `operations[0, count)`. */
export function imageAfterCrash(
  initial: ReadonlyMap<string, Uint8Array>,
  operations: readonly DiskOperation[],
  count: number,
  style: CrashStyle,
): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const [name, bytes] of initial) files.set(name, bytes.slice());
  const done = new Set<number>();
  let synced = -1;
  for (let i = 0; i < count; i++) {
    const operation = operations[i] as DiskOperation;
    if (operation.kind === "written") done.add(operation.operation);
    if (operation.kind === "syncDirectory") synced = i;
  }
  for (let i = 0; i < count; i++) {
    const operation = operations[i] as DiskOperation;
    const isKept =
      i < synced ||
      style.inFlight === "kept" ||
      (style.inFlight !== "lost" && style.random() < 0.5);
    if (operation.kind === "create" && isKept) files.set(operation.name, new Uint8Array(0));
    if (operation.kind === "remove" && isKept) files.delete(operation.name);
    if (operation.kind === "rename" && isKept) moved(files, operation.from, operation.to);
    if (operation.kind !== "write") continue;
    const file = files.get(operation.name);
    if (file === undefined) continue;
    if (done.has(i)) files.set(operation.name, written(file, operation.position, operation.bytes));
    else tear(files, operation, style);
  }
  return files;
}

function moved(files: Map<string, Uint8Array>, from: string, to: string): void {
  const bytes = files.get(from);
  if (bytes === undefined) return;
  files.delete(from);
  files.set(to, bytes);
}

type WriteOperation = DiskOperation & { readonly kind: "write" };

/** Keeps some sectors of a write in flight. Sectors are aligned in the file, not in the write. */
function tear(files: Map<string, Uint8Array>, write: WriteOperation, style: CrashStyle): void {
  const { name, position, bytes } = write;
  const end = position + bytes.length;
  const firstSector = Math.floor(position / SECTOR_BYTES);
  const sectorCount = Math.ceil(end / SECTOR_BYTES) - firstSector;
  const border = Math.floor(style.random() * (sectorCount + 1));
  for (let i = 0; i < sectorCount; i++) {
    const isKept =
      style.inFlight === "kept" ||
      (style.inFlight === "prefix" && i < border) ||
      (style.inFlight === "suffix" && i >= border) ||
      (style.inFlight === "sectors" && style.random() < 0.5);
    if (!isKept) continue;
    const start = Math.max(position, (firstSector + i) * SECTOR_BYTES);
    const stop = Math.min(end, (firstSector + i + 1) * SECTOR_BYTES);
    const file = files.get(name) as Uint8Array;
    files.set(name, written(file, start, bytes.subarray(start - position, stop - position)));
  }
}
