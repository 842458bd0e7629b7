/**
 * The `postings` table: rows of a shard grouped by dataset key, in runs as they were flushed from the tail.
 */

import { assert } from "../../base/index.ts";
import { type IndexDatabase, KeyBuffer, keyU32, ROW, ROW_BYTES } from "../../db/index.ts";
import type { StateMetrics } from "../metrics.ts";
import { type DirectoryChange, updateDirectory } from "./directory.ts";
import { compareIds, compareRows, ROW_DOUBLES, ROW_WORDS, RowBuffer } from "./rows.ts";

const runKey = new KeyBuffer(12);
const scanStart = new KeyBuffer(12);
const scanEnd = new KeyBuffer(12);

export interface PostingsModules {
  readonly db: IndexDatabase;
  readonly metrics: StateMetrics;
}

/** A run that loses rows: what stays of it. */
interface ChangedRun {
  readonly run: number;
  readonly rest: Uint8Array;
}

export class Postings {
  readonly #db: IndexDatabase;
  readonly #metrics: StateMetrics;
  readonly #run = new RowBuffer();

  constructor(modules: PostingsModules) {
    this.#db = modules.db;
    this.#metrics = modules.metrics;
  }

  /** Adds rows of one shard, in any order: one run per key. Cost: a put per key, 0.1 us per row. */
  add(ordinal: number, rows: RowBuffer): void {
    const groups = groupByKey(rows);
    const keys = Uint32Array.from(groups.keys()).sort();
    const changes: DirectoryChange[] = [];
    for (const key of keys) {
      const group = groups.get(key) as number[];
      sortRows(rows.words, group);
      changes.push(hullOf(key, rows, group));
    }
    const runs = updateDirectory(this.#db, ordinal, changes);
    for (const [position, key] of keys.entries()) {
      this.#run.count = 0;
      for (const i of groups.get(key) as number[]) this.#run.appendRow(rows.words, i);
      runKey
        .u32(0, ordinal)
        .u32(4, key)
        .u32(8, runs[position] as number);
      this.#db.put("postings", runKey.bytes, this.#run.content());
    }
    this.#metrics.postingRuns += keys.length;
  }

  /**
   * Removes rows, all of which must be there.
   *
   * Shape: ascending by (key, ULID, position), as `RemovedRows` sorts them.
   * Cost: one scan over the runs of each key, which ends when its rows are found.
   */
  remove(ordinal: number, rows: RowBuffer): void {
    const changes: DirectoryChange[] = [];
    let start = 0;
    while (start < rows.count) {
      const key = rows.keyAt(start);
      let end = start + 1;
      while (end < rows.count && rows.keyAt(end) === key) end++;
      this.#removeOfKey(ordinal, key, rows, start, end);
      changes.push({
        key,
        rows: start - end,
        runs: 0,
        hullMinMs: Number.POSITIVE_INFINITY,
        hullMaxMs: Number.NEGATIVE_INFINITY,
      });
      start = end;
    }
    updateDirectory(this.#db, ordinal, changes);
  }

  #removeOfKey(ordinal: number, key: number, rows: RowBuffer, start: number, end: number): void {
    const changed: ChangedRun[] = [];
    let missing = end - start;
    this.#db.scan(
      "postings",
      scanStart.u32(0, ordinal).u32(4, key).u32(8, 0).bytes,
      scanEnd.u32(0, ordinal).u32(4, key).u32(8, 0xffff_ffff).bytes,
      (dbKey, length) => {
        const found = this.#filterRun(length / ROW_BYTES, rows, start, end);
        if (found > 0) changed.push({ run: keyU32(dbKey, 8), rest: this.#run.content().slice() });
        missing -= found;
        return missing > 0;
      },
    );
    assert(missing === 0, `${missing} posting rows of key ${key} are missing in shard ${ordinal}`);
    for (const { run, rest } of changed) {
      runKey.u32(0, ordinal).u32(4, key).u32(8, run);
      if (rest.length === 0) this.#db.remove("postings", runKey.bytes);
      else this.#db.put("postings", runKey.bytes, rest);
    }
  }

  /** Leaves in #run what stays of the run in the scratch buffer; returns how many rows go. */
  #filterRun(runRows: number, rows: RowBuffer, start: number, end: number): number {
    const { u32 } = this.#db;
    const last = (runRows - 1) * ROW_WORDS;
    if (compareIds(u32, last, rows.words, start * ROW_WORDS) < 0) return 0;
    if (compareIds(u32, 0, rows.words, (end - 1) * ROW_WORDS) > 0) return 0;
    this.#run.count = 0;
    let wanted = start;
    for (let i = 0; i < runRows; i++) {
      while (wanted < end && compareTo(u32, i, rows, wanted) > 0) wanted++;
      if (wanted < end && compareTo(u32, i, rows, wanted) === 0) continue;
      this.#run.appendRow(u32, i);
    }
    return runRows - this.#run.count;
  }
}

/** Row `i` of `words` against a wanted row: by ULID, then position. */
function compareTo(words: Uint32Array, i: number, rows: RowBuffer, wanted: number): number {
  const a = i * ROW_WORDS;
  const b = wanted * ROW_WORDS;
  const byId = compareIds(words, a, rows.words, b);
  if (byId !== 0) return byId;
  return (words[a + ROW.position32] as number) - (rows.words[b + ROW.position32] as number);
}

function groupByKey(rows: RowBuffer): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (let i = 0; i < rows.count; i++) {
    const key = rows.keyAt(i);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [i]);
    else group.push(i);
  }
  return groups;
}

/** Blocks arrive nearly in the order of their ids: most groups are sorted already. */
function sortRows(words: Uint32Array, group: number[]): void {
  for (let i = 1; i < group.length; i++) {
    if (compareRows(words, group[i - 1] as number, group[i] as number) > 0) {
      group.sort((a, b) => compareRows(words, a, b));
      return;
    }
  }
}

function hullOf(key: number, rows: RowBuffer, group: readonly number[]): DirectoryChange {
  let hullMinMs = Number.POSITIVE_INFINITY;
  let hullMaxMs = Number.NEGATIVE_INFINITY;
  for (const i of group) {
    const minMs = rows.doubles[i * ROW_DOUBLES + ROW.minMs64] as number;
    const maxMs = rows.doubles[i * ROW_DOUBLES + ROW.maxMs64] as number;
    hullMinMs = Math.min(hullMinMs, minMs, maxMs);
    hullMaxMs = Math.max(hullMaxMs, minMs, maxMs);
  }
  return { key, rows: group.length, runs: 1, hullMinMs, hullMaxMs };
}
