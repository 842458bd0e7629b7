/** Checks one shard: its blocks against its record, and against its rows in tails, postings and directory. */

import { encodeUlid } from "../../base/index.ts";
import {
  DIRECTORY_RECORD,
  DIRECTORY_RECORD_BYTES,
  type IndexDatabase,
  KEYS_PER_DIRECTORY_SHIFT,
  KeyBuffer,
  keyU32,
  ROW,
  ROW_BYTES,
} from "../../db/index.ts";
import { ENTRY_ROW, EntryReader, HEAD } from "../../protocol/index.ts";
import { ROW_DOUBLES, ROW_WORDS } from "../index/rows.ts";
import type { ShardState } from "../index/shard-state.ts";
import { TAIL_CHUNK_ROWS } from "../limits.ts";
import type { DictionaryCheck } from "./check-dictionary.ts";
import { TailKeysCheck } from "./check-tail-keys.ts";
import type { Problems } from "./problems.ts";

/** Rows of one key in the postings: how many, and what a hull must contain. */
interface KeyRows {
  rows: number;
  /** Above every run number. */
  runs: number;
  minMs: number;
  maxMs: number;
}

export function checkShard(
  db: IndexDatabase,
  shard: ShardState,
  dictionary: DictionaryCheck,
  problems: Problems,
): void {
  new ShardCheck(db, shard, dictionary, problems).run();
}

class ShardCheck {
  readonly #db: IndexDatabase;
  readonly #shard: ShardState;
  readonly #dictionary: DictionaryCheck;
  readonly #problems: Problems;
  readonly #start: Uint8Array;
  readonly #end: Uint8Array;
  readonly #place: string;
  /** Rows that the blocks ask for and no table has shown yet. */
  readonly #expected = new Set<string>();
  /** Blocks with rows in the tail: none of theirs may be in the postings. */
  readonly #inTail = new Set<string>();
  readonly #keys = new Map<number, KeyRows>();

  constructor(
    db: IndexDatabase,
    shard: ShardState,
    dictionary: DictionaryCheck,
    problems: Problems,
  ) {
    this.#db = db;
    this.#shard = shard;
    this.#dictionary = dictionary;
    this.#problems = problems;
    this.#start = new KeyBuffer(4).u32(0, shard.ordinal).bytes;
    this.#end = new KeyBuffer(4).u32(0, shard.ordinal + 1).bytes;
    const { partition } = shard;
    this.#place = `shard ${shard.shard} of owner ${partition.owner.tenant} at ${partition.startMs}`;
  }

