/**
 * The `directory` table: per shard and dataset key, how many rows the postings hold and between which times.
 */

import { assert } from "../../base/index.ts";
import {
  DIRECTORY_RECORD,
  DIRECTORY_RECORD_BYTES,
  type IndexDatabase,
  KEYS_PER_DIRECTORY_SHIFT,
  KeyBuffer,
} from "../../db/index.ts";

const RECORD_WORDS = DIRECTORY_RECORD_BYTES / 4;
const RECORD_DOUBLES = DIRECTORY_RECORD_BYTES / 8;

/** What happened to the postings of one key: rows added (or, negative, removed), and the hull of what was added. */
export interface DirectoryChange {
  readonly key: number;
  readonly rows: number;
  /** Runs added: 1 or 0. */
  readonly runs: number;
  readonly hullMinMs: number;
  readonly hullMaxMs: number;
}

const dbKey = new KeyBuffer(8);
const value = new Uint8Array(DIRECTORY_RECORD_BYTES << KEYS_PER_DIRECTORY_SHIFT);
const words = new Uint32Array(value.buffer);
const doubles = new Float64Array(value.buffer);

/**
 * Applies changes to the records of one shard.
 *
 * Shape: ascending by key, each key once. The result has the runs of each key before its change: the number that an
 *   added run gets.
 */
export function updateDirectory(
  db: IndexDatabase,
  ordinal: number,
  changes: readonly DirectoryChange[],
): Uint32Array {
  const runsBefore = new Uint32Array(changes.length);
  let start = 0;
  while (start < changes.length) {
    const chunk = (changes[start] as DirectoryChange).key >>> KEYS_PER_DIRECTORY_SHIFT;
    let end = start + 1;
    while (
      changes[end] !== undefined &&
      (changes[end] as DirectoryChange).key >>> KEYS_PER_DIRECTORY_SHIFT === chunk
    ) {
      end++;
    }
    updateChunk(db, ordinal, chunk, changes.slice(start, end), runsBefore.subarray(start, end));
    start = end;
  }
  return runsBefore;
}

function updateChunk(
  db: IndexDatabase,
  ordinal: number,
  chunk: number,
  changes: readonly DirectoryChange[],
  runsBefore: Uint32Array,
): void {
  const key = dbKey.u32(0, ordinal).u32(4, chunk).bytes;
  const length = db.get("directory", key);
  const stored = length < 0 ? 0 : length / DIRECTORY_RECORD_BYTES;
  let records = 0;
  let next = 0;
  for (let i = 0; i < stored; i++) {
    const storedKey = db.u32[i * RECORD_WORDS + DIRECTORY_RECORD.key32] as number;
    for (; next < changes.length && (changes[next] as DirectoryChange).key < storedKey; next++) {
      records = put(records, changes[next] as DirectoryChange);
    }
    const change = changes[next];
    if (change !== undefined && change.key === storedKey) {
      const record = recordAt(db, i);
      runsBefore[next] = record.runs;
      records = put(records, merged(record, change));
      next++;
    } else {
      records = put(records, recordAt(db, i));
    }
  }
  for (; next < changes.length; next++) records = put(records, changes[next] as DirectoryChange);
  if (records === 0) db.remove("directory", key);
  else db.put("directory", key, value.subarray(0, records * DIRECTORY_RECORD_BYTES));
}

function recordAt(db: IndexDatabase, i: number): DirectoryChange {
  return {
    key: db.u32[i * RECORD_WORDS + DIRECTORY_RECORD.key32] as number,
    rows: db.u32[i * RECORD_WORDS + DIRECTORY_RECORD.rows32] as number,
    runs: db.u32[i * RECORD_WORDS + DIRECTORY_RECORD.runs32] as number,
    hullMinMs: db.f64[i * RECORD_DOUBLES + DIRECTORY_RECORD.hullMinMs64] as number,
    hullMaxMs: db.f64[i * RECORD_DOUBLES + DIRECTORY_RECORD.hullMaxMs64] as number,
  };
}

function merged(record: DirectoryChange, change: DirectoryChange): DirectoryChange {
  return {
    key: record.key,
    rows: record.rows + change.rows,
    runs: record.runs + change.runs,
    hullMinMs: Math.min(record.hullMinMs, change.hullMinMs),
    hullMaxMs: Math.max(record.hullMaxMs, change.hullMaxMs),
  };
}

/** Writes record number `records` and returns the number after it. Records without rows vanish. */
function put(records: number, record: DirectoryChange): number {
  assert(record.rows >= 0, `Key ${record.key} has ${record.rows} posting rows`);
  if (record.rows === 0) return records;
  words[records * RECORD_WORDS + DIRECTORY_RECORD.key32] = record.key;
  words[records * RECORD_WORDS + DIRECTORY_RECORD.rows32] = record.rows;
  words[records * RECORD_WORDS + DIRECTORY_RECORD.runs32] = record.runs;
  words[records * RECORD_WORDS + 3] = 0;
  doubles[records * RECORD_DOUBLES + DIRECTORY_RECORD.hullMinMs64] = record.hullMinMs;
  doubles[records * RECORD_DOUBLES + DIRECTORY_RECORD.hullMaxMs64] = record.hullMaxMs;
  return records + 1;
}
