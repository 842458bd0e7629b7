/** The disk of a machine as one of its processes sees it. */

import type { ByteRange, FileSystem, LogFile, OpenMode, WriteDone } from "../../src/log/index.ts";
import type { SnapshotFileSystem } from "../../src/snapshot/index.ts";
import type { OpenedFile, SimDisk } from "./disk.ts";
import type { Life } from "./event-loop.ts";
import type { StoredFile } from "./stored-file.ts";

/** What a process has asked for dies with it. */
export class DiskFiles implements FileSystem, SnapshotFileSystem {
  readonly #disk: SimDisk;
  readonly #life: Life;

  constructor(disk: SimDisk, life: Life) {
    this.#disk = disk;
    this.#life = life;
  }

  createDirectory(path: string): Promise<void> {
    return this.#do(() => this.#disk.createDirectory(path));
  }

  removeDirectory(path: string): Promise<void> {
    return this.#do(() => this.#disk.removeDirectory(path));
  }

  list(directory: string): Promise<string[]> {
    return this.#do(() => this.#disk.list(directory));
  }

  open(path: string, mode: OpenMode): Promise<LogFile> {
    return this.#do(() => new OpenFile(this.#disk, this.#life, this.#disk.openFile(path, mode)));
  }

  remove(path: string): Promise<void> {
    return this.#do(() => this.#disk.remove(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do(() => this.#disk.rename(from, to));
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#do(() => this.#disk.syncDirectory(directory));
  }

  #do<T>(act: () => T): Promise<T> {
    return operation(this.#disk, this.#life, act);
  }
}

class OpenFile implements LogFile, OpenedFile {
  readonly #disk: SimDisk;
  readonly life: Life;
  readonly file: StoredFile;

  constructor(disk: SimDisk, life: Life, file: StoredFile) {
    this.#disk = disk;
    this.life = life;
    this.file = file;
  }

  write(
    bytes: Uint8Array,
    range: ByteRange,
    position: number,
    done: WriteDone,
    inPlace = false,
  ): void {
    // Borrowed until `done`, but a crash decides about the bytes of this moment.
    const copy = bytes.slice(range.start, range.end);
    this.#disk.write(this, position, copy, done, inPlace);
  }

  queues(): boolean {
    return this.#disk.queues();
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return operation(this.#disk, this.life, () => {
      const part = this.file.cache.subarray(position, position + target.length);
      target.set(part);
      return part.length;
    });
  }

  sizeBytes(): Promise<number> {
    return operation(this.#disk, this.life, () => this.file.cache.length);
  }

  close(): Promise<void> {
    return operation(this.#disk, this.life, () => {});
  }
}

/** A promise that is settled when the disk gets to it, and never after the process has died. */
function operation<T>(disk: SimDisk, life: Life, act: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    disk.complete(life, () => {
      try {
        resolve(act());
      } catch (error) {
        reject(error);
      }
    });
  });
}
