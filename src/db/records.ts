/**
 * Where the fields of fixed-size records stand. The pictures are in DESIGN.md; these are the same numbers for code
 * that reads and writes records through a Uint32Array (`*32`, offset in words) and a Float64Array (`*64`, offset in
 * doubles). Words and doubles are counted from the start of the record.
 */

/** Value of `owners`: one per partition of the owner, 56 B = 14 words = 7 doubles. */
export const PARTITION_RECORD = {
  startMs64: 0,
  durationSec32: 2,
  dictionary32: 3,
  liveMinMs64: 2,
  liveMaxMs64: 3,
  shards32: 8,
  blocks32: 9,
  bytes64: 5,
} as const;

/** Value of `partitions`: one per shard of the partition, 72 B = 18 words = 9 doubles. */
export const SHARD_RECORD = {
  shard32: 0,
  ordinal32: 1,
  dictionary32: 2,
  blocks32: 3,
  summaryMinMs64: 2,
  summaryMaxMs64: 3,
  liveMinMs64: 4,
  liveMaxMs64: 5,
  version64: 6,
  bytes64: 7,
  datasets32: 16,
  tailChunks32: 17,
} as const;

/** Row of `tails` and `postings`, 40 B = 10 words = 5 doubles. The ULID is bytes 0..16. */
export const ROW = {
  minMs64: 2,
  maxMs64: 3,
  key32: 8,
  position32: 9,
} as const;

/**
 * Value of `tailKeys`: 16 hulls of closed chunks (f64 low ms, f64 high ms), then pairs of u32 K and u32 bits of the
 * closed chunks that may hold rows of K, ascending by K.
 */
export const TAIL_KEYS = { headBytes: 256, chunksMax: 16 } as const;

/** Value of `directory`: one per key, 32 B = 8 words = 4 doubles. */
export const DIRECTORY_RECORD = {
  key32: 0,
  rows32: 1,
  runs32: 2,
  hullMinMs64: 2,
  hullMaxMs64: 3,
} as const;

/**
 * Value of `meta` "applied", doubles. `hiddenAt`: log index of the entry that last changed which tenants are hidden; it is
 * left out, and the value 24 B long, while nobody is.
 */
export const APPLIED_RECORD = { term64: 0, index64: 1, appendedAtMs64: 2, hiddenAt64: 3 } as const;

/** Length of the windows that block ids fall into, ms of creation time (spec 3.1). */
export const PARTITION_MS = 21_600_000;

/** Length of a dictionary epoch, ms of partition start. */
export const DICTIONARY_EPOCH_MS = 604_800_000;

/** Values of `garbage` keys. Appended only. */
export const GARBAGE_KIND = { ordinal: 1, dictionary: 2 } as const;

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Keys of `meta`. */
export const META_KEYS = {
  applied: ascii("applied"),
  counters: ascii("counters"),
  compaction: ascii("compaction"),
  compactionPolicy: ascii("compactionPolicy"),
} as const;
