/**
 * The dataset rows of one shard that match: keys from the resolution, times from the rows themselves.
 *
 * Rows live in the tail (new datasets, unsorted, at most 1,632; `tailKeys` says which of its chunks to fetch) or in
 * postings (one run per key). The directory says which keys have postings at all, how many, and their time hull, so
 * that a shard without a match costs three short reads. When the matching rows come close to all rows, reading the blocks themselves in order is cheaper:
 * `prefersBlockScan` compares the two by measured costs.
 */

import {
  DIRECTORY_RECORD,
  DIRECTORY_RECORD_BYTES,
  type IndexDatabase,
  KEYS_PER_DIRECTORY_SHIFT,
  KeyBuffer,
  ROW,
  ROW_BYTES,
  TAIL_KEYS,
} from "../../db/index.ts";
import { overlaps, type ShardRecord, type TimeRange } from "./candidates.ts";
import { dataLoss } from "./data-loss.ts";
import type { ReadCounters } from "./explain.ts";
import { hasBit, type Resolution } from "./resolver.ts";
import type { RowList } from "./row-list.ts";

const ROW_WORDS = ROW_BYTES / 4;
const ROW_DOUBLES = ROW_BYTES / 8;
const DIRECTORY_WORDS = DIRECTORY_RECORD_BYTES / 4;
const DIRECTORY_DOUBLES = DIRECTORY_RECORD_BYTES / 8;

/** Called for a directory record whose key matches and whose hull overlaps. Must not read the database. */
type DirectoryVisitor = (key: number, record: DirectoryHit) => void;

/** The rest of that record. Reused from call to call. */
interface DirectoryHit {
  rows: number;
  runs: number;
  /** All rows of the key overlap. */
  isInside: boolean;
}

export class ShardRows {
  readonly #db: IndexDatabase;
  readonly #counters: ReadCounters;
  readonly #shardKey = new KeyBuffer(4);
  readonly #chunkKey = new KeyBuffer(8);
  readonly #chunkEnd = new KeyBuffer(8);
  readonly #postingStart = new KeyBuffer(12);
  readonly #postingEnd = new KeyBuffer(12);
  /** Postings to read. */
  #ranges: PostingRange[] = [];
  #hitRows = 0;
  readonly #hit: DirectoryHit = { rows: 0, runs: 0, isInside: false };

  constructor(db: IndexDatabase, counters: ReadCounters) {
    this.#db = db;
    this.#counters = counters;
  }

