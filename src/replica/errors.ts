/** How the driver says no. `sent: "no"` is a promise that nothing was logged. */

import { HearthError, isHearthError, type LeaderHint, toHearthError } from "../base/index.ts";
import type { SnapshotMeta } from "../raft/index.ts";
import { snapshotName } from "../snapshot/index.ts";
import type { RefusalReason } from "./types.ts";

export function refused(
  reason: RefusalReason,
  detail: string,
  leader: LeaderHint | undefined = undefined,
): HearthError {
  const common = { reason, sent: "no" as const };
  switch (reason) {
    case "not_ready":
      return new HearthError("unavailable", `Cannot serve yet: ${detail}`, common);
    case "shutting_down":
      return new HearthError("unavailable", "This node is shutting down", common);
    case "failed":
      return new HearthError("unavailable", `This node has failed: ${detail}`, common);
    case "not_leader":
      return new HearthError(
        "unavailable",
        `This node does not lead: ${detail || whoLeads(leader)}`,
        {
          ...common,
          leader,
          // A new leader is elected within a few election timeouts.
          retryAfterMs: 100,
        },
      );
    case "transferring":
      return new HearthError("unavailable", "This node is handing over its leadership", {
        ...common,
        leader,
        retryAfterMs: 50,
      });
    case "too_large":
      return new HearthError("invalid_argument", `Cannot propose: ${detail}`, common);
    case "uncommitted_bytes":
      return new HearthError("resource_exhausted", `Too many writes are waiting: ${detail}`, {
        ...common,
        // One group takes well under this time; an overloaded disk needs it.
        retryAfterMs: 50,
      });
    case "reads_waiting":
      return new HearthError("resource_exhausted", `Too many reads are waiting: ${detail}`, {
        ...common,
        retryAfterMs: 50,
      });
    case "no_leader":
      return new HearthError("unavailable", `No read index within ${detail}: there is no leader`, {
        ...common,
        retryAfterMs: 100,
      });
    case "change_pending":
      return new HearthError("failed_precondition", `Cannot change the members yet: ${detail}`, {
        ...common,
        next: "Repeat it when the change that is under way has ended",
      });
    case "invalid_change":
      return new HearthError("invalid_argument", `Cannot change the members: ${detail}`, common);
    case "index_full":
      return new HearthError("resource_exhausted", `No room for more blocks: ${detail}`, {
        ...common,
        next: "Make the volume of the index (or hearth.index-map-size, if that is what it says) larger, or shorten retention; adding blocks goes on by itself",
        retryAfterMs: 1000,
      });
    case "disk_full":
      return new HearthError("resource_exhausted", `The disk of the log is full: ${detail}`, {
        ...common,
        next: "Free space on the data volume; writing goes on by itself",
        retryAfterMs: 1000,
      });
  }
}

function whoLeads(leader: LeaderHint | undefined): string {
  return leader === undefined ? "it knows of no leader" : `${leader.id} does`;
}

export function noSnapshots(): HearthError {
  return new HearthError("failed_precondition", "This member keeps no snapshots", {
    reason: "no_snapshots",
  });
}

/** What a caller gets whose write was under way when the node failed or lost its leadership. */
export function outcomeUnknown(cause: HearthError): HearthError {
  return new HearthError("unavailable", `The outcome of the write is unknown: ${cause.message}`, {
    reason: "outcome_unknown",
    sent: "maybe",
    cause,
  });
}

/** The log here begins behind every state that can be made here: somebody else must have it. */
const NO_IMAGE_NEXT =
  "Of a cluster that is well: take a new snapshot on its leader (hearth snapshot take), remove this member, empty its directories and let it join again. Alone: restore it from a backup (docs/operate/recovery.md)";

/** What is on the disk does not add up: no start can go on from it. */
export function mismatch(
  reason: "state_ahead_of_log" | "state_behind_log" | "state_of_other_log" | "log_without_members",
  text: string,
): HearthError {
  const next: Record<typeof reason, string> = {
    state_ahead_of_log:
      "The log has lost entries that this node acknowledged. With peers: empty its directories and let it join again as a new member. Alone: put the log directory back that belongs to this index; only if the log is right, delete the index directory and start again",
    state_behind_log: NO_IMAGE_NEXT,
    log_without_members:
      "A log from before members were logged: start it once as the only member, then add the others. Otherwise restore this node from a backup, or empty its directories and let it join again",
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

/**
 * The state is as it was. Only another image, or another version of the program, helps against damage of the content,
 * which the hashes of the file cannot show.
 */
export function installFailed(meta: SnapshotMeta, cause: unknown): HearthError {
  const { code, message, next } = toHearthError(cause);
  const name = snapshotName(meta);
  return new HearthError(
    "internal",
    `Cannot install snapshot ${name} of log index ${meta.index}: ${message}`,
    {
      reason: "install_failed",
      next: code === "data_loss" ? NO_IMAGE_NEXT : (next ?? "Mend what it names and start again"),
      cause,
    },
  );
}

/** What cannot be installed is wrong itself: not the disk, not the version of the program, and nobody has stopped it. */
export function isDamagedImage(installError: unknown): boolean {
  const { cause } = toHearthError(installError);
  return isHearthError(cause) && cause.code === "data_loss";
}
