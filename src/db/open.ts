/**
 * The index database: opening, reading, writing, and changing to another generation of its content.
 *
 * Durability comes from the log: the environment runs without syncs (a five-put transaction costs 22 us instead of
 * 437 us). It survives a crash of the process, since the map belongs to the kernel; after an unclean stop of the
 * machine it may be damaged without a sign, and is thrown away (generations.ts). Whoever opens it then begins anew.
 */

import { assert, assertFailed, PrefixViews } from "../base/index.ts";
import { Environment, type ReadTransaction, type Table } from "./environment.ts";
import {
  claimGeneration,
  createGeneration,
  type OpenOutcome,
  recordCleanStop,
  recordGeneration,
  removeGeneration,
  syncGeneration,
  trustedGeneration,
} from "./generations.ts";
import { TABLES, type TableName } from "./tables.ts";
import { explainWriteError } from "./write-error.ts";

export interface IndexDatabaseOptions {
  /** Directory of the environment; created when missing. */
  readonly directory: string;
  /** Address space reserved for the map, bytes. Not memory: a hole that may never be reached. */
  readonly mapSizeBytes: number;
  /**
   * Worker threads open for reading only by convention; the writer also keeps the trust marks. A filler writes a
   * generation that nobody reads yet.
   */
  readonly role: "writer" | "reader" | "filler";
  /** For readers and fillers: which content to open; left out, the one that the trust mark names. */
  readonly generation?: number | undefined;
  /** For readers: the content in force now, asked at the begin of every read transaction. Costs a load. */
  readonly generationInForce?: (() => number) | undefined;
}

export const INDEX_DATABASE_DEFAULTS = {
  // 64 GiB of address space: a few hundred million blocks. Growing a map under readers costs 34-48 ms commits.
  mapSizeBytes: 64 * 1024 ** 3,
} as const;

/** LMDB hands out values below this size through one scratch buffer per thread; we never store larger ones. */
export const VALUE_MAX_BYTES = 8 * 1024 * 1024;

/** Made once: the option object of every AddBlock's put. */
const NO_OVERWRITE = { noOverwrite: true } as const;
const APPEND = { append: true } as const;

/** Called per row of a scan; key and value are borrowed until it returns. False ends the scan. */
export type ScanVisitor = (key: Uint8Array, valueBytes: number) => boolean;

/** How the package ends a transaction whose body returned a thenable. */
interface OpenWrite {
  commit(): void;
  abort(error: unknown): void;
}

function wantedGeneration(options: IndexDatabaseOptions): number {
  const { directory, generation, generationInForce } = options;
  return generation ?? generationInForce?.() ?? trustedGeneration(directory);
}

/** Handed to LMDB to end a transaction without effect; it throws it back. */
const ABORTED = new Error("The transaction was given up");

/**
 * One thread's handle on the environment.
 *
 * Values are read into one scratch buffer: after `get` and inside a scan visitor the value stands at offset 0 of
 * `u8`, `i32`, `u32` and `f64`, until the next read on this thread.
 */
export class IndexDatabase {
  readonly directory: string;
  readonly outcome: OpenOutcome;
  /** Views over the scratch buffer. Borrowed: valid until the next read. The same for every generation. */
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly #scratch: ArrayBuffer;
  readonly #mapSizeBytes: number;
  readonly #role: IndexDatabaseOptions["role"];
  readonly #generationInForce: (() => number) | undefined;
  #environment: Environment;
  #tables: Record<TableName, Table>;
  #content: object = {};
  #generation: number;
  /** Number of the current or last read transaction: what was read under one number was one state. */
  readNumber = 0;
  readonly #values = new PrefixViews();
  #scanValueBytes = 0;
  #transaction: ReadTransaction | null = null;
  #openWrite: OpenWrite | null = null;
  #getOptions: { transaction: ReadTransaction } | undefined;

  static open(options: IndexDatabaseOptions): IndexDatabase {
    return new IndexDatabase(options);
  }

  private constructor(options: IndexDatabaseOptions) {
    const { directory, mapSizeBytes, role } = options;
    assert(mapSizeBytes > 0, "mapSizeBytes must be positive: a negative map size crashes LMDB");
    this.directory = directory;
    this.#mapSizeBytes = mapSizeBytes;
    this.#role = role;
    this.#generationInForce = options.generationInForce;
    const claimed = role === "writer" ? claimGeneration(directory) : null;
    this.outcome = claimed?.outcome ?? "reused";
    this.#generation = claimed?.generation ?? wantedGeneration(options);
    if (role === "filler") createGeneration(directory, this.#generation);
    this.#environment = this.#openEnvironment(this.#generation);
    this.#tables = this.#environment.tables;
    const { scratch } = this.#environment;
    this.#scratch = scratch;
    this.u8 = new Uint8Array(scratch);
    this.i32 = new Int32Array(scratch);
    this.u32 = new Uint32Array(scratch);
    this.f64 = new Float64Array(scratch);
  }

  #openEnvironment(generation: number): Environment {
    const { directory } = this;
    return new Environment({
      directory,
      generation,
      mapSizeBytes: this.#mapSizeBytes,
      mayPrepare: this.#role !== "reader",
      onScanned: (valueBytes) => {
        this.#scanValueBytes = valueBytes;
      },
    });
  }