  /**
   * Adds the matching rows of a shard to `rows`, or returns false, and adds nothing, when a scan of the shard's
   * blocks finds them for less.
   */
  collect(shard: ShardRecord, resolution: Resolution, range: TimeRange, rows: RowList): boolean {
    this.#planPostings(shard, resolution, range);
    if (this.#prefersBlockScan(shard)) return false;
    this.#collectTail(shard, resolution, range, rows);
    for (const hits of this.#ranges) this.#collectPostings(shard, hits, range, rows);
    return true;
  }

  /** Visits the tail rows of the shard that overlap the range and whose key has its bit in `wanted`. */
  visitTailKeys(
    shard: ShardRecord,
    wanted: WantedKeys,
    range: TimeRange,
    visit: (key: number) => void,
  ): void {
    const { u32 } = this.#db;
    this.#scanTail(shard, wanted, range, (word) => visit(u32[word + ROW.key32] as number));
  }

  /** Visits directory records of wanted keys that may have a row in the range; `isInside`: all rows surely are. */
  visitDirectory(
    shard: ShardRecord,
    wanted: WantedKeys,
    range: TimeRange,
    visit: DirectoryVisitor,
  ): void {
    const groups = groupsOf(wanted, DIRECTORY_GETS_MAX + 1);
    if (groups.length <= DIRECTORY_GETS_MAX) {
      for (const group of groups) {
        const size = this.#db.get(
          "directory",
          this.#chunkKey.u32(0, shard.ordinal).u32(4, group).bytes,
        );
        if (size > 0) this.#visitDirectoryChunk(size, wanted.bitmap, range, visit);
      }
      return;
    }
    const start = this.#chunkKey.u32(0, shard.ordinal).u32(4, groups[0] as number).bytes;
    const end = this.#chunkEnd.u32(0, shard.ordinal).u32(4, 0xffff_ffff).bytes;
    this.#db.scan("directory", start, end, (_key, size) => {
      this.#visitDirectoryChunk(size, wanted.bitmap, range, visit);
      return true;
    });
  }

  /** Whether some posting row of the key overlaps the range. */
  hasPostingIn(shard: ShardRecord, key: number, runs: number, range: TimeRange): boolean {
    let isFound = false;
    this.#readPostings(shard, { firstKey: key, lastKey: key, runs }, (size) => {
      const { f64 } = this.#db;
      const end = size / 8;
      for (let double = 0; double < end && !isFound; double += ROW_DOUBLES) {
        this.#counters.rowsScanned++;
        const minMs = f64[double + ROW.minMs64] as number;
        isFound = overlaps(range, minMs, f64[double + ROW.maxMs64] as number);
      }
      return !isFound;
    });
    return isFound;
  }

  /** Turns matching directory records into ranges of posting keys. */
  #planPostings(shard: ShardRecord, resolution: Resolution, range: TimeRange): void {
    this.#ranges = [];
    this.#hitRows = 0;
    this.visitDirectory(shard, resolution, range, (key, { rows, runs }) => {
      this.#hitRows += rows;
      const last = this.#ranges.at(-1);
      // Direct neighbours share a scan. A gap would read runs nobody asked for, of unknown length.
      if (last === undefined || key !== last.lastKey + 1) {
        this.#ranges.push({ firstKey: key, lastKey: key, runs });
      } else {
        last.lastKey = key;
        last.runs = Math.max(last.runs, runs);
      }
    });
  }

  #prefersBlockScan(shard: ShardRecord): boolean {
    let postingsUs = Math.min(this.#hitRows, shard.blocks) * COST_US.get;
    for (const hits of this.#ranges) {
      const reads = readsOf(hits);
      postingsUs +=
        reads <= POSTING_GETS_MAX ? reads * COST_US.get : COST_US.scan + reads * COST_US.step;
    }
    const blocksUs = COST_US.scan + shard.blocks * COST_US.step + shard.datasets * COST_US.dataset;
    return blocksUs < postingsUs;
  }

  #collectTail(shard: ShardRecord, resolution: Resolution, range: TimeRange, rows: RowList): void {
    if (shard.tailChunks === 0) return;
    this.#scanTail(shard, resolution, range, (word) => rows.push(this.#db.u32, word));
  }

  /** Calls with the word offset of each row; the row is borrowed. */
  #scanTail(
    shard: ShardRecord,
    wanted: WantedKeys,
    range: TimeRange,
    visit: (word: number) => void,
  ): void {
    const last = shard.tailChunks - 1;
    if (last < 0) return;
    let closed = this.#closedChunks(shard, wanted, range);
    for (; closed !== 0; closed &= closed - 1) {
      this.#scanTailChunk(shard, 31 - Math.clz32(closed & -closed), wanted, range, visit);
    }
    this.#scanTailChunk(shard, last, wanted, range, visit);
  }

  /** Bits of the closed tail chunks that may hold rows of wanted keys in the range. */
  #closedChunks(shard: ShardRecord, wanted: WantedKeys, range: TimeRange): number {
    if (shard.tailChunks < 2) return 0;
    const size = this.#db.get("tailKeys", this.#shardKey.u32(0, shard.ordinal).bytes);
    if (size <= TAIL_KEYS.headBytes)
      throw dataLoss(`tail keys of shard ${shard.ordinal} are missing`);
    const inTime = this.#chunksInTime(shard.tailChunks - 1, range);
    return inTime === 0 ? 0 : inTime & this.#chunksOfKeys(size, wanted);
  }

  #chunksInTime(count: number, range: TimeRange): number {
    const { f64 } = this.#db;
    let chunks = 0;
    for (let chunk = 0; chunk < count; chunk++) {
      const lowMs = f64[2 * chunk] as number;
      if (overlaps(range, lowMs, f64[2 * chunk + 1] as number)) chunks |= 1 << chunk;
    }
    return chunks;
  }

  #chunksOfKeys(sizeBytes: number, { keys, bitmap }: WantedKeys): number {
    const { u32 } = this.#db;
    const first = TAIL_KEYS.headBytes / 4;
    const pairs = (sizeBytes - TAIL_KEYS.headBytes) / 8;
    let chunks = 0;
    if (keys !== null && keys.length * SEARCH_STEPS < pairs) {
      for (const key of keys) chunks |= chunksOf(u32, first, pairs, key);
    } else {
      for (let word = first; word < first + 2 * pairs; word += 2) {
        if (hasBit(bitmap, u32[word] as number)) chunks |= u32[word + 1] as number;
      }
    }
    return chunks;
  }

  #scanTailChunk(
    shard: ShardRecord,
    chunk: number,
    wanted: WantedKeys,
    range: TimeRange,
    visit: (word: number) => void,
  ): void {
    const { u32, f64 } = this.#db;
    // Most queries name one service: a comparison instead of a look into the bitmap.
    const only = wanted.keys?.length === 1 ? (wanted.keys[0] as number) : -1;
    const size = this.#db.get("tails", this.#chunkKey.u32(0, shard.ordinal).u32(4, chunk).bytes);
    // Removals may leave no row of a chunk.
    if (size <= 0) return;
    const count = rowCount(size);
    this.#counters.rowsScanned += count;
    const end = count * ROW_WORDS;
    for (let word = 0; word < end; word += ROW_WORDS) {
      const key = u32[word + ROW.key32] as number;
      if (only >= 0 ? key !== only : !hasBit(wanted.bitmap, key)) continue;
      const double = word >>> 1;
      const minMs = f64[double + ROW.minMs64] as number;
      if (overlaps(range, minMs, f64[double + ROW.maxMs64] as number)) visit(word);
    }
  }

  #collectPostings(shard: ShardRecord, hits: PostingRange, range: TimeRange, rows: RowList): void {
    const { u32, f64 } = this.#db;
    this.#readPostings(shard, hits, (size) => {
      const count = rowCount(size);
      this.#counters.rowsScanned += count;
      for (let i = 0; i < count; i++) {
        const double = i * ROW_DOUBLES;
        const minMs = f64[double + ROW.minMs64] as number;
        if (overlaps(range, minMs, f64[double + ROW.maxMs64] as number)) {
          rows.push(u32, i * ROW_WORDS);
        }
      }
      return true;
    });
  }

  /** Visits the runs of the keys: by name when they are few, else by a scan. */
  #readPostings(
    shard: ShardRecord,
    hits: PostingRange,
    visit: (sizeBytes: number) => boolean,
  ): void {
    if (readsOf(hits) > POSTING_GETS_MAX) {
      this.#scanPostings(shard, hits.firstKey, hits.lastKey, visit);
      return;
    }
    this.#postingStart.u32(0, shard.ordinal);
    for (let key = hits.firstKey; key <= hits.lastKey; key++) {
      for (let run = 0; run < hits.runs; run++) {
        const size = this.#db.get("postings", this.#postingStart.u32(4, key).u32(8, run).bytes);
        // A run may be gone, and its neighbour key may have fewer.
        if (size > 0 && !visit(size)) return;
      }
    }
  }

  #scanPostings(
    shard: ShardRecord,
    first: number,
    last: number,
    visit: (sizeBytes: number) => boolean,
  ): void {
    const start = this.#postingStart.u32(0, shard.ordinal).u32(4, first).u32(8, 0).bytes;
    const end = this.#postingEnd
      .u32(0, shard.ordinal)
      .u32(4, last + 1)
      .u32(8, 0).bytes;
    this.#db.scan("postings", start, end, (_key, size) => visit(size));
  }

  #visitDirectoryChunk(
    sizeBytes: number,
    wanted: Uint32Array,
    range: TimeRange,
    visit: DirectoryVisitor,
  ): void {
    if (sizeBytes % DIRECTORY_RECORD_BYTES !== 0) throw dataLoss("a directory chunk is damaged");
    const { u32, f64 } = this.#db;
    const count = sizeBytes / DIRECTORY_RECORD_BYTES;
    for (let i = 0; i < count; i++) {
      const key = u32[i * DIRECTORY_WORDS + DIRECTORY_RECORD.key32] as number;
      if (!hasBit(wanted, key)) continue;
      const lowMs = f64[i * DIRECTORY_DOUBLES + DIRECTORY_RECORD.hullMinMs64] as number;
      const highMs = f64[i * DIRECTORY_DOUBLES + DIRECTORY_RECORD.hullMaxMs64] as number;
      if (!overlaps(range, lowMs, highMs)) continue;
      this.#hit.isInside = range.startMs <= lowMs && highMs <= range.endMs;
      this.#hit.rows = u32[i * DIRECTORY_WORDS + DIRECTORY_RECORD.rows32] as number;
      this.#hit.runs = u32[i * DIRECTORY_WORDS + DIRECTORY_RECORD.runs32] as number;
      visit(key, this.#hit);
    }
  }
}

