export type { LogErrorReason } from "./errors.ts";
/** The disk that a log is given. */
export {
  type ByteRange,
  type DiskFile as LogFile,
  type FileSystem,
  NODE_FILES,
  type OpenMode,
  type WriteDone,
  WriterFiles,
} from "../files/index.ts";
export type { AppendBatch, LogBase, SuffixCut } from "./group-buffer.ts";
export { formatLogRecord, inspectLog, type LogRecord, type LogVisitor } from "./inspect.ts";
export { acquireDirectoryLock, type DirectoryLock } from "./lock.ts";
export { DurableLog } from "./log.ts";
export { type DamagePolicy, LOG_DEFAULTS, type LogOptions } from "./options.ts";
export type { LogOwnerName } from "./segment-header.ts";
export { readBufferBytes } from "./reader.ts";
export type { MembershipEntry } from "./term-spans.ts";
export type { LogModules, LogOwner, LogStats } from "./types.ts";
export { IN_PLACE_BYTES } from "./write-pace.ts";
