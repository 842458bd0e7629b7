/** What an error says about a write. */

import type { HearthError } from "../../../src/base/index.ts";
import { OUTCOME, type Outcome } from "../history.ts";

/** Reasons that promise: nothing was logged and nothing will be (docs/reference/websocket.md, replica/errors.ts). */
const CERTAIN_REFUSALS: ReadonlySet<string> = new Set([
  "not_leader",
  "not_ready",
  "transferring",
  "shutting_down",
  "stopping",
  "failed",
  "leader_unreachable",
  "forward_backlog",
  "uncommitted_bytes",
  "disk_full",
  "index_full",
  "write_backlog",
  "in_flight",
  "not_proposed",
]);

export function outcomeOf(error: HearthError): Outcome {
  if (error.sent === "no") return OUTCOME.refused;
  if (error.sent === "yes" && CERTAIN_REFUSALS.has(error.reason)) return OUTCOME.refused;
  return OUTCOME.unknown;
}

/** Codes that a correct cluster never answers to this load, whatever is done to it. */
const NEVER: ReadonlySet<string> = new Set([
  "unknown",
  "invalid_argument",
  "not_found",
  "already_exists",
  "permission_denied",
  "failed_precondition",
  "out_of_range",
  "unimplemented",
  "internal",
  "data_loss",
  "unauthenticated",
]);

export function isUnexpected(error: HearthError): boolean {
  return NEVER.has(error.code);
}
