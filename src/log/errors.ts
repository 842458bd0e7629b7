/**
 * What can go wrong with the log. All of it is `data_loss`, `failed_precondition` or `unavailable` with a closed set
 * of reasons, because every caller does the same with it: stop, say why, and leave the files as they are.
 */

import { HearthError } from "../base/index.ts";
import type { LogOwnerName } from "./segment-header.ts";

/** Why the log refused or stopped; closed, used as a metric label. */
export type LogErrorReason =
  | "log_damaged"
  | "log_segment_missing"
  | "log_foreign_segment"
  | "log_wrong_owner"
  | "log_promises_lost"
  | "log_directory_unusable"
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

/** A log of another cluster or member. */
export function wrongOwner(
  where: string,
  found: LogOwnerName,
  expected: LogOwnerName,
): HearthError {
  const text = `Log segment ${where} belongs to ${nameOf(found)}, this is ${nameOf(expected)}`;
  return new HearthError("failed_precondition", text, {
    reason: "log_wrong_owner" satisfies LogErrorReason,
    next: "Give this node its own directory back; two members must never share a log",
  });
}

function nameOf({ nodeId, clusterId }: LogOwnerName): string {
  const node = nodeId === "" ? "a node without a name" : `node "${nodeId}"`;
  return clusterId === "" ? node : `${node} of cluster "${clusterId}"`;
}

/** Damage may hide the newest term or vote: going on could break a promise. */
export function promisesLost(where: string, what: string): HearthError {
  const text = `Log is damaged in ${where} and may hide a newer term or vote: ${what}`;
  return new HearthError("data_loss", text, {
    reason: "log_promises_lost" satisfies LogErrorReason,
    next: "Remove this member from the cluster, delete its directories, and let it join as a new one",
  });
}

/** The directory cannot be read or written; nothing has been promised yet. */
export function unusable(
  directory: string,
  cause: unknown,
  what: "log directory" | "data directory" = "log directory",
): HearthError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new HearthError("unavailable", `Cannot use the ${what} "${directory}": ${text}`, {
    reason: "log_directory_unusable" satisfies LogErrorReason,
    next: "Check that it exists, that this user may write to it, and that the disk has room",
    cause,
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
