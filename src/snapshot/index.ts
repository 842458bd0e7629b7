export type { SnapshotErrorReason } from "./errors.ts";
/** The disk that snapshot files are given. */
export type { FileTree as SnapshotFileSystem } from "../files/index.ts";
export { inspectSnapshots, type SnapshotInspection, type SnapshotRecord } from "./inspect.ts";
export { SNAPSHOT_DEFAULTS, SNAPSHOT_LIMITS, type SnapshotOptions } from "./options.ts";
export { SnapshotFiles, type SnapshotModules } from "./snapshot-files.ts";
export type { SnapshotHead, SnapshotSource, SnapshotStore } from "./types.ts";
export { nameOf as snapshotName } from "./meta.ts";
