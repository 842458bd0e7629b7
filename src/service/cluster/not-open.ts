import { HearthError } from "../../base/index.ts";

/** The answer of a member that takes part in its cluster before its log is read. */
export function notOpen(): HearthError {
  return new HearthError("unavailable", "This node has not opened its log yet", {
    reason: "not_ready",
    next: "See /ready there",
    sent: "no",
    retryAfterMs: 100,
  });
}
