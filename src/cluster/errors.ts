/**
 * How the network says no. `sent` tells a caller whether its request may have been done: "no" is certain, "maybe" is
 * not; what the peer itself answered has "yes".
 */

import { HearthError, type SentState } from "../base/index.ts";

/** Why a connection is not there, or is not there any more: a label, and a clause for people. */
export interface Problem {
  readonly reason: string;
  readonly text: string;
}

/** The request did not get there, or its answer did not get back. */
export function peerUnavailable(peer: string, problem: Problem, sent: SentState): HearthError {
  return new HearthError("unavailable", `Cannot reach peer ${peer}: ${problem.text}`, {
    reason: problem.reason,
    sent,
  });
}

export function unknownPeer(nodeId: string): HearthError {
  return new HearthError("unavailable", `Cannot reach node ${nodeId}: its address is not known`, {
    reason: "unknown_peer",
    sent: "no",
  });
}

export function badAddress(address: string): HearthError {
  return new HearthError(
    "invalid_argument",
    `Cannot dial ${JSON.stringify(address)}: not of the form host:port`,
    { reason: "bad_address", sent: "no" },
  );
}

export function peerTimeout(peer: string, timeoutMs: number, sent: SentState): HearthError {
  return new HearthError(
    "deadline_exceeded",
    `Peer ${peer} has not answered within ${Math.round(timeoutMs)} ms`,
    { reason: "peer_timeout", sent },
  );
}

export function requestCancelled(peer: string, sent: SentState): HearthError {
  return new HearthError("cancelled", `The request to peer ${peer} was cancelled`, { sent });
}

export function bodyTooLarge(bodyBytes: number, maxBytes: number): HearthError {
  return new HearthError(
    "invalid_argument",
    `Cannot ask a peer: the request has ${bodyBytes} bytes, limit is ${maxBytes}`,
    { reason: "too_large", sent: "no" },
  );
}

export function tooManyRequests(peer: string, detail: string): HearthError {
  return new HearthError("resource_exhausted", `Too many requests to peer ${peer}: ${detail}`, {
    reason: "peer_requests",
    sent: "no",
    retryAfterMs: 50,
  });
}

export function unknownCall(call: number): HearthError {
  return new HearthError("unimplemented", `This node does not know request ${call} of peers`, {
    reason: "unknown_call",
    next: "Bring all members to the same version",
  });
}

export function networkClosed(sent: SentState): HearthError {
  return new HearthError("unavailable", "This node is shutting down", {
    reason: "shutting_down",
    sent,
  });
}

export function listenFailed(host: string, port: number, cause: unknown): HearthError {
  const where = `${host === "" ? "*" : host}:${port}`;
  return new HearthError("unavailable", `Cannot open the peer port ${where}: ${wordsOf(cause)}`, {
    reason: "listen_failed",
    next: "Free the port, or set metastore.raft.bind-address",
    cause,
  });
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by the peer",
  EPIPE: "connection closed by the peer",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network unreachable",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "address not available",
  EACCES: "permission denied",
  EMFILE: "too many open files",
  ENOTFOUND: "the name does not resolve",
  EAI_AGAIN: "the name server does not answer",
};

/** What the system reports, in words. */
export function wordsOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { code } = cause as NodeJS.ErrnoException;
  return (code === undefined ? undefined : WORDS[code]) ?? cause.message;
}