  /** Which content this is; a snapshot that takes the place of the state makes the next one. */
  get generation(): number {
    return this.#generation;
  }

  /** An object per generation opened here: what was remembered under another one has other ids. */
  get content(): object {
    return this.#content;
  }

  /**
   * Goes over to another generation, which must be complete: what is read from now on is its content. The writer's
   * trust mark changes with it, so that a crash leaves the one or the other. Not inside a transaction.
   *
   * Errors: what LMDB says when the new one cannot be opened; nothing has changed then. Resolves when the old one is
   *   closed on this thread.
   */
  useGeneration(generation: number): Promise<void> {
    if (generation === this.#generation) return Promise.resolve();
    assert(this.#transaction === null, "A read transaction is open on this thread");
    assert(this.#openWrite === null, "A write transaction is open");
    const next = this.#openEnvironment(generation);
    assert(next.scratch === this.u8.buffer, "LMDB no longer reads into one buffer per thread");
    if (this.#role === "writer") recordGeneration(this.directory, generation);
    const before = this.#environment;
    this.#environment = next;
    this.#tables = next.tables;
    this.#content = {};
    this.#generation = generation;
    this.readNumber++;
    return before.close();
  }

  /** Writer only: removes a generation that no thread uses any more. */
  removeGeneration(generation: number): Promise<void> {
    assert(this.#role === "writer" && generation !== this.#generation, "That generation is in use");
    return removeGeneration(this.directory, generation);
  }

  /**
   * Starts a read that sees the newest committed state, or goes on with the one this thread holds.
   * Every `begin` needs its `end`; a snapshot that is never ended pins pages and grows the file for good.
   */
  beginRead(): void {
    assert(this.#transaction === null, "A read transaction is already open on this thread");
    this.readNumber++;
    const generation = this.#generationInForce?.() ?? this.#generation;
    // Nothing waits for the old one to be closed: it has no transaction on this thread.
    if (generation !== this.#generation) void this.useGeneration(generation);
    this.#transaction = this.#environment.beginRead();
    this.#getOptions = { transaction: this.#transaction };
  }

  endRead(): void {
    assert(this.#transaction !== null, "No read transaction is open on this thread");
    this.#transaction.done();
    this.#transaction = null;
    this.#getOptions = undefined;
  }

  /**
   * Runs `ask` inside the write transaction that is open, and sees what that has written, which is committed before anybody
   * could tell; without one, inside a read transaction of its own. For the thread that writes. Nothing borrowed leaves `ask`.
   */
  reading<T>(ask: () => T): T {
    if (this.isWriteOpen) return ask();
    this.beginRead();
    try {
      return ask();
    } finally {
      this.endRead();
    }
  }

  /** Bytes of the value, now at offset 0 of the scratch views, or -1. Inside `write` it sees that transaction. */
  get(table: TableName, key: Uint8Array): number {
    const value = this.#tables[table].getBinaryFast(key, this.#getOptions);
    return value === undefined ? -1 : value.length;
  }

  /** The value of `bytes` bytes that was read last. Borrowed: valid until the next read. */
  value(bytes: number): Uint8Array {
    return this.#values.of(this.#scratch, bytes);
  }

  has(table: TableName, key: Uint8Array): boolean {
    return this.get(table, key) >= 0;
  }

  /** Visits keys in [start, end) ascending. The visitor must not read from or write to the database. */
  scan(table: TableName, start: Uint8Array, end: Uint8Array, visit: ScanVisitor): void {
    const options = { start, end, ...this.#getOptions };
    for (const { key } of this.#tables[table].getRange(options)) {
      if (!visit(key, this.#scanValueBytes)) return;
    }
  }

  /** The highest key in (start, end], or null. Borrowed until the next read. */
  lastKey(table: TableName, start: Uint8Array, end: Uint8Array): Uint8Array | null {
    const options = { start: end, end: start, reverse: true, limit: 1, ...this.#getOptions };
    for (const { key } of this.#tables[table].getRange(options)) return key;
    return null;
  }

  /** Runs `body` as one write transaction: all of it or, when it throws, nothing. Writer only. */
  write<T>(body: () => T): T {
    this.#assertCanWrite();
    try {
      return this.#environment.root.transactionSync(body);
    } catch (error) {
      throw explainWriteError(error, this.directory);
    }
  }

  /**
   * Opens a write transaction that may stay open over turns of the event loop, until `commitWrite` or `abortWrite`.
   * Reads of this thread see it; every other reader sees the state before it.
   */
  beginWrite(): void {
    this.#assertCanWrite();
    // The package ends a transaction when what its body returns is fulfilled: synchronously, if that is ours.
    const untilEnded = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable is exactly what is wanted
      then: (commit: () => void, abort: (error: unknown) => void): void => {
        this.#openWrite = { commit, abort };
      },
    };
    this.#environment.root.transactionSync(() => untilEnded);
    assert(this.#openWrite !== null, "LMDB no longer keeps a transaction open for a thenable");
  }

  get isWriteOpen(): boolean {
    return this.#openWrite !== null;
  }

  /** Errors: what LMDB says; nothing of the transaction has happened then. */
  commitWrite(): void {
    const open = this.#openWrite;
    assert(open !== null, "No write transaction is open");
    this.#openWrite = null;
    try {
      open.commit();
    } catch (error) {
      throw explainWriteError(error, this.directory);
    }
  }

  abortWrite(): void {
    const open = this.#openWrite;
    assert(open !== null, "No write transaction is open");
    this.#openWrite = null;
    try {
      open.abort(ABORTED);
    } catch (error) {
      if (error !== ABORTED) throw error;
    }
  }

  #assertCanWrite(): void {
    assert(this.#role !== "reader", "Only the writer may write");
    assert(this.#openWrite === null, "A write transaction is already open");
    assert(
      this.#transaction === null,
      "A scan inside of this write would read the open read transaction",
    );
  }

  /** Inside `write`: the value is copied before the call returns. */
  put(table: TableName, key: Uint8Array, value: Uint8Array): void {
    assertStorable(table, value);
    if (!this.#tables[table].putSync(key, value)) assertFailed(`LMDB stored nothing in ${table}`);
  }

  /** Inside `write`: the same for a key above every key of the table: faster, and it fills pages. */
  append(table: TableName, key: Uint8Array, value: Uint8Array): void {
    assert(value.length <= VALUE_MAX_BYTES, `Cannot store ${value.length} bytes in ${table}`);
    assert(
      this.#tables[table].putSync(key, value, APPEND),
      `The key is not above those of ${table}`,
    );
  }

  /** Inside `write`: `put` of bytes[start, end), which begins at offset 0 of its ArrayBuffer; no view is made. */
  putPart(table: TableName, key: Uint8Array, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length > VALUE_MAX_BYTES) assertFailed(`Cannot store ${length} bytes in ${table}`);
    // The package takes a part from encoders that mark it so; ours hands on what it gets.
    const part = bytes as MarkedPart;
    part.start = start;
    part.end = end;
    if (!this.#tables[table].putSync(key, part)) assertFailed(`LMDB stored nothing in ${table}`);
  }

  /** Inside `write`: false, and nothing changed, when the key is there already. */
  putNew(table: TableName, key: Uint8Array, value: Uint8Array): boolean {
    assertStorable(table, value);
    return this.#tables[table].putSync(key, value, NO_OVERWRITE);
  }

  /** Inside `write`: false when there was nothing to remove. */
  remove(table: TableName, key: Uint8Array): boolean {
    return this.#tables[table].removeSync(key);
  }

  /** Bytes of the data file. Cheap. */
  fileSizeBytes(): number {
    return this.#environment.fileSizeBytes();
  }

  /** Rows per table, for `hearth data inspect` and the metrics. */
  tableStats(table: TableName): { entries: number; bytes: number } {
    const stats = this.#tables[table].getStats() as {
      entryCount: number;
      pageSize: number;
      treeBranchPageCount: number;
      treeLeafPageCount: number;
      overflowPages: number;
    };
    const pages = stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
    return { entries: stats.entryCount, bytes: pages * stats.pageSize };
  }

  /** Bytes of pages in use, of all tables. Costs a look at each. */
  liveBytes(): number {
    return TABLES.reduce((sum, table) => sum + this.tableStats(table).bytes, 0);
  }

  /** Closes; the writer syncs and records a clean stop, so that the next start may trust what it finds. */
  async close(): Promise<void> {
    if (this.#openWrite !== null) this.abortWrite();
    if (this.#role === "writer") await this.#environment.root.flushed;
    await this.#environment.close();
    if (this.#role !== "writer") return;
    await syncGeneration(this.directory, this.#generation);
    recordCleanStop(this.directory, this.#generation);
  }
}

/** A buffer of which only a part is meant. The package also keeps its address in it. */
interface MarkedPart extends Uint8Array {
  start: number;
  end: number;
}

function assertStorable(table: TableName, { length }: Uint8Array): void {
  if (length > VALUE_MAX_BYTES) assertFailed(`Cannot store ${length} bytes in ${table}`);
}