/** Neighbouring keys whose postings match, and the most runs that one of them has. */
interface PostingRange {
  readonly firstKey: number;
  lastKey: number;
  runs: number;
}

/** Reads by name that the postings of a range take at most. */
function readsOf(hits: PostingRange): number {
  return (hits.lastKey - hits.firstKey + 1) * hits.runs;
}

/** Keys that are looked for. */
export interface WantedKeys {
  readonly bitmap: Uint32Array;
  /** The same, ascending; null when only the bitmap is known. */
  readonly keys: Uint32Array | null;
}

/** Bits of the key's chunks among sorted (key, bits) pairs that begin at words[first]. */
function chunksOf(words: Uint32Array, first: number, pairs: number, key: number): number {
  let low = 0;
  let high = pairs;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((words[first + 2 * middle] as number) < key) low = middle + 1;
    else high = middle;
  }
  const word = first + 2 * low;
  return low < pairs && words[word] === key ? (words[word + 1] as number) : 0;
}

/** A binary search costs about as much as looking at this many pairs. */
const SEARCH_STEPS = 16;

function rowCount(sizeBytes: number): number {
  if (sizeBytes % ROW_BYTES !== 0) throw dataLoss("a run of rows is damaged");
  return sizeBytes / ROW_BYTES;
}

