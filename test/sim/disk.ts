/**
 * The disk of one machine, in two layers: what processes read (the page cache) and what survives a power cut (the
 * platter). Implements the file interface of the durable log and of the snapshot files.
 *
 * Rules:
 * - A write is in flight from the call to its completion, but behind another one of the same opened file: then it begins when that one
 *   has succeeded, and fails with it. When it completes without error it is on the platter.
 * - A killed process leaves of a write in flight: nothing, all, or some sectors, in the page cache.
 * - A power cut leaves on the platter any choice of the 512-byte sectors that were not yet there.
 * - A write in place may be done at once: no event comes between the call and its completion, so no crash either. (Of a
 *   write that a crash cuts off nothing can be told that is not true of one in flight.)
 * - A failed write leaves in the page cache what it was to write, and nothing certain on the platter (ATC'20).
 * - Creations, renames and removals are durable from the next sync of their directory on; a power cut before that keeps
 *   some first of them, in order (a journalling file system).
 * - Sectors outside of a write are not touched by it.
 */

import { dirname } from "node:path";
import type { Prng } from "../../src/base/index.ts";
import type { OpenMode, WriteDone } from "../../src/log/index.ts";
import { WriteLines } from "../support/write-lines.ts";
import type { Coverage } from "./coverage.ts";
import { EVENT, type EventLoop, type Life } from "./event-loop.ts";
import { exponential } from "./random.ts";
import {
  applyChange,
  createFile,
  diskError,
  type NameChange,
  store,
  type StoredFile,
} from "./stored-file.ts";

export const SECTOR_BYTES = 512;

interface Operation {
  readonly life: Life;
  readonly act: () => void;
}

/** Writes of one are in line. What another process has left in the works keeps nobody waiting. */
export interface OpenedFile {
  readonly life: Life;
  readonly file: StoredFile;
}

interface WriteInFlight {
  readonly file: StoredFile;
  readonly position: number;
  readonly bytes: Uint8Array;
}

export interface DiskModules {
  readonly loop: EventLoop;
  readonly prng: Prng;
  readonly coverage: Coverage;
  /** Number of the machine, for the trace. */
  readonly place: number;
}

export interface DiskState {
  /** Mean time of one operation, us. */
  latencyUs: number;
  /** Nothing completes before this time, us. */
  stalledUntilUs: number;
  /** The next write fails with EIO. */
  failsNextWrite: boolean;
  /** Bytes of files above which nothing can be made or grow. */
  capacityBytes: number;
}

const HEALTHY_LATENCY_US = 150;

export class SimDisk {
  readonly state: DiskState = {
    latencyUs: HEALTHY_LATENCY_US,
    stalledUntilUs: 0,
    failsNextWrite: false,
    capacityBytes: Number.POSITIVE_INFINITY,
  };
  readonly #modules: DiskModules;
  #names = new Map<string, StoredFile>();
  #durableNames = new Map<string, StoredFile>();
  #changes: NameChange[] = [];
  readonly #inFlight = new Set<WriteInFlight>();
  readonly #lines = new WriteLines<OpenedFile>();
  /** Completions come in order of the calls, as with one queue of the device. */
  #lastCompletionUs = 0;
  /** Handed over and not done yet, in order. */
  readonly #waiting = new Set<Operation>();
  /** Grows when what waits is timed anew: older events of it mean nothing any more. */
  #round = 0;

  constructor(modules: DiskModules) {
    this.#modules = modules;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const { cache } of this.#names.values()) bytes += cache.length;
    return bytes;
  }

