/**
 * How an outcome looks on this wire: the table of grpc-contract 4, and the leader hint of section 5.
 *
 * What matters to the real client: invalid_argument ends its retries, unavailable with a hint redirects them, everything
 * else is tried again elsewhere.
 */

import { type ErrorCode, errorCodeNumber, type HearthError } from "../base/index.ts";
import { ByteSink, putStatus } from "../protocol/index.ts";
import { STATUS_TEXT_MAX_LENGTH } from "./limits.ts";

/** What a method is, as far as its errors go. */
export type MethodKind =
  /** Read on any member. */
  | "query"
  /** GetBlockMetadata: a read of the leader in the reference, with codes of its own. */
  | "lookUp"
  /** Done by the leader. */
  | "write"
  | "poll"
  | "readIndex"
  | "member"
  | "health";

/** The leader, as a hint names it. */
export interface Leader {
  readonly id: string;
  /** Where members reach it; may be empty. */
  readonly address: string;
}

/** What the endpoint knows of the cluster when it answers; told by main. */
export interface Surroundings {
  readonly selfId: string;
  readonly leader: Leader | null;
  /** Peer address of a member by server id. */
  readonly addresses: Readonly<Record<string, string>>;
}

export interface Status {
  /** gRPC number. */
  readonly code: number;
  readonly message: string;
  readonly leader: Leader | null;
}

export function statusOf(error: HearthError, kind: MethodKind, around: Surroundings): Status {
  const code = codeOf(error, kind, around);
  const message = error.message.slice(0, STATUS_TEXT_MAX_LENGTH);
  const mayHint = code === "unavailable" && HINTED.has(kind);
  return { code: errorCodeNumber(code), message, leader: mayHint ? hintOf(error, around) : null };
}

const HINTED: ReadonlySet<MethodKind> = new Set<MethodKind>([
  "lookUp",
  "write",
  "poll",
  "readIndex",
  "member",
]);

/** Codes that mean the same for every method. */
const PLAIN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "cancelled",
  "invalid_argument",
  "deadline_exceeded",
  "resource_exhausted",
  "unimplemented",
  "unavailable",
]);

function codeOf(error: HearthError, kind: MethodKind, around: Surroundings): ErrorCode {
  // The leader itself found no majority in time.
  if (kind === "readIndex" && error.reason === "leader_silent" && isSelf(error, around))
    return "deadline_exceeded";
  if (PLAIN.has(error.code)) return error.code;
  switch (kind) {
    case "query":
      return error.code === "aborted" ? "unavailable" : "internal";
    case "lookUp":
      return error.code === "aborted" ? "unavailable" : "unknown";
    case "poll":
      return error.code === "failed_precondition" ? "failed_precondition" : "unknown";
    case "health":
      return error.code;
    default:
      return "unknown";
  }
}

function isSelf(error: HearthError, { selfId }: Surroundings): boolean {
  return error.leader?.id === selfId;
}

function hintOf(error: HearthError, { leader, addresses }: Surroundings): Leader | null {
  const id = error.leader?.id ?? leader?.id ?? "";
  if (id === "") return null;
  return { id, address: addresses[id] ?? (leader?.id === id ? leader.address : "") };
}

export type Trailers = Record<string, string>;

/** The trailers of a failed call. */
export function statusTrailers(status: Status): Trailers {
  const trailers: Trailers = {
    "grpc-status": String(status.code),
    "grpc-message": encodeStatusText(status.message),
  };
  if (status.leader !== null) trailers["grpc-status-details-bin"] = statusDetails(status);
  return trailers;
}

/** google.rpc.Status in base64: code and text must be those of the other trailers. */
export function statusDetails(status: Status): string {
  const sink = new ByteSink(256);
  putStatus(sink, status);
  return sink.u8.toString("base64", 0, sink.length);
}

const PLAIN_TEXT = /^(?! )[\x20-\x24\x26-\x7e]*(?<! )$/;

/**
 * Text as a header carries it: UTF-8, what is not printable ASCII in percent. Spaces at its ends, too: a value of HTTP/2 has
 * none, and receivers drop the whole header that has one.
 */
export function encodeStatusText(text: string): string {
  if (PLAIN_TEXT.test(text)) return text;
  let encoded = "";
  const bytes = Buffer.from(text);
  for (const [i, byte] of bytes.entries()) {
    const isEnd = i === 0 || i === bytes.length - 1;
    const isPlain = byte > (isEnd ? 0x20 : 0x1f) && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
