/** The real disk, which stands still or fails when it is told to. */

import type {
  ByteRange,
  DiskFile,
  FileTree,
  OpenMode,
  WriteDone,
} from "../../../src/files/index.ts";

export class FaultyDisk implements FileTree {
  readonly #real: FileTree;
  #isStalled = false;
  #isFailing = false;
  #isFull = false;
  /** What waits for the disk to move again, in order. */
  #waiting: (() => void)[] = [];

  constructor(real: FileTree) {
    this.#real = real;
  }

  /** Nothing durable ends while the disk is stalled; then everything goes on where it stood. */
  stall(isStalled: boolean): void {
    this.#isStalled = isStalled;
    if (isStalled) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const goOn of waiting) goOn();
  }

  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** From now on every write fails as a broken disk fails it. */
  fail(): void {
    this.#isFailing = true;
  }

  /** Files that are there may be written; none becomes longer, until there is room again. */
  fill(isFull: boolean): void {
    this.#isFull = isFull;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    await this.#move();
    const file = await this.#real.open(path, mode);
    return new FaultyFile(file, this, await file.sizeBytes());
  }

  allocate(bytes: number): Uint8Array {
    return this.#real.allocate?.(bytes) ?? new Uint8Array(bytes);
  }

  async close(): Promise<void> {
    await this.#real.close?.();
  }

  async createDirectory(path: string): Promise<void> {
    await this.#move();
    return this.#real.createDirectory(path);
  }

  list(directory: string): Promise<string[]> {
    return this.#real.list(directory);
  }

  async remove(path: string): Promise<void> {
    await this.#move();
    return this.#real.remove(path);
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#move();
    return this.#real.removeDirectory(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#move();
    return this.#real.rename(from, to);
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#move();
    return this.#real.syncDirectory(directory);
  }

  /** Runs `work` at once, or when the disk moves again. */
  whenMoving(work: () => void): void {
    if (this.#isStalled) this.#waiting.push(work);
    else work();
  }

  /** The error that a write ends with; null: it is done. */
  get failure(): Error | null {
    if (!this.#isFailing) return null;
    return Object.assign(new Error("EIO: i/o error, write"), { code: "EIO", errno: -5 });
  }

  #move(): Promise<void> {
    return new Promise((resolve) => this.whenMoving(resolve));
  }
}

class FaultyFile implements DiskFile {
  readonly #real: DiskFile;
  readonly #disk: FaultyDisk;
  #sizeBytes: number;

  constructor(real: DiskFile, disk: FaultyDisk, sizeBytes: number) {
    this.#real = real;
    this.#disk = disk;
    this.#sizeBytes = sizeBytes;
  }

  write(
    bytes: Uint8Array,
    range: ByteRange,
    position: number,
    done: WriteDone,
    inPlace = false,
  ): void {
    this.#disk.whenMoving(() => {
      const failure = this.#disk.failure ?? this.#noRoom(position + range.end - range.start);
      if (failure !== null) setImmediate(() => done(failure, 0));
      else this.#real.write(bytes, range, position, done, inPlace);
    });
  }

  queues(bytes: Uint8Array): boolean {
    return this.#real.queues?.(bytes) === true;
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#real.read(target, position);
  }

  sizeBytes(): Promise<number> {
    return this.#real.sizeBytes();
  }

  close(): Promise<void> {
    return this.#real.close();
  }

  #noRoom(endBytes: number): Error | null {
    if (endBytes > this.#sizeBytes && this.#disk.isFull) {
      const text = "ENOSPC: no space left on device, write";
      return Object.assign(new Error(text), { code: "ENOSPC", errno: -28 });
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, endBytes);
    return null;
  }
}
