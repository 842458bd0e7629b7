/**
 * Shapes of generated data. Alphabets are small, so that operations meet: the same ids, labels and windows come up
 * again and again. Each shape leans on another part of the index.
 */

export interface Shape {
  readonly name: string;
  /** Share of all operations: shapes with many shards cost more per query. */
  readonly share: number;
  readonly owners: readonly string[];
  readonly tenants: readonly string[];
  readonly shards: readonly number[];
  /** Starts of the windows in which blocks are created, Unix ms. */
  readonly windowsMs: readonly number[];
  /** Ids per window: few means that many additions are repetitions. */
  readonly idsPerWindow: number;
  readonly datasetsMax: number;
  readonly labelSetsMax: number;
  /** Distinct lists of label sets: few make long postings. */
  readonly labelListsCount: number;
  /** Blocks at which additions give way to removals. */
  readonly blocksMax: number;
  /** Weights of the operations that remove, against 100 for all additions. */
  readonly removalWeight: number;
  /** Share of the removals that take whole shards. */
  readonly shardRemovals: number;
  /** Share of reads that ask for everything at any time. */
  readonly wideReads: number;
  /** Bytes of the query engine's caches: small ones are always being emptied. */
  readonly cacheBytes: number;
}

const WINDOW_MS = 21_600_000;
/** 2025-03-06T00:00Z, a Thursday: the start of a 7-day epoch, so that the windows below lie in two of them. */
const EPOCH_MS = 20_153 * 86_400_000;

const windows = (...offsets: number[]): number[] => offsets.map((n) => EPOCH_MS + n * WINDOW_MS);

const MIB = 1024 * 1024;

export const SHAPES: readonly Shape[] = [
  {
    name: "many small shards",
    share: 0.15,
    // "-" and "anonymous" are ordinary names here, and no other (W10). The last two differ in UTF-16 and UTF-8 order.
    owners: ["", "", "a", "b", "-", "anonymous", "～", "😀"],
    tenants: ["a", "b", "-", "anonymous", "～", "😀"],
    shards: [0, 1, 2, 10, 2_147_483_648, 4_294_967_295],
    windowsMs: windows(-29, -1, 0, 1, 28),
    idsPerWindow: 40,
    datasetsMax: 3,
    labelSetsMax: 3,
    labelListsCount: 60,
    blocksMax: 250,
    removalWeight: 40,
    shardRemovals: 0.3,
    wideReads: 0.03,
    cacheBytes: 64 * MIB,
  },
  {
    name: "two shards with long tails and postings",
    share: 0.25,
    owners: ["", "a"],
    tenants: ["a", "b", "c"],
    shards: [1],
    windowsMs: windows(0),
    idsPerWindow: 2_000,
    // A tail is moved to the postings at 1,632 rows: every hundred blocks of a shard.
    datasetsMax: 32,
    labelSetsMax: 3,
    labelListsCount: 12,
    blocksMax: 400,
    removalWeight: 12,
    shardRemovals: 0.02,
    wideReads: 0.01,
    cacheBytes: 64 * MIB,
  },
  {
    name: "churn with caches that hold nothing",
    share: 0.6,
    owners: ["", "a", "b"],
    tenants: ["a", "b"],
    shards: [1, 2, 3],
    windowsMs: windows(-1, 0, 28),
    idsPerWindow: 12,
    datasetsMax: 4,
    labelSetsMax: 4,
    labelListsCount: 60,
    blocksMax: 60,
    removalWeight: 120,
    shardRemovals: 0.3,
    wideReads: 0.1,
    cacheBytes: 4_096,
  },
];
