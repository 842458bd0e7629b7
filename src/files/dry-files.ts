/**
 * A file system on which everything that is written stays in memory: for tools that try first what they would do. Reads
 * see the disk below with what was "written" over it; the disk itself is never touched.
 */

import { basename, dirname, join } from "node:path";
import {
  type ByteRange,
  type DiskFile,
  type FileSystem,
  OPEN_MODE,
  type OpenMode,
  readWhole,
  type WriteDone,
} from "./files.ts";

/** Cost: a file that is written to is in memory as a whole. */
export class DryFiles implements FileSystem {
  readonly #below: FileSystem;
  /** Content of files that were written to, made or renamed here; null: removed. */
  readonly #changed = new Map<string, Content | null>();

  constructor(below: FileSystem) {
    this.#below = below;
  }

  async createDirectory(): Promise<void> {}

  async syncDirectory(): Promise<void> {}

  async list(directory: string): Promise<string[]> {
    const names = new Set(await this.#below.list(directory));
    for (const [path, content] of this.#changed) {
      if (dirname(path) !== dirname(join(directory, "x"))) continue;
      if (content === null) names.delete(basename(path));
      else names.add(basename(path));
    }
    return [...names].sort();
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const changed = this.#changed.get(path);
    if (mode === OPEN_MODE.create) {
      if (await this.#exists(path)) throw systemError("EEXIST", path);
      const content = new Content(new Uint8Array(0));
      this.#changed.set(path, content);
      return new DryFile(content);
    }
    if (changed === null) throw systemError("ENOENT", path);
    if (changed !== undefined) return new DryFile(changed);
    if (mode === OPEN_MODE.read) return this.#below.open(path, mode);
    const content = new Content(await this.#read(path));
    this.#changed.set(path, content);
    return new DryFile(content);
  }

  async remove(path: string): Promise<void> {
    if (!(await this.#exists(path))) throw systemError("ENOENT", path);
    this.#changed.set(path, null);
  }

  async rename(from: string, to: string): Promise<void> {
    const content = this.#changed.get(from) ?? new Content(await this.#read(from));
    this.#changed.set(from, null);
    this.#changed.set(to, content);
  }

  async #exists(path: string): Promise<boolean> {
    const changed = this.#changed.get(path);
    if (changed !== undefined) return changed !== null;
    return (await this.#below.list(dirname(path))).includes(basename(path));
  }

  async #read(path: string): Promise<Uint8Array> {
    const file = await this.#below.open(path, OPEN_MODE.read);
    try {
      return await readWhole(file);
    } finally {
      await file.close();
    }
  }
}

/** Bytes that every open file of one path shares; the spare room behind `sizeBytes` is zeros. */
class Content {
  bytes: Uint8Array;
  sizeBytes: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.sizeBytes = bytes.length;
  }

  put(source: Uint8Array, position: number): void {
    const end = position + source.length;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.bytes.set(source, position);
    this.sizeBytes = Math.max(this.sizeBytes, end);
  }
}

class DryFile implements DiskFile {
  readonly #content: Content;

  constructor(content: Content) {
    this.#content = content;
  }

  write(bytes: Uint8Array, { start, end }: ByteRange, position: number, done: WriteDone): void {
    this.#content.put(bytes.subarray(start, end), position);
    setImmediate(done, null, end - start);
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const { bytes, sizeBytes } = this.#content;
    const found = bytes.subarray(position, Math.min(sizeBytes, position + target.length));
    target.set(found);
    return found.length;
  }

  async sizeBytes(): Promise<number> {
    return this.#content.sizeBytes;
  }

  async close(): Promise<void> {}
}

function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
