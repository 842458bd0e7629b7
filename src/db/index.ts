export {
  chunkCount,
  chunkHeadWords,
  chunkItemEnd,
  chunkItemStart,
  writeChunkHead,
} from "./chunk.ts";
export {
  INDEX_DATABASE_DEFAULTS,
  IndexDatabase,
  type IndexDatabaseOptions,
  type ScanVisitor,
  VALUE_MAX_BYTES,
} from "./open.ts";
export { SCRATCH_KEY } from "./environment.ts";
export type { OpenOutcome } from "./generations.ts";
export {
  APPLIED_RECORD,
  DICTIONARY_EPOCH_MS,
  DIRECTORY_RECORD,
  GARBAGE_KIND,
  META_KEYS,
  PARTITION_MS,
  PARTITION_RECORD,
  ROW,
  SHARD_RECORD,
  TAIL_KEYS,
} from "./records.ts";
export {
  DIRECTORY_RECORD_BYTES,
  KEYS_PER_CHUNK_SHIFT,
  KEYS_PER_DIRECTORY_SHIFT,
  KeyBuffer,
  keyF64,
  keyU32,
  keyU64,
  PAIR_BITMAP_BYTES,
  PARTITION_RECORD_BYTES,
  ROW_BYTES,
  SHARD_RECORD_BYTES,
  STRINGS_PER_CHUNK_SHIFT,
  TABLES,
  type TableName,
} from "./tables.ts";
