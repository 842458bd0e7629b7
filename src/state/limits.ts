/**
 * Numbers that decide what the state machine does with an entry or how its tables are cut. They are the same on every
 * member and for every replay of a log: changing one that rejects entries needs a new command version.
 */

import { PARTITION_MS, TAIL_KEYS } from "../db/index.ts";

/** Length of a partition of the index (spec 3.1); `PARTITION_MS` stands beside the layout, as readers need it too. */
export const PARTITION_SEC = PARTITION_MS / 1_000;

export const STATE_LIMITS = {
  /** Tenant names are keys of `tenantIds`; LMDB keys end at 1,978 B with our page size. */
  tenantMaxBytes: 1_024,
  /** Ids in tombstones and source lists need not be ULIDs; they are part of a key. */
  tombstoneIdMaxBytes: 256,
  /** A tombstone name is the name of a job or of a shard window: tens of bytes. */
  tombstoneNameMaxBytes: 4_096,
  /** One tombstone as it is stored: about 100,000 ids of 26 characters. */
  tombstoneMaxBytes: 6_291_456,
  /** Added per id in that sum: offset, length and padding. */
  tombstoneIdOverheadBytes: 12,
  /** One string of a block. A dictionary chunk ends up to this much after its soft limit. */
  stringMaxBytes: 1_048_576,
  /** Label ints of one dataset: 1 MiB in a key chunk, as above. */
  labelIntsMax: 262_144,
  /** Datasets of one block: its entry takes 40 B for each and must stay below a reader's scratch buffer. */
  datasetsMax: 65_536,
  /** Table-of-contents elements of one block, counted per dataset: 2 MiB in its entry. */
  sectionsMax: 262_144,
  /** Blocks of one entry. Keeps one transaction in the hundreds of milliseconds. */
  blocksPerEntryMax: 16_384,
  /** Shard records of one partition stand in one value of 72 B each. */
  shardsPerPartitionMax: 65_536,
  /** Partition records of one owner stand in one value of 56 B each: 67 years of 6 h. */
  partitionsPerOwnerMax: 98_304,
  /** Tenants that are hidden at the same time: every reader keeps their names, and each is a row of half a KiB. */
  deletionsMax: 1_024,
  /** Reports of deletions that are over; the oldest are forgotten. */
  deletionReportsMax: 1_024,
} as const;

/** Rows of a tail chunk: 4,080 B, so that the put per batch and shard stays cheap. */
export const TAIL_CHUNK_ROWS = 102;

/**
 * Chunks of a tail that is moved to the postings: 1,632 rows. Longer tails make every query scan more (10 ns a row),
 * shorter ones make more and smaller runs (a put each). Good enough; the flush counters and query times would tell.
 */
export const TAIL_CHUNKS_MAX = TAIL_KEYS.chunksMax;

/** A dictionary chunk whose content exceeds this is closed: bounds what one new string rewrites. */
export const DICTIONARY_CHUNK_SOFT_MAX_BYTES = 262_144;
