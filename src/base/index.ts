export { assert, assertFailed, AssertionError, unreachable } from "./assert.ts";
export { chunkLength } from "./chunks.ts";
export { type Clock, SYSTEM_CLOCK } from "./clock.ts";
export { crc32cOf } from "./crc32c.ts";
export {
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  errorCodeFromNumber,
  errorCodeNumber,
  HearthError,
  invalidArgument,
  isHearthError,
  type LeaderHint,
  type SentState,
  toHearthError,
} from "./errors.ts";
export { freeMemory } from "./free-memory.ts";
export { HASH_SEED_HIGH, HASH_SEED_LOW, hashBytes, hashWords } from "./hash.ts";
export { giveHeapRoom } from "./heap-room.ts";
export { IdTable, type Identified } from "./id-table.ts";
export { inLanes } from "./lanes.ts";
export { type LogFields, type Logger, type LogLevel, SILENT_LOGGER } from "./logger.ts";
export {
  encodeUlid,
  writeUlid,
  tryDecodeUlid,
  tryDecodeUlidWords,
  ULID_BYTES,
  ULID_TEXT_LENGTH,
  ULID_TEXT_WORDS,
  ulidTimeMs,
} from "./ulid.ts";
export { packBytes, type PackedBytes, unpackBytes } from "./packed-bytes.ts";
export { PrefixViews } from "./prefix-views.ts";
export { Prng } from "./prng.ts";
export {
  nextTurn,
  type Scheduler,
  SYSTEM_SCHEDULER,
  THREAD_CLOCK_MS,
  TIMER_MAX_MS,
} from "./scheduler.ts";
export { suggest } from "./suggest.ts";
export {
  formatBytes,
  formatCount,
  formatDuration,
  formatDurationSetting,
  formatSizeSetting,
  parseDuration,
  parseSize,
  type UnitResult,
} from "./units.ts";
export { timeoutSignal } from "./timeout-signal.ts";
