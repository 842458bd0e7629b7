/**
 * The disk at one moment of a recorded run, and what a crash then may leave of it.
 *
 * Durable: what was written to a durable file and reported, and directory changes before the last sync. Everything
 * else is in flight: each write may be there as a whole, not at all, or some of its sectors; each directory change
 * may be there or not, whatever became of the others.
 */

import type { DiskOperation } from "../log/support/memory-disk.ts";

export const IMAGE_KIND = {
  /** Everything in flight reached the disk. */
  kept: "kept",
  lost: "lost",
  /** Something later reached it, something earlier did not. */
  reordered: "reordered",
  torn512: "torn512",
  torn4096: "torn4096",
} as const;
export type ImageKind = (typeof IMAGE_KIND)[keyof typeof IMAGE_KIND];

interface Inode {
  bytes: Uint8Array;
}

interface Write {
  readonly inode: Inode;
  readonly name: string;
  readonly position: number;
  readonly bytes: Uint8Array;
}

type DirectoryChange = (directory: Map<string, Inode>) => void;

export class DiskState {
  readonly #durable = new Map<string, Inode>();
  readonly #volatile = new Map<string, Inode>();
  #changes: DirectoryChange[] = [];
  /** By the number of the operation. */
  readonly #writes = new Map<number, Write>();

  /** Writes in flight. */
  get writes(): Iterable<Write> {
    return this.#writes.values();
  }

  get inFlight(): number {
    return this.#writes.size + this.#changes.length;
  }

  /** Takes the next operation of the run. */
  apply(operation: DiskOperation, number: number): void {
    switch (operation.kind) {
      case "create": {
        const inode: Inode = { bytes: new Uint8Array(0) };
        return this.#change((directory) => directory.set(operation.name, inode));
      }
      case "remove":
        return this.#change((directory) => directory.delete(operation.name));
      case "rename":
        return this.#change((directory) => rename(directory, operation.from, operation.to));
      case "syncDirectory":
        for (const change of this.#changes) change(this.#durable);
        this.#changes = [];
        return;
      case "write": {
        const { name, position, bytes } = operation;
        const inode = this.#volatile.get(name);
        if (inode !== undefined) this.#writes.set(number, { inode, name, position, bytes });
        return;
      }
      case "written": {
        const write = this.#writes.get(operation.operation);
        if (write !== undefined) write.inode.bytes = patched(write.inode.bytes, write);
        this.#writes.delete(operation.operation);
        return;
      }
      default:
        return;
    }
  }

  /** The files as a crash of this kind leaves them, or null where the kind makes no sense. Borrowed: not changed. */
  image(kind: ImageKind, random: () => number): Map<string, Uint8Array> | null {
    const isKept = this.#choice(kind, random);
    if (isKept === null) return null;
    const directory = new Map(this.#durable);
    for (const change of this.#changes) if (isKept()) change(directory);
    const contents = new Map<Inode, Uint8Array>();
    for (const write of this.#writes.values()) {
      const before = contents.get(write.inode) ?? write.inode.bytes;
      const sectorBytes = SECTOR_BYTES[kind];
      const after =
        sectorBytes === 0
          ? isKept()
            ? patched(before, write)
            : before
          : torn(before, write, { sectorBytes, random });
      contents.set(write.inode, after);
    }
    const files = new Map<string, Uint8Array>();
    for (const [name, inode] of directory) files.set(name, contents.get(inode) ?? inode.bytes);
    return files;
  }

  #change(change: DirectoryChange): void {
    change(this.#volatile);
    this.#changes.push(change);
  }

  /** Asked for each directory change and then each write, in order. */
  #choice(kind: ImageKind, random: () => number): (() => boolean) | null {
    if (kind === "kept") return () => true;
    if (this.inFlight === 0) return null;
    if (kind === "lost") return () => false;
    if (kind !== "reordered") return this.#writes.size === 0 ? null : () => random() < 0.5;
    if (this.inFlight < 2) return null;
    // Something is lost, and something after it is not.
    const lost = Math.floor(random() * (this.inFlight - 1));
    const kept = lost + 1 + Math.floor(random() * (this.inFlight - 1 - lost));
    let position = -1;
    return () => {
      position += 1;
      if (position === lost) return false;
      return position === kept || random() < 0.5;
    };
  }
}

const SECTOR_BYTES: Readonly<Record<ImageKind, number>> = {
  kept: 0,
  lost: 0,
  reordered: 0,
  torn512: 512,
  torn4096: 4096,
};

function rename(directory: Map<string, Inode>, from: string, to: string): void {
  const inode = directory.get(from);
  if (inode === undefined) return;
  directory.delete(from);
  directory.set(to, inode);
}

/** The file with the bytes put in; never changes `file`. */
function patched(file: Uint8Array, write: { position: number; bytes: Uint8Array }): Uint8Array {
  const { position, bytes } = write;
  const target = new Uint8Array(Math.max(file.length, position + bytes.length));
  target.set(file);
  target.set(bytes, position);
  return target;
}

/** Some sectors of the write: a prefix, a suffix, or any. Sectors are aligned in the file, not in the write. */
function torn(
  file: Uint8Array,
  { position, bytes }: Write,
  { sectorBytes, random }: { sectorBytes: number; random: () => number },
): Uint8Array {
  const end = position + bytes.length;
  const firstSector = Math.floor(position / sectorBytes);
  const sectorCount = Math.ceil(end / sectorBytes) - firstSector;
  const border = Math.floor(random() * (sectorCount + 1));
  const shape = Math.floor(random() * 3);
  let target = file;
  for (let i = 0; i < sectorCount; i++) {
    const isKept = shape === 0 ? i < border : shape === 1 ? i >= border : random() < 0.5;
    if (!isKept) continue;
    const start = Math.max(position, (firstSector + i) * sectorBytes);
    const stop = Math.min(end, (firstSector + i + 1) * sectorBytes);
    const part = bytes.subarray(start - position, stop - position);
    target = patched(target, { position: start, bytes: part });
  }
  return target;
}
