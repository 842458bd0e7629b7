/**
 * What can go wrong with snapshot files, and what it means for the owner:
 *
 * - `snapshot_write_failed`: final. The store answers everything after it with the same error, since what is on the
 *   disk is no longer known; the process ends and the next start judges the files.
 * - `snapshot_disk_full`: what was being written is gone again; everything else goes on.
 * - `snapshot_closed`: its owner stops, and nothing that takes long goes on.
 * - the rest: this one call failed.
 */

import { HearthError } from "../base/index.ts";

/** Closed, used as a metric label. */
export type SnapshotErrorReason =
  | "snapshot_write_failed"
  | "snapshot_disk_full"
  | "snapshot_closed"
  | "snapshot_read_failed"
  | "snapshot_damaged"
  | "snapshot_gone"
  | "snapshot_version_unsupported"
  | "snapshot_busy"
  | "snapshot_bad_meta"
  | "snapshot_empty"
  | "snapshot_too_large";

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

export function writeFailed(path: string, cause: unknown): HearthError {
  return new HearthError("unavailable", `Cannot write snapshot ${path}: ${textOf(cause)}`, {
    reason: "snapshot_write_failed" satisfies SnapshotErrorReason,
    next: "Check the disk; a restart goes on from what is durable",
    cause,
  });
}

export function diskFull(path: string, cause: unknown): HearthError {
  const message = `Cannot write snapshot ${path}: ${textOf(cause)}`;
  return new HearthError("resource_exhausted", message, {
    reason: "snapshot_disk_full" satisfies SnapshotErrorReason,
    next: "Free space on the disk of the snapshot directory; the log is kept until a snapshot fits",
    cause,
  });
}

export function closed(directory: string): HearthError {
  return new HearthError("cancelled", `The snapshots in ${directory} are closed: the node stops`, {
    reason: "snapshot_closed" satisfies SnapshotErrorReason,
  });
}

export function readFailed(path: string, cause: unknown): HearthError {
  return new HearthError("unavailable", `Cannot read snapshot ${path}: ${textOf(cause)}`, {
    reason: "snapshot_read_failed" satisfies SnapshotErrorReason,
    next: "Check the disk and the rights on the snapshot directory",
    cause,
  });
}

export function damaged(path: string, what: string): HearthError {
  return new HearthError("data_loss", `Snapshot ${path} is damaged: ${what}`, {
    reason: "snapshot_damaged" satisfies SnapshotErrorReason,
    next: "Older snapshots, the log or another member bring the state back; check the disk",
  });
}

/** Whole, but of a later format: not to be set aside as damaged by an older version. */
export function versionUnsupported(path: string, version: number): HearthError {
  return new HearthError("failed_precondition", `Snapshot ${path} has format version ${version}`, {
    reason: "snapshot_version_unsupported" satisfies SnapshotErrorReason,
    next: "Start the version of hearth that wrote it",
  });
}

export function gone(id: string): HearthError {
  return new HearthError("not_found", `Cannot open snapshot ${id}: it is not here`, {
    reason: "snapshot_gone" satisfies SnapshotErrorReason,
  });
}

export function busy(directory: string): HearthError {
  return new HearthError(
    "failed_precondition",
    `Cannot take a snapshot in ${directory}: another one is being taken`,
    { reason: "snapshot_busy" satisfies SnapshotErrorReason },
  );
}

export function badMeta(what: string): HearthError {
  return new HearthError("invalid_argument", `Cannot receive the snapshot: ${what}`, {
    reason: "snapshot_bad_meta" satisfies SnapshotErrorReason,
  });
}

export function empty(index: number): HearthError {
  return new HearthError(
    "internal",
    `Cannot take a snapshot at log index ${index}: the state handed out no bytes`,
    { reason: "snapshot_empty" satisfies SnapshotErrorReason },
  );
}

export function tooLarge(path: string, sizeBytes: number): HearthError {
  return new HearthError(
    "resource_exhausted",
    `Cannot write snapshot ${path}: it has more chunks than allowed after ${sizeBytes} B`,
    {
      reason: "snapshot_too_large" satisfies SnapshotErrorReason,
      next: "Raise the chunk size of snapshots",
    },
  );
}