/** Numbers of the directory chunks that can hold wanted keys, ascending; at most `countMax` of them. */
function groupsOf(wanted: WantedKeys, countMax: number): number[] {
  const { keys, bitmap } = wanted;
  const groups: number[] = [];
  if (keys !== null && keys.length < bitmap.length) {
    for (const key of keys) {
      const group = key >>> KEYS_PER_DIRECTORY_SHIFT;
      if (groups.at(-1) === group) continue;
      groups.push(group);
      if (groups.length === countMax) break;
    }
    return groups;
  }
  for (let word = 0; word < bitmap.length && groups.length < countMax; word++) {
    if (bitmap[word] === 0) continue;
    const group = word >>> (KEYS_PER_DIRECTORY_SHIFT - 5);
    groups.push(group);
    word = ((group + 1) << (KEYS_PER_DIRECTORY_SHIFT - 5)) - 1;
  }
  return groups;
}

/** Above this many runs one scan is cheaper than reads by name. */
const POSTING_GETS_MAX = 5;

/** Above this many chunks one scan is cheaper than reads by key: starting a scan costs about five reads. */
const DIRECTORY_GETS_MAX = 6;

/** Measured on rows of a few hundred bytes: what the choice between postings and blocks is made from. */
const COST_US = {
  /** Starting a range scan. */
  scan: 6,
  /** One row of a scan. */
  step: 0.5,
  /** One read by key. */
  get: 1.2,
  /** Comparing one dataset of a block. */
  dataset: 0.01,
} as const;
