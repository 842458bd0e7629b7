/** Settings of the state machine. None of them changes what an entry does, only what it costs. */

export interface StateOptions {
  /** Interned strings and keys kept in memory, bytes. Beyond it, dictionaries not used longest are forgotten. */
  readonly dictionaryCacheBytes: number;
  /** Shard records kept in memory, each with up to 4 KiB of tail. */
  readonly shardCacheCount: number;
  /** Partition records of owners kept in memory. */
  readonly partitionCacheCount: number;
  /** Rows of deleted shards and dictionaries removed per transaction: about 2 us each. */
  readonly sweepRowsPerTransaction: number;
}

export const STATE_DEFAULTS: StateOptions = {
  // The dictionary of a week with 10k services is about 4 MB in memory; a few owners are hot at a time.
  dictionaryCacheBytes: 64 * 1024 * 1024,
  // A writer works on one partition of each shard; compaction visits the ones before it.
  shardCacheCount: 4_096,
  partitionCacheCount: 65_536,
  // Adds about 0.5 ms to an apply while there is garbage. A shard of 100k rows is gone after 400 transactions.
  sweepRowsPerTransaction: 256,
};
