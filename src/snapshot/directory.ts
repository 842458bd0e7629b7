/**
 * The directory of all snapshots of one member: names, reading and judging one snapshot, and the moves that are safe
 * at every crash point (DESIGN.md). After a write of any kind failed, everything later fails with the same error.
 */

import { join } from "node:path";
import { chunkLength, type HearthError, isHearthError } from "../base/index.ts";
import {
  isFull,
  isMissing,
  type DiskFile,
  type FileTree,
  withFile,
  writeAll,
} from "../files/index.ts";
import type { SnapshotMeta } from "../raft/index.ts";
import { closed, diskFull, readFailed, versionUnsupported, writeFailed } from "./errors.ts";
import { decodeHashRecords, digestOf, equalBytes, HASH_RECORD_BYTES, hashChunk } from "./hashes.ts";
import { decodeHead, nameOf } from "./meta.ts";
import { SNAPSHOT_LIMITS } from "./options.ts";

export const FILES = { head: "head", hashes: "hashes", data: "data" } as const;

/** What a name ends in while it is not that of a complete snapshot. */
export const SUFFIX = {
  /** Being taken here: worthless after a restart. */
  taking: ".take.partial",
  /** Being received: a restart goes on with it. */
  receiving: ".partial",
  /** Kept for people. */
  damaged: ".damaged",
  /** Half removed. */
  removed: ".removed",
} as const;

/** A snapshot directory whose head and hashes are good. */
export interface Snapshot {
  readonly meta: SnapshotMeta;
  /** One per chunk that is here; all of a complete snapshot. */
  readonly hashes: Uint8Array[];
}

export type Loaded =
  | { readonly ok: true; readonly snapshot: Snapshot }
  | { readonly ok: false; readonly what: string };

export class SnapshotDirectory {
  readonly root: string;
  readonly files: FileTree;
  #failure: HearthError | null = null;
  #isClosed = false;

  constructor(root: string, files: FileTree) {
    this.root = root;
    this.files = files;
  }

  path(name: string, file = ""): string {
    return join(this.root, name, file);
  }