  heal(): void {
    const { state } = this;
    state.latencyUs = HEALTHY_LATENCY_US;
    state.stalledUntilUs = 0;
    state.failsNextWrite = false;
    state.capacityBytes = Number.POSITIVE_INFINITY;
    // What a stall held back goes on now, in its order.
    this.#round += 1;
    this.#lastCompletionUs = 0;
    for (const operation of this.#waiting) this.#schedule(operation);
  }

  /** kill -9: what was handed to the kernel and is under way may or may not stand in the page cache. */
  crashProcess(): void {
    const { prng, coverage } = this.#modules;
    for (const write of this.#inFlight) {
      const choice = prng.nextInt(3);
      if (choice === 0) coverage.hit("lostWrite");
      else this.#keepSectors(write, choice === 1 ? 1 : 0.5);
    }
    this.#inFlight.clear();
    if (this.#lines.clear() > 0) coverage.hit("lostWrite");
    this.#waiting.clear();
  }

  /** Power cut: the page cache is gone. */
  crashPower(): void {
    const { prng, coverage } = this.#modules;
    this.crashProcess();
    const kept = prng.nextInt(this.#changes.length + 1);
    for (const change of this.#changes.slice(0, kept)) applyChange(this.#durableNames, change);
    if (kept < this.#changes.length) coverage.hit("lostWrite");
    this.#changes = [];
    this.#names = new Map(this.#durableNames);
    for (const file of new Set(this.#names.values())) this.#loseSectors(file);
  }

  /** The disk is replaced by an empty one. */
  wipe(): void {
    this.#names = new Map();
    this.#durableNames = new Map();
    this.#changes = [];
    this.#inFlight.clear();
    this.#lines.clear();
    this.#waiting.clear();
  }

  /** Paths of the files that processes see, sorted. */
  paths(): string[] {
    return [...this.#names]
      .filter(([, file]) => !file.isDirectory)
      .map(([path]) => path)
      .sort();
  }

  /** Length of a file; 0 when it is not there. */
  fileBytes(path: string): number {
    return this.#names.get(path)?.cache.length ?? 0;
  }

  /** Whether bytes of the file at `position` are on the platter and not all zero around it: worth damaging. */
  byteAt(path: string, position: number): number {
    return this.#names.get(path)?.platter[position] ?? 0;
  }

  /** Changes one bit of a byte, in both layers: rot. */
  flipBit(path: string, position: number, bit: number): void {
    const file = this.#names.get(path);
    if (file === undefined || position >= file.platter.length) return;
    const value = (file.platter[position] as number) ^ (1 << bit);
    file.platter[position] = value;
    file.cache[position] = value;
  }

  /** Whether the sector was written by the newest durable write of its file, or behind it. */
  isLastWritten(path: string, sector: number): boolean {
    return (sector + 1) * SECTOR_BYTES > (this.#names.get(path)?.lastWriteStart ?? 0);
  }

  zeroSector(path: string, sector: number): void {
    const file = this.#names.get(path);
    const start = sector * SECTOR_BYTES;
    file?.platter.fill(0, start, start + SECTOR_BYTES);
    file?.cache.fill(0, start, start + SECTOR_BYTES);
  }

  // -- operations of processes ---------------------------------------------------------------------------------

  /** Runs `act` when the disk gets to it; the process of `life` may have died by then. */
  complete(life: Life, act: () => void): void {
    const operation = { life, act };
    this.#waiting.add(operation);
    this.#schedule(operation);
  }

  #schedule(operation: Operation): void {
    const { loop, prng, place } = this.#modules;
    const { life, act } = operation;
    const dueUs = loop.nowUs + 1 + exponential(prng, this.state.latencyUs);
    const atUs = Math.max(dueUs, this.state.stalledUntilUs, this.#lastCompletionUs);
    this.#lastCompletionUs = Math.ceil(atUs);
    const round = this.#round;
    // The device works on while a process is stopped; only the callback waits.
    loop.at(atUs, { kind: EVENT.disk, place, life }, () => {
      if (round !== this.#round) return;
      if (this.state.stalledUntilUs > loop.nowUs) {
        this.#schedule(operation);
        return;
      }
      this.#waiting.delete(operation);
      loop.hasResolved = true;
      act();
    });
  }

  write(
    opened: OpenedFile,
    position: number,
    bytes: Uint8Array,
    done: WriteDone,
    inPlace: boolean,
  ): void {
    const { coverage } = this.#modules;
    const { life, file } = opened;
    const write = { file, position, bytes };
    if (inPlace && this.#takesAtOnce(write)) {
      coverage.hit("writeInPlace");
      this.#keep(write);
      done(null, bytes.length);
      return;
    }
    const begin = (): void => {
      this.#inFlight.add(write);
      this.complete(life, () => {
        const error = this.#end(write);
        if (error === null) this.#lines.ended(opened, null);
        done(error, error === null ? bytes.length : 0);
        if (error !== null) this.#lines.ended(opened, error);
      });
    };
    if (this.#lines.add(opened, { begin, fail: (error) => done(error, 0) }))
      coverage.hit("writeQueued");
  }

  /** What becomes of a write under way: an error, or null. */
  #end(write: WriteInFlight): Error | null {
    const { coverage } = this.#modules;
    this.#inFlight.delete(write);
    const growsBytes = write.position + write.bytes.length - write.file.cache.length;
    if (growsBytes > 0 && this.usedBytes + growsBytes > this.state.capacityBytes) {
      coverage.hit("diskFull");
      return diskError("ENOSPC", "no space left on device");
    }
    if (this.state.failsNextWrite) {
      this.state.failsNextWrite = false;
      coverage.hit("diskError");
      this.#keepSectors(write, 0.5);
      return diskError("EIO", "i/o error");
    }
    this.#keep(write);
    return null;
  }

  /** In half of the cases, as below. */
  queues(): boolean {
    return this.#modules.prng.nextChance(0.5);
  }

  /** A healthy disk does, in half of the cases: both ways are to meet everything else. */
  #takesAtOnce({ file, position, bytes }: WriteInFlight): boolean {
    const { stalledUntilUs, latencyUs, failsNextWrite } = this.state;
    const isHealthy = latencyUs === HEALTHY_LATENCY_US && !failsNextWrite;
    if (!isHealthy || stalledUntilUs > this.#modules.loop.nowUs) return false;
    if (position + bytes.length > file.cache.length) return false;
    return this.#modules.prng.nextChance(0.5);
  }

  #keep(write: WriteInFlight): void {
    const { file, position, bytes } = write;
    file.cache = store(file.cache, position, bytes);
    file.platter = store(file.platter, position, bytes);
    file.lastWriteStart = position;
    this.#forgetDirty(write);
  }

  openFile(path: string, mode: OpenMode): StoredFile {
    const found = this.#names.get(path);
    if (mode !== "create") {
      if (found === undefined || found.isDirectory) {
        throw diskError("ENOENT", `no such file: ${path}`);
      }
      return found;
    }
    if (found !== undefined) throw diskError("EEXIST", `file exists: ${path}`);
    if (this.usedBytes >= this.state.capacityBytes) {
      this.#modules.coverage.hit("diskFull");
      throw diskError("ENOSPC", "no space left on device");
    }
    const file = createFile(false);
    this.#change({ kind: "create", path, file });
    return file;
  }

  list(directory: string): string[] {
    const prefix = `${directory}/`;
    const names = new Set<string>();
    for (const path of this.#names.keys()) {
      if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split("/")[0] as string);
    }
    return [...names].sort();
  }

  remove(path: string): void {
    if (!this.#names.has(path)) throw diskError("ENOENT", `no such file: ${path}`);
    this.#change({ kind: "remove", path });
  }

  /** Atomic, also for a directory and everything in it. */
  rename(path: string, to: string): void {
    if (!this.#names.has(path)) throw diskError("ENOENT", `no such file: ${path}`);
    // Only the log gives a file of its own such a name.
    if (to.endsWith(".log")) this.#modules.coverage.hit("segmentReused");
    this.#change({ kind: "rename", path, to });
  }

  /** With its parents, and durable when it returns. */
  createDirectory(path: string): void {
    for (let level = path; level.length > 1; level = dirname(level)) {
      if (this.#names.has(level)) break;
      const directory = createFile(true);
      this.#names.set(level, directory);
      this.#durableNames.set(level, directory);
    }
  }

  removeDirectory(path: string): void {
    if (this.list(path).length > 0) throw diskError("ENOTEMPTY", `directory not empty: ${path}`);
    this.remove(path);
  }

  syncDirectory(directory: string): void {
    // Journalled: a later change of names never becomes durable before an earlier one.
    const last = this.#changes.findLastIndex(
      (change) =>
        dirname(change.path) === directory ||
        (change.kind === "rename" && dirname(change.to) === directory),
    );
    for (const change of this.#changes.splice(0, last + 1)) applyChange(this.#durableNames, change);
  }

  #change(change: NameChange): void {
    applyChange(this.#names, change);
    this.#changes.push(change);
  }

  // -- faults --------------------------------------------------------------------------------------------------

  /** Some sectors of an unfinished write reach the page cache; none is certain to reach the platter. */
  #keepSectors({ file, position, bytes }: WriteInFlight, share: number): void {
    const { prng, coverage } = this.#modules;
    let kept = 0;
    let sectors = 0;
    for (let at = 0; at < bytes.length; ) {
      const sector = Math.floor((position + at) / SECTOR_BYTES);
      const end = Math.min(bytes.length, (sector + 1) * SECTOR_BYTES - position);
      sectors += 1;
      if (prng.nextChance(share)) {
        kept += 1;
        file.cache = store(file.cache, position + at, bytes.subarray(at, end));
        file.dirty.add(sector);
      }
      at = end;
    }
    if (kept > 0 && kept < sectors) coverage.hit("tornWrite");
    if (kept < sectors) coverage.hit("lostWrite");
  }

  /** What is only in the page cache is written back or not: all, nothing, or any choice of sectors. */
  #loseSectors(file: StoredFile): void {
    if (file.dirty.size === 0) return;
    const { prng } = this.#modules;
    const share = prng.pick([0, 0.5, 1]);
    for (const sector of [...file.dirty].sort((a, b) => a - b)) {
      if (!prng.nextChance(share)) continue;
      const start = sector * SECTOR_BYTES;
      const end = Math.min(file.cache.length, start + SECTOR_BYTES);
      file.platter = store(file.platter, start, file.cache.subarray(start, end));
    }
    file.dirty.clear();
    file.cache = file.platter.slice();
  }

  /** Whole sectors of a completed write are the same in both layers again. */
  #forgetDirty({ file, position, bytes }: WriteInFlight): void {
    if (file.dirty.size === 0) return;
    const first = Math.floor(position / SECTOR_BYTES);
    const last = Math.floor((position + bytes.length - 1) / SECTOR_BYTES);
    for (let sector = first; sector <= last; sector++) {
      const start = sector * SECTOR_BYTES;
      // The device writes whole sectors, so what was dirty around the write goes with it.
      const end = Math.min(file.cache.length, start + SECTOR_BYTES);
      file.platter = store(file.platter, start, file.cache.subarray(start, end));
      file.dirty.delete(sector);
    }
  }
}
