/** The errors that the client itself makes. What a server says is passed on as it is, with more said about it. */
import { HearthError, type SentState } from "../base/index.ts";

/** No member could be reached: nothing was sent. */
export function noConnection(message: string, cause?: unknown): HearthError {
  return new HearthError("unavailable", message, { reason: "no_connection", sent: "no", cause });
}

/** The connection ended while calls were open. */
export function connectionLost(endpoint: string, why: string, cause?: unknown): HearthError {
  return new HearthError("unavailable", `Connection to ${endpoint} ended: ${why}`, {
    reason: "connection_lost",
    endpoint,
    cause,
  });
}

/** The server broke the protocol. Not retryable: the next try would meet the same server or the same bug. */
export function protocolViolation(endpoint: string, what: string, cause?: unknown): HearthError {
  return new HearthError("internal", `Server ${endpoint} broke the protocol: ${what}`, {
    reason: "protocol_violation",
    endpoint,
    next: "Compare the versions of client and server",
    cause,
  });
}

/** A call on a client that is closed or draining. */
export function clientClosed(isDraining: boolean): HearthError {
  const state = isDraining ? "draining" : "closed";
  return new HearthError("failed_precondition", `The client is ${state} and takes no calls`, {
    reason: "client_closed",
    next: "Call connect() for a new client",
  });
}

/** An open call that close() ended. */
export function cancelledByClose(): HearthError {
  return new HearthError("cancelled", "The client was closed while the call was open", {
    reason: "client_closed",
  });
}

/** What is known about one attempt goes on the error: who, how often, and whether a server may have acted. */
export interface AttemptFacts {
  readonly endpoint: string | null;
  readonly requestId: string;
  readonly attempts: number;
  readonly sent: SentState;
}

/** The same error, with the facts of the call added. */
export function withFacts(error: HearthError, facts: AttemptFacts): HearthError {
  return error.with({
    endpoint: error.endpoint ?? facts.endpoint ?? undefined,
    requestId: facts.requestId,
    attempts: facts.attempts,
    sent: facts.sent,
  });
}

/**
 * What is known after one more attempt. "maybe" stays for ever: a later refusal says nothing about the attempt
 * whose answer was lost.
 */
export function mergeSent(before: SentState, now: SentState): SentState {
  if (before === "maybe" || now === "maybe") return "maybe";
  return before === "yes" || now === "yes" ? "yes" : "no";
}