  assertAlive(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** What takes long ends at its next chunk (`assertOpen`). Short moves go on, so that no half of one is left. */
  close(): void {
    this.#isClosed = true;
  }

  /** Errors: `snapshot_closed`. Asked before every chunk of what may be gigabytes. */
  assertOpen(): void {
    if (this.#isClosed) throw closed(this.root);
  }

  /**
   * Runs an operation that changes the disk.
   *
   * Errors: `snapshot_disk_full`, after which the caller takes away what it was writing; anything else is final, since
   *   a failed write leaves pages that look written (ATC'20), so nothing may be tried again over it.
   */
  async change<T>(path: string, operation: () => Promise<T>): Promise<T> {
    this.assertAlive();
    try {
      return await operation();
    } catch (error) {
      if (isFull(error)) throw diskFull(path, error);
      this.#failure ??= writeFailed(path, error);
      throw this.#failure;
    }
  }

  async look<T>(path: string, operation: () => Promise<T>): Promise<T> {
    this.assertAlive();
    try {
      return await operation();
    } catch (error) {
      throw isHearthError(error) ? error : readFailed(path, error);
    }
  }

  list(): Promise<string[]> {
    return this.look(this.root, () => this.files.list(this.root));
  }

  sync(name = ""): Promise<void> {
    const path = this.path(name);
    return this.change(path, () => this.files.syncDirectory(path));
  }

  /** A new directory, durable, with an empty data file and an empty hashes file in it. */
  async begin(name: string): Promise<void> {
    const { files } = this;
    // Left over when a full disk kept it from being removed.
    if ((await this.list()).includes(name)) await this.purge(name);
    await this.change(this.path(name), () => files.createDirectory(this.path(name)));
    await this.writeFile(name, FILES.data, new Uint8Array(0), 0, "create");
    await this.writeFile(name, FILES.hashes, new Uint8Array(0), 0, "create");
  }

  /** Durable when it resolves. */
  writeFile(
    name: string,
    file: string,
    bytes: Uint8Array,
    position: number,
    mode: "create" | "durable",
  ): Promise<void> {
    const path = this.path(name, file);
    return this.change(path, () =>
      withFile(this.files, path, mode, async (opened) => {
        if (bytes.length > 0) await writeAll(opened, bytes, position);
      }),
    );
  }

  /** Gives a directory its final name, durably. What is in it must be durable. */
  async rename(from: string, to: string): Promise<void> {
    if ((await this.list()).includes(to)) await this.purge(to);
    const path = this.path(from);
    await this.change(path, () => this.files.rename(path, this.path(to)));
    await this.sync();
  }

  /** Removes a directory; a crash in the middle leaves a name that every start removes. */
  async discard(name: string): Promise<void> {
    await this.rename(name, name + SUFFIX.removed);
    await this.purge(name + SUFFIX.removed);
  }

  async discardIfThere(name: string): Promise<void> {
    if ((await this.list()).includes(name)) await this.discard(name);
  }

  /** Removes a directory whose name says already that it is worth nothing. */
  async purge(name: string): Promise<void> {
    const path = this.path(name);
    const inside = await this.look(path, () => this.files.list(path));
    for (const file of inside) {
      await this.change(path, () => this.files.remove(this.path(name, file)));
    }
    await this.change(path, () => this.files.removeDirectory(path));
    await this.sync();
  }

  /** Head and hashes of a directory that should hold a complete snapshot; its data is not read. */
  async load(name: string, expectedName = name): Promise<Loaded> {
    const part = await this.loadPart(name, expectedName);
    if (!part.ok) return part;
    const { meta, hashes } = part.snapshot;
    if (hashes.length !== meta.chunkCount) {
      return { ok: false, what: `only ${hashes.length} of ${meta.chunkCount} hashes are good` };
    }
    if (digestOf(hashes) !== meta.digest) return { ok: false, what: "the digest does not fit" };
    const dataBytes = await this.#sizeOf(name, FILES.data);
    if (dataBytes !== meta.sizeBytes) {
      return { ok: false, what: `its data has ${dataBytes} B, not ${meta.sizeBytes} B` };
    }
    return part;
  }

  /** As `load`, but of a snapshot of which the first chunks are here. */
  async loadPart(name: string, expectedName: string): Promise<Loaded> {
    const head = await this.#readSmall(name, FILES.head, SNAPSHOT_LIMITS.headMaxBytes);
    if (typeof head === "string") return { ok: false, what: head };
    const decoded = decodeHead(head);
    if (!decoded.ok) {
      if (decoded.version !== null) throw versionUnsupported(this.path(name), decoded.version);
      return decoded;
    }
    const { meta } = decoded;
    if (nameOf(meta) !== expectedName)
      return { ok: false, what: "its head is of another snapshot" };
    const records = await this.#readSmall(name, FILES.hashes, meta.chunkCount * HASH_RECORD_BYTES);
    if (typeof records === "string") return { ok: false, what: records };
    const hashes = decodeHashRecords(records);
    const dataBytes = await this.#sizeOf(name, FILES.data);
    const expectedBytes = Math.min(hashes.length * meta.chunkBytes, meta.sizeBytes);
    if (dataBytes < expectedBytes) {
      return {
        ok: false,
        what: `its data has ${dataBytes} B, its hashes cover ${expectedBytes} B`,
      };
    }
    return { ok: true, snapshot: { meta, hashes } };
  }

  /** The whole of it, from the files and not from memory: what the next start will find. */
  async readBack(name: string, expectedName: string): Promise<Loaded> {
    const loaded = await this.load(name, expectedName);
    if (!loaded.ok) return loaded;
    const what = await this.#verifyData(name, loaded.snapshot);
    return what === null ? loaded : { ok: false, what };
  }

  /** Reads all data and compares it with the hashes. Answers what is wrong, or null. */
  async #verifyData(name: string, snapshot: Snapshot): Promise<string | null> {
    const path = this.path(name, FILES.data);
    return this.look(path, () =>
      withFile(this.files, path, "read", async (file) => {
        const buffer = new Uint8Array(Math.min(snapshot.meta.chunkBytes, snapshot.meta.sizeBytes));
        for (let chunk = 0; chunk < snapshot.meta.chunkCount; chunk++) {
          this.assertOpen();
          if ((await readChunk(file, snapshot, chunk, buffer)) === null) return damagedChunk(chunk);
        }
        return null;
      }),
    );
  }

  /** The whole file, or what is wrong with it. The size is checked before memory is taken for it. */
  async #readSmall(name: string, file: string, maxBytes: number): Promise<Uint8Array | string> {
    const path = this.path(name, file);
    return this.look(path, async () => {
      try {
        return await withFile(this.files, path, "read", async (opened) => {
          const sizeBytes = await opened.sizeBytes();
          if (sizeBytes > maxBytes) return `its ${file} has ${sizeBytes} B, at most ${maxBytes} B`;
          const bytes = new Uint8Array(sizeBytes);
          return bytes.subarray(0, await opened.read(bytes, 0));
        });
      } catch (error) {
        if (isMissing(error)) return `it has no ${file}`;
        throw error;
      }
    });
  }

  /** -1: there is none. */
  async #sizeOf(name: string, file: string): Promise<number> {
    const path = this.path(name, file);
    return this.look(path, async () => {
      try {
        return await withFile(this.files, path, "read", (opened) => opened.sizeBytes());
      } catch (error) {
        if (isMissing(error)) return -1;
        throw error;
      }
    });
  }
}

/** Reads a chunk into `buffer` and compares it with its hash; null when it differs. The result is borrowed from it. */
export async function readChunk(
  file: DiskFile,
  { meta, hashes }: Snapshot,
  chunk: number,
  buffer: Uint8Array,
): Promise<Uint8Array | null> {
  const target = buffer.subarray(0, chunkLength(meta, chunk));
  const readBytes = await file.read(target, chunk * meta.chunkBytes);
  if (readBytes !== target.length) return null;
  return equalBytes(hashChunk(target), hashes[chunk] as Uint8Array) ? target : null;
}

export function damagedChunk(chunk: number): string {
  return `chunk ${chunk} does not fit its hash`;
}
