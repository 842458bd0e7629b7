export type { StorageErrorReason } from "./errors.ts";
export { FileObjectStore } from "./file/file-store.ts";
export {
  type GuardOptions,
  GuardedStore,
  type StorageOperation,
  type StorageOutcome,
} from "./guarded-store.ts";
export { checkKey, compareKeys } from "./keys.ts";
export { STORAGE_LIMITS } from "./limits.ts";
export { openObjectStore, type StorageModules } from "./open.ts";
export { STORAGE_DEFAULTS, type StorageOptions } from "./options.ts";
export type {
  ByteRange,
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
} from "./types.ts";
