/**
 * What an index holds, for comparing: the rows of every table, and blocks with their strings resolved.
 */

import {
  type IndexDatabase,
  KEYS_PER_CHUNK_SHIFT,
  KeyBuffer,
  STRINGS_PER_CHUNK_SHIFT,
  TABLES,
} from "../../src/db/index.ts";
import { ENTRY_ROW, EntryReader } from "../../src/protocol/index.ts";
import { partitionStartOf, PARTITION_SEC } from "../../src/state/index.ts";
import { tenantIdOf } from "../../src/state/tombstones/read.ts";
import { tryDecodeUlid, ulidTimeMs } from "../../src/base/index.ts";

const FIRST = new Uint8Array(1);
const LAST = new Uint8Array(1100).fill(0xff);

/** Every row of every table, as text. Inside a read transaction. */
export function dumpTables(db: IndexDatabase): string[] {
  const rows: string[] = [];
  for (const table of TABLES) {
    db.scan(table, FIRST, LAST, (key, length) => {
      const value = Buffer.from(db.u8.slice(0, length)).toString("hex");
      rows.push(`${table} ${Buffer.from(new Uint8Array(key)).toString("hex")} ${value}`);
      return true;
    });
  }
  return rows;
}

/** A stored dataset with its strings. */
export interface PlainDataset {
  readonly tenant: string;
  readonly name: string;
  readonly sets: readonly (readonly string[])[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly toc: readonly bigint[];
}

export interface PlainBlock {
  readonly id: string;
  readonly tenant: string;
  readonly createdBy: string;
  readonly level: number;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly sizeBytes: number;
  readonly datasets: readonly PlainDataset[];
}

/** The block with that id, or null. Inside a read transaction. */
export function readBlock(
  db: IndexDatabase,
  tenant: string,
  shard: number,
  id: string,
): PlainBlock | null {
  const ulid = new Uint8Array(16);
  if (!tryDecodeUlid(id, ulid, 0)) return null;
  const place = findShard(db, tenantIdOf(db, tenant), partitionStartOf(ulidTimeMs(ulid, 0)), shard);
  if (place === null) return null;
  const key = new KeyBuffer(20).u32(0, place.ordinal).copy(4, ulid, 0, 16).bytes;
  const length = db.get("blocks", key);
  if (length < 0) return null;
  const views = {
    u8: db.u8.slice(0, length),
    i32: db.i32.slice(0, length / 4),
    f64: db.f64.slice(0, length / 8),
  };
  const entry = new EntryReader(views);
  entry.reset(0, length);
  const text = (s: number): string => stringOf(db, place.dictionary, s);
  return {
    id: entry.id,
    tenant: text(entry.tenant),
    createdBy: text(entry.createdBy),
    level: entry.compactionLevel,
    minTimeMs: entry.minTimeMs,
    maxTimeMs: entry.maxTimeMs,
    sizeBytes: entry.sizeBytes,
    datasets: Array.from({ length: entry.rowsCount }, (_, i) => {
      const ints = keyOf(db, place.dictionary, entry.rowU32(i, ENTRY_ROW.key));
      const toc = new BigUint64Array(views.u8.buffer, entry.tocOffset, entry.tocCount);
      const tocStart = entry.rowU32(i, ENTRY_ROW.tocStart);
      return {
        tenant: text(ints[0] ?? 0),
        name: text(ints[1] ?? 0),
        sets: setsOf(ints.slice(2)).map((set) => set.map(text)),
        minTimeMs: entry.rowF64(i, ENTRY_ROW.minTimeMs),
        maxTimeMs: entry.rowF64(i, ENTRY_ROW.maxTimeMs),
        toc: [...toc.subarray(tocStart, tocStart + entry.rowU32(i, ENTRY_ROW.tocCount))],
      };
    }),
  };
}

export interface PlainShard {
  readonly ordinal: number;
  readonly dictionary: number;
  readonly blocks: number;
  readonly summaryMinMs: number;
  readonly summaryMaxMs: number;
  readonly liveMinMs: number;
  readonly liveMaxMs: number;
  readonly version: number;
}

/** The record of a shard, or null. Inside a read transaction. */
export function findShard(
  db: IndexDatabase,
  tenant: number,
  startMs: number,
  shard: number,
): PlainShard | null {
  if (tenant < 0) return null;
  const key = new KeyBuffer(16).u32(0, tenant).u64(4, startMs).u32(12, PARTITION_SEC).bytes;
  const length = db.get("partitions", key);
  for (let at = 0; at < length; at += 72) {
    const word = at / 4;
    if (db.u32[word] !== shard) continue;
    const double = (i: number): number => db.f64[at / 8 + i] as number;
    return {
      ordinal: db.u32[word + 1] as number,
      dictionary: db.u32[word + 2] as number,
      blocks: db.u32[word + 3] as number,
      summaryMinMs: double(2),
      summaryMaxMs: double(3),
      liveMinMs: double(4),
      liveMaxMs: double(5),
      version: double(6),
    };
  }
  return null;
}

function stringOf(db: IndexDatabase, dictionary: number, id: number): string {
  const chunk = new KeyBuffer(8).u32(0, dictionary).u32(4, id >>> STRINGS_PER_CHUNK_SHIFT).bytes;
  if (db.get("strings", chunk) < 0) return "<no chunk>";
  const count = db.u32[0] as number;
  const i = id & ((1 << STRINGS_PER_CHUNK_SHIFT) - 1);
  if (i >= count) return "<no string>";
  const content = 4 + 4 * count;
  const start = i === 0 ? 0 : (db.u32[i] as number);
  const end = db.u32[1 + i] as number;
  return Buffer.from(db.u8.slice(content + start, content + end)).toString("utf8");
}

function keyOf(db: IndexDatabase, dictionary: number, key: number): number[] {
  const chunk = new KeyBuffer(8).u32(0, dictionary).u32(4, key >>> KEYS_PER_CHUNK_SHIFT).bytes;
  if (db.get("keys", chunk) < 0) return [];
  const count = db.u32[0] as number;
  const i = key & ((1 << KEYS_PER_CHUNK_SHIFT) - 1);
  const start = i === 0 ? 0 : (db.u32[i] as number);
  return [...db.i32.slice(1 + count + start, 1 + count + (db.u32[1 + i] as number))];
}

function setsOf(ints: readonly number[]): number[][] {
  const sets: number[][] = [];
  let at = 0;
  while (at < ints.length) {
    const end = at + 1 + 2 * (ints[at] as number);
    sets.push(ints.slice(at + 1, end));
    at = end;
  }
  return sets;
}
