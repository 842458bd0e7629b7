/**
 * What queries cost, counted where it happens. Plain numbers that only grow; the owner of the engine turns them into
 * metrics, and the difference around one query explains it.
 */
export interface ReadCounters {
  /** Partitions whose live bounds were compared with a query range. */
  partitionsSeen: number;
  /** Shards of partitions that passed. */
  shardsSeen: number;
  /** Shards that passed too: those a query looks into. */
  shardsSearched: number;
  /** Rows of tails and postings, and dataset rows of scanned blocks, that were compared. */
  rowsScanned: number;
  /** Block entries read, by key or by scan. */
  entriesRead: number;
  /** Shards answered by reading all their blocks instead of postings. */
  blockScans: number;
  blocksMatched: number;
  datasetsMatched: number;
  /** Of the blocks, those that were written into an earlier answer in the same way, and copied from there. */
  blocksRepeated: number;
  /** Rows of label answers. */
  labelRows: number;
  /** Dataset keys whose label sets were compared with a selector. */
  keysEvaluated: number;
  /** Selectors resolved over a dictionary: from the cache, extended by new keys, or from scratch. */
  resolutionHits: number;
  resolutionExtensions: number;
  resolutionMisses: number;
  /** Dictionary chunks copied out of the database, and thrown out again for room. */
  chunkLoads: number;
  evictions: number;
  /** Answers broken off because stored data does not decode. Anything but zero needs a human. */
  dataLosses: number;
}

export function createReadCounters(): ReadCounters {
  return {
    partitionsSeen: 0,
    shardsSeen: 0,
    shardsSearched: 0,
    rowsScanned: 0,
    entriesRead: 0,
    blockScans: 0,
    blocksMatched: 0,
    datasetsMatched: 0,
    blocksRepeated: 0,
    labelRows: 0,
    keysEvaluated: 0,
    resolutionHits: 0,
    resolutionExtensions: 0,
    resolutionMisses: 0,
    chunkLoads: 0,
    evictions: 0,
    dataLosses: 0,
  };
}
