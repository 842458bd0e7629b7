/** An error across the wire: what a client needs to decide, and what its operator needs to read. */

import { errorCodeFromNumber, errorCodeNumber, HearthError } from "../../base/index.ts";
import { FlatReader } from "../bytes/flat-reader.ts";
import { FlatWriter } from "../bytes/flat-writer.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { LIMITS } from "../limits.ts";

const WRITER = new FlatWriter();
const READER = new FlatReader();

/**
 * Appends an ErrorReply; the sink stands at a multiple of 8. Over-long texts are cut. Returns its
 * bytes.
 */
export function encodeErrorReply(sink: ByteSink, error: HearthError): number {
  WRITER.begin(sink, 7);
  WRITER.u8(0, errorCodeNumber(error.code));
  WRITER.u32(3, Math.min(0xffff_ffff, Math.max(0, Math.ceil(error.retryAfterMs ?? 0))));
  WRITER.text(1, cut(error.message));
  WRITER.text(2, cut(error.reason));
  WRITER.text(4, cut(error.next ?? ""));
  WRITER.text(5, cut(error.leader?.id ?? ""));
  WRITER.text(6, cut(error.leader?.address ?? ""));
  return WRITER.end();
}

/**
 * The error an ErrorReply stands for. A reply came, so the request was sent: `sent` is "yes".
 *
 * Errors: HearthError invalid_argument when the bytes are no ErrorReply.
 */
export function decodeErrorReply(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): HearthError {
  const table = READER.open(bytes, offset, length);
  const retryAfterMs = table.u32(3);
  const next = readText(table, 4);
  const leaderId = readText(table, 5);
  const leaderAddress = readText(table, 6);
  const hasLeader = leaderId !== "" || leaderAddress !== "";
  const code = errorCodeFromNumber(table.u8(0));
  const message = readText(table, 1);
  const reason = readText(table, 2);
  return new HearthError(code, message, {
    reason: reason === "" ? undefined : reason,
    retryAfterMs: retryAfterMs === 0 ? undefined : retryAfterMs,
    next: next === "" ? undefined : next,
    leader: hasLeader ? { id: leaderId, address: leaderAddress } : undefined,
    sent: "yes",
  });
}

function readText(table: FlatReader, field: number): string {
  return table.text(field, LIMITS.errorTextMaxBytes, "error");
}

/** UTF-8 takes at most 3 bytes per code unit. */
function cut(text: string): string {
  const lengthMax = Math.floor(LIMITS.errorTextMaxBytes / 3);
  return text.length <= lengthMax ? text : text.slice(0, lengthMax);
}
