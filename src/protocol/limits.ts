/**
 * Bounds of everything that arrives in bytes. Each has a reason; hitting one is a typed refusal
 * with a counter. They are constants of the protocol, the same on every member: a block accepted by
 * one must be accepted by all.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  /**
   * Largest WebSocket message taken, bytes; the default of the listener's setting. Room for
   * thousands of usual blocks (about 1.5 kB each) per bulk load, while 64 of them in flight per
   * connection still fit in memory.
   */
  frameMaxBytes: 16 * MIB,
  /**
   * One block. The stored entry made of it must stay below the 8 MiB that a reader's scratch buffer
   * holds.
   */
  blockMaxBytes: 8 * MIB,
  /**
   * Datasets of a block. A dataset's position in its block is kept in 16 bits by compact row
   * formats.
   */
  datasetsMax: 65_535,
  /** Distinct strings of a block: one per service and label value, so far above any real block. */
  stringsMax: 262_144,
  /** One string, bytes. Dictionary chunks hold 256 strings and must stay below 8 MiB. */
  stringMaxBytes: 16 * KIB,
  /** A tenant name, bytes: it is a key of the index database. */
  tenantMaxBytes: 1_024,
  /** Label ints of one dataset. Key chunks hold 64 datasets' labels and must stay below 8 MiB. */
  labelIntsPerDatasetMax: 16_384,
  /**
   * Label ints walked per block, counted per dataset: datasets may share a run, so the length of
   * the vector does not bound the work.
   */
  labelIntsPerBlockMax: 1_048_576,
  /**
   * Table-of-contents elements per block, counted per dataset as above: 2 MiB in the stored entry.
   */
  sectionsPerBlockMax: 262_144,
  /** Blocks of one AddBlocks request, which is one log entry and one transaction. */
  blocksPerAddMax: 16_384,
  /** A selector, bytes. Longer ones come from broken generators; parsing cost is linear in it. */
  selectorMaxBytes: 64 * KIB,
  /** Label names a query may ask for. */
  labelNamesMax: 256,
  /** A label name, bytes. */
  labelNameMaxBytes: 4 * KIB,
  /** Tenants of one query: a federated query asks for tens. */
  tenantsPerQueryMax: 1_024,
  /** Ids of one GetBlockMetadata: 26 bytes each, so about 3 MiB of request. */
  idsPerListMax: 100_000,
  /**
   * Bytes of one id in a tombstone or source list; ids of tombstones need not be ULIDs (index key
   * bound).
   */
  idMaxBytes: 256,
  /** Name of a job or tombstone, bytes: those of shards are made of the tenant and numbers. */
  tombstoneNameMaxBytes: 4 * KIB,
  /** A name or role a peer tells about itself. */
  peerNameMaxBytes: 256,
  /** JSON text of the cold operations. */
  jsonMaxBytes: 4 * MIB,
  /** Text of an error: message or advice. */
  errorTextMaxBytes: 64 * KIB,
  /** Entries of one raw Command frame. */
  entriesPerCommandMax: 4_096,
  /** Tombstones of one command. */
  tombstonesPerCommandMax: 65_536,
  /** Compaction jobs reported by one command. */
  jobsPerCommandMax: 4_096,
  /** Name of a compaction job, bytes: hash, tenant, shard and level. It is a key of the index database. */
  jobNameMaxBytes: 1_200,
  /** Source blocks of one job; levels may ask for this many per batch. */
  sourcesPerJobMax: 1_024,
  /** Name of a compaction worker, bytes: a key of the index database. */
  workerNameMaxBytes: 256,
  /** New blocks of one poll: the jobs of one worker, with a block per tenant each. */
  resultsPerPollMax: 4_096,
  /** New blocks of one job, bytes: they stand in one log entry. */
  resultMaxBytes: 16 * MIB,
  /** What a worker says about a failed job, bytes; it is kept with the job. */
  jobReasonMaxBytes: 512,
  /** JSON text of the compaction policy, bytes: room for settings of about a thousand tenants. */
  policyMaxBytes: 256 * KIB,
} as const;

/** Largest time we keep, ms: doubles are exact up to here. */
export const TIME_MAX_MS = Number.MAX_SAFE_INTEGER + 1;

/**
 * Latest creation time an id may carry, ms: 2262-04-11, the last instant that fits 63 bits of
 * nanoseconds. Later ones would overflow partition keys of other implementations of this index
 * (spec W1).
 */
export const CREATION_TIME_MAX_MS = 9_223_372_036_854;

/** Of a compaction policy: above these, memory and entries would grow beyond what one plan may hold. */
export const POLICY_LIMITS = {
  levelsMax: 8,
  cleanupBatchMax: 16,
  durationMaxMs: 366 * 86_400_000,
} as const;
