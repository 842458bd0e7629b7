/** How the driver says no. `sent: "no"` is a promise that nothing was logged. */

import { HearthError } from "../base/index.ts";
import type { RefusalReason } from "./types.ts";

export function refused(reason: RefusalReason, detail: string): HearthError {
  switch (reason) {
    case "not_ready":
      return new HearthError("unavailable", `Cannot serve yet: ${detail}`, { reason, sent: "no" });
    case "shutting_down":
      return new HearthError("unavailable", "This node is shutting down", { reason, sent: "no" });
    case "failed":
      return new HearthError("unavailable", `This node has failed: ${detail}`, {
        reason,
        sent: "no",
      });
    case "too_large":
      return new HearthError("invalid_argument", `Cannot propose: ${detail}`, {
        reason,
        sent: "no",
      });
    case "uncommitted_bytes":
      return new HearthError("resource_exhausted", `Too many writes are waiting: ${detail}`, {
        reason,
        sent: "no",
        // One group takes well under this time; an overloaded disk needs it.
        retryAfterMs: 50,
      });
    case "disk_full":
      return new HearthError("resource_exhausted", `The disk of the log is full: ${detail}`, {
        reason,
        sent: "no",
        next: "Free space on the data volume; writing goes on by itself",
        retryAfterMs: 1000,
      });
  }
}

/** What a caller gets whose write was under way when the node failed. */
export function outcomeUnknown(cause: HearthError): HearthError {
  return new HearthError("unavailable", `The outcome of the write is unknown: ${cause.message}`, {
    reason: "outcome_unknown",
    sent: "maybe",
    cause,
  });
}

/** The state and the log do not belong together. */
export function mismatch(
  reason: "state_ahead_of_log" | "state_behind_log" | "state_of_other_log",
  text: string,
): HearthError {
  const next: Record<typeof reason, string> = {
    state_ahead_of_log:
      "Put the log directory back that belongs to this index, or, if the log is right, delete the index directory and start again: it is rebuilt from the log",
    state_behind_log:
      "Restore this node from a backup: the log no longer holds what the index lacks",
    state_of_other_log: "Delete the index directory and start again: it is rebuilt from the log",
  };
  return new HearthError("failed_precondition", text, { reason, next: next[reason] });
}

/** The database failed under the state machine: the process must end, the log brings everything back. */
export function applyFailed(index: number, cause: unknown): HearthError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new HearthError("internal", `Cannot apply the log from index ${index} on: ${text}`, {
    reason: "apply_failed",
    cause,
  });
}
