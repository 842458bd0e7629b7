/**
 * What can go wrong with the log. All of it is `data_loss`, `failed_precondition` or `unavailable` with a closed set
 * of reasons, because every caller does the same with it: stop, say why, and leave the files as they are.
 */

import { HearthError } from "../base/index.ts";

/** Why the log refused or stopped; closed, used as a metric label. */
export type LogErrorReason =
  | "log_damaged"
  | "log_segment_missing"
  | "log_foreign_segment"
  | "log_version_unsupported"
  | "log_write_failed"
  | "log_read_failed"
  | "log_compacted"
  | "log_locked";

/** Bytes on the disk contradict what was made durable. Never repaired by cutting. */
export function damaged(where: string, what: string): HearthError {
  return new HearthError("data_loss", `Log is damaged in ${where}: ${what}`, {
    reason: "log_damaged" satisfies LogErrorReason,
    next: "Keep the files, look with `hearth data inspect log`, then restore this node from a backup or a peer",
  });
}

export function segmentMissing(where: string, sequence: number): HearthError {
  return new HearthError("data_loss", `Log segment ${sequence} is missing: ${where} continues it`, {
    reason: "log_segment_missing" satisfies LogErrorReason,
    next: "Put the missing file back, or restore this node from a backup or a peer",
  });
}

export function foreignSegment(where: string): HearthError {
  return new HearthError("failed_precondition", `Segment ${where} belongs to another log`, {
    reason: "log_foreign_segment" satisfies LogErrorReason,
    next: "Remove files that were copied in from another data directory",
  });
}

export function versionUnsupported(where: string, version: number): HearthError {
  return new HearthError("failed_precondition", `Segment ${where} has format version ${version}`, {
    reason: "log_version_unsupported" satisfies LogErrorReason,
    next: "Start the version of hearth that wrote it",
  });
}

/** The outcome of the affected writes is unknown; the process must end and let recovery decide. */
export function writeFailed(where: string, cause: unknown): HearthError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new HearthError("unavailable", `Cannot write to the log at ${where}: ${text}`, {
    reason: "log_write_failed" satisfies LogErrorReason,
    sent: "maybe",
    next: "Check the disk; a restart goes on from what is durable",
    cause,
  });
}

export function readFailed(where: string, cause: unknown): HearthError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new HearthError("unavailable", `Cannot read the log at ${where}: ${text}`, {
    reason: "log_read_failed" satisfies LogErrorReason,
    next: "Check the disk and the rights on the log directory",
    cause,
  });
}

export function compacted(index: number, firstIndex: number): HearthError {
  return new HearthError(
    "out_of_range",
    `Cannot read log index ${index}: the log begins at ${firstIndex}`,
    { reason: "log_compacted" satisfies LogErrorReason },
  );
}