  run(): void {
    this.#readBlocks();
    this.#readTails();
    this.#readPostings();
    this.#readDirectory();
    for (const row of this.#expected) this.#problems.add(`${this.#place} lacks row ${row}`);
    for (const key of this.#keys.keys()) {
      this.#problems.add(`${this.#place} lacks the directory record of key ${key}`);
    }
  }

  #readBlocks(): void {
    const { partition } = this.#shard;
    const reader = new EntryReader(this.#db);
    let blocks = 0;
    let datasets = 0;
    let bytes = 0;
    this.#db.scan("blocks", this.#start, this.#end, (key, length) => {
      reader.reset(0, length);
      blocks++;
      datasets += reader.rowsCount;
      bytes += reader.sizeBytes;
      this.#checkEntry(reader, encodeUlid(key, 4));
      return true;
    });
    this.#problems.same(`${this.#place} blocks`, this.#shard.blocks, blocks);
    this.#problems.same(`${this.#place} datasets`, this.#shard.datasets, datasets);
    this.#problems.same(`${this.#place} bytes`, this.#shard.bytes, bytes);
    const { dictionary } = partition;
    this.#problems.check(dictionary > 0, () => `${this.#place} has no dictionary`);
  }

  #checkEntry(reader: EntryReader, id: string): void {
    const { minTimeMs, maxTimeMs } = reader;
    const what = `${this.#place} block ${id}`;
    const { liveMinMs, liveMaxMs, summaryMinMs, summaryMaxMs } = this.#shard;
    this.#problems.check(reader.id === id, () => `${what} carries the id ${reader.id}`);
    this.#problems.same(`${what} shard`, reader.shard, this.#shard.shard);
    this.#problems.check(
      liveMinMs <= minTimeMs && liveMaxMs >= maxTimeMs,
      () => `${what} is outside of the live bounds`,
    );
    this.#problems.check(
      summaryMinMs <= minTimeMs && summaryMaxMs >= maxTimeMs,
      () => `${what} is outside of the summary`,
    );
    for (const string of [reader.tenant, reader.createdBy]) {
      this.#problems.check(
        this.#dictionary.hasString(string),
        () => `${what} has string ${string}`,
      );
    }
    for (let i = 0; i < reader.rowsCount; i++) {
      const key = reader.rowU32(i, ENTRY_ROW.key);
      this.#problems.check(this.#dictionary.hasKey(key), () => `${what} has key ${key}`);
      const effectiveMinMs = Math.max(minTimeMs, reader.rowF64(i, ENTRY_ROW.minTimeMs));
      const effectiveMaxMs = Math.min(maxTimeMs, reader.rowF64(i, ENTRY_ROW.maxTimeMs));
      this.#expected.add(`${id} ${i} ${key} ${effectiveMinMs} ${effectiveMaxMs}`);
    }
  }

  #readTails(): void {
    const { tailChunks } = this.#shard;
    const tailKeys = new TailKeysCheck(this.#db, this.#shard, this.#place, this.#problems);
    this.#db.scan("tails", this.#start, this.#end, (key, length) => {
      const chunk = keyU32(key, 4);
      this.#problems.check(
        chunk < tailChunks && length > 0 && length <= TAIL_CHUNK_ROWS * ROW_BYTES,
        () => `${this.#place} has tail chunk ${chunk} of ${length} bytes`,
      );
      for (let i = 0; i < length / ROW_BYTES; i++) {
        const row = this.#rowAt(i);
        this.#inTail.add(row.slice(0, row.indexOf(" ")));
        this.#take(row, "tail");
        // The last chunk is still growing: readers always fetch it.
        if (chunk === tailChunks - 1) continue;
        tailKeys.check({
          chunk,
          key: this.#keyAt(i),
          minMs: this.#minAt(i),
          maxMs: this.#maxAt(i),
        });
      }
      return true;
    });
  }

  #readPostings(): void {
    this.#db.scan("postings", this.#start, this.#end, (dbKey, length) => {
      const key = keyU32(dbKey, 4);
      const known = this.#keys.get(key) ?? {
        rows: 0,
        runs: 0,
        minMs: Number.POSITIVE_INFINITY,
        maxMs: Number.NEGATIVE_INFINITY,
      };
      this.#keys.set(key, known);
      known.runs = Math.max(known.runs, keyU32(dbKey, 8) + 1);
      let before = "";
      for (let i = 0; i < length / ROW_BYTES; i++) {
        const row = this.#rowAt(i);
        const [id = "", position = ""] = row.split(" ");
        const place = `${id} ${position.padStart(10, "0")}`;
        this.#problems.check(place > before, () => `${this.#place} key ${key} is not sorted`);
        this.#problems.check(
          !this.#inTail.has(id),
          () => `${this.#place} block ${id} is on both sides`,
        );
        this.#problems.same(`${this.#place} key of a run`, key, this.#keyAt(i));
        before = place;
        this.#take(row, "postings");
        known.rows++;
        known.minMs = Math.min(known.minMs, this.#minAt(i), this.#maxAt(i));
        known.maxMs = Math.max(known.maxMs, this.#minAt(i), this.#maxAt(i));
      }
      this.#problems.check(length > 0, () => `${this.#place} has an empty run of key ${key}`);
      return true;
    });
  }

  #readDirectory(): void {
    this.#db.scan("directory", this.#start, this.#end, (dbKey, length) => {
      let before = -1;
      for (let at = 0; at < length; at += DIRECTORY_RECORD_BYTES) {
        const key = this.#db.u32[at / 4 + DIRECTORY_RECORD.key32] as number;
        const what = `${this.#place} directory record of key ${key}`;
        const known = this.#keys.get(key);
        this.#keys.delete(key);
        this.#problems.check(
          key > before && key >>> KEYS_PER_DIRECTORY_SHIFT === keyU32(dbKey, 4),
          () => `${what} is out of order`,
        );
        before = key;
        const rows = this.#db.u32[at / 4 + DIRECTORY_RECORD.rows32] as number;
        this.#problems.same(`${what} rows`, rows, known?.rows ?? 0);
        const runs = this.#db.u32[at / 4 + DIRECTORY_RECORD.runs32] as number;
        this.#problems.check(
          runs >= (known?.runs ?? 0),
          () => `${what} says ${runs} runs, found ${known?.runs}`,
        );
        const minMs = this.#db.f64[at / 8 + DIRECTORY_RECORD.hullMinMs64] as number;
        const maxMs = this.#db.f64[at / 8 + DIRECTORY_RECORD.hullMaxMs64] as number;
        this.#problems.check(
          known === undefined || (minMs <= known.minMs && maxMs >= known.maxMs),
          () => `${what} is narrower than its rows`,
        );
      }
      return true;
    });
  }

  #take(row: string, table: string): void {
    this.#problems.check(
      this.#expected.delete(row),
      () => `${this.#place} ${table} has row ${row}`,
    );
  }

  #rowAt(i: number): string {
    const id = encodeUlid(this.#db.u8, i * ROW_BYTES + HEAD.id);
    const position = this.#db.u32[i * ROW_WORDS + ROW.position32] as number;
    return `${id} ${position} ${this.#keyAt(i)} ${this.#minAt(i)} ${this.#maxAt(i)}`;
  }

  #keyAt(i: number): number {
    return this.#db.u32[i * ROW_WORDS + ROW.key32] as number;
  }

  #minAt(i: number): number {
    return this.#db.f64[i * ROW_DOUBLES + ROW.minMs64] as number;
  }

  #maxAt(i: number): number {
    return this.#db.f64[i * ROW_DOUBLES + ROW.maxMs64] as number;
  }
}
