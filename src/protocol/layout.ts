/**
 * Byte layout of the fixed-size records in schemas/block.fbs, query.fbs and stored.fbs, for code
 * that walks them through one Int32Array and one Float64Array. The property tests hold these
 * numbers against the generated code.
 *
 * ```
 * head, 72 B (wire and stored)                     wire dataset, 56 B         stored row, 40 B
 *  0 id, 16 B, ULID big-endian                     0 f64 min ms               0 f64 min ms
 * 16 f64 min ms                                    8 f64 max ms               8 f64 max ms
 * 24 f64 max ms                                   16 u64 size                16 u64 size
 * 32 u64 size                                     24 i32 tenant              24 u32 key id
 * 40 u64 metadata offset                          28 i32 name                28 u32 toc start
 * 48 u32 format version                           32 u32 labels start        32 u32 toc count
 * 52 u32 shard                                    36 u32 labels count        36 u32 format
 * 56 u32 compaction level                         40 u32 toc start
 * 60 i32 tenant                                   44 u32 toc count
 * 64 i32 created by                               48 u32 format
 * 68 u32 reserved                                 52 u32 reserved
 * ```
 */

/** Offsets inside a head, bytes. */
export const HEAD = {
  bytes: 72,
  id: 0,
  minTimeMs: 16,
  maxTimeMs: 24,
  sizeBytes: 32,
  metadataOffset: 40,
  formatVersion: 48,
  shard: 52,
  compactionLevel: 56,
  tenant: 60,
  createdBy: 64,
  reserved: 68,
} as const;

/** Offsets inside a wire dataset, bytes. */
export const DATASET = {
  bytes: 56,
  minTimeMs: 0,
  maxTimeMs: 8,
  sizeBytes: 16,
  tenant: 24,
  name: 28,
  labelsStart: 32,
  labelsCount: 36,
  tocStart: 40,
  tocCount: 44,
  format: 48,
  reserved: 52,
} as const;

/** Offsets inside a row of a stored entry, bytes. */
export const ENTRY_ROW = {
  bytes: 40,
  minTimeMs: 0,
  maxTimeMs: 8,
  sizeBytes: 16,
  key: 24,
  tocStart: 28,
  tocCount: 32,
  format: 36,
} as const;

/** Offsets inside a block record of a plan chunk, bytes: a head and its run of datasets. */
export const PLAN_BLOCK = {
  bytes: 80,
  datasetsStart: 72,
  datasetsCount: 76,
} as const;

/**
 * Bytes that a hand-written Block, BlockEntry, PlanChunk or LabelsChunk begins with: root offset,
 * vtable, table with its slots. Only the offsets of the vectors in the slots vary, so the writers
 * copy these words and patch them.
 */
export const BLOCK_PRELUDE = {
  /**
   * u32 root = 20 | vtable: 16 B, table 96 B, head 4, datasets 76, labels 80, toc 84, ends 88,
   * bytes 92 | soffset
   */
  words: [20, pair(16, 96), pair(4, 76), pair(80, 84), pair(88, 92), 16],
  headOffset: 24,
  slotDatasets: 96,
  slotLabels: 100,
  slotToc: 104,
  slotStringEnds: 108,
  slotStringBytes: 112,
  bytes: 116,
} as const;

export const ENTRY_PRELUDE = {
  /** u32 root = 20 | vtable: 10 B, table 84 B, head 4, datasets 76, toc 80 | padding | soffset */
  words: [20, pair(10, 84), pair(4, 76), pair(80, 0), 0, 16],
  headOffset: 24,
  slotDatasets: 96,
  slotToc: 100,
  /**
   * Where the rows of a canonical entry begin: the length of their vector stands in the word
   * before.
   */
  rowsOffset: 112,
  bytes: 104,
} as const;

export const PLAN_PRELUDE = {
  /**
   * u32 root = 28 | vtable: 18 B, table 36 B, six vectors 12.., applied index 4 | padding | soffset
   */
  words: [28, pair(18, 36), pair(12, 16), pair(20, 24), pair(28, 32), pair(4, 0), 0, 24],
  slotAppliedIndex: 32,
  slotBlocks: 40,
  slotDatasets: 44,
  slotLabels: 48,
  slotToc: 52,
  slotStringEnds: 56,
  slotStringBytes: 60,
  bytes: 64,
} as const;

export const LABELS_PRELUDE = {
  /**
   * u32 root = 20 | vtable: 16 B, table 32 B, names count 12, four vectors 16.., applied index 4 |
   * soffset
   */
  words: [20, pair(16, 32), pair(12, 16), pair(20, 24), pair(28, 4), 16],
  slotAppliedIndex: 24,
  slotNamesCount: 32,
  slotNames: 36,
  slotRows: 40,
  slotStringEnds: 44,
  slotStringBytes: 48,
  bytes: 52,
} as const;

/** Two little-endian u16 in one word. */
function pair(low: number, high: number): number {
  return low | (high << 16);
}
