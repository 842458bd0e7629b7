/**
 * Payload of the raw Command operation: log entries as they are, for tools that may do what the API
 * does not offer.
 *
 * ```
 * f64 term at least | f64 appended at, Unix ms | entries (entry-body.ts)     0 = any
 * ```
 */

import { assert, isHearthError } from "../../base/index.ts";
import { AlignedViews } from "../bytes/aligned-views.ts";
import { structureError } from "../bytes/flat-reader.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { LIMITS } from "../limits.ts";
import { refusalError, type ValidationFailure } from "../refusals.ts";
import { validateCommand } from "./command-decoder.ts";
import { iterateEntries } from "./entry-body.ts";

const HEADER_BYTES = 16;
const VIEWS = new AlignedViews();

export interface CommandRequest {
  /** The leader moves to this term first, if it is in a lower one. 0 = any. */
  readonly termAtLeast: number;
  /** Append time to record, Unix ms. 0 = now. */
  readonly appendedAtMs: number;
  /** Entries in the body. */
  readonly count: number;
  /** Entries back to back. Borrowed from the frame when decoded; 8-aligned when the payload is. */
  readonly body: Uint8Array;
}

/** Appends the payload up to its entries, which the caller appends behind it. */
export function beginCommandRequest(
  sink: ByteSink,
  options: { readonly termAtLeast?: number; readonly appendedAtMs?: number } = {},
): void {
  assert((sink.length & 7) === 0, "A payload must begin at a multiple of 8");
  sink.reserve(HEADER_BYTES);
  sink.f64[sink.length >>> 3] = options.termAtLeast ?? 0;
  sink.f64[(sink.length >>> 3) + 1] = options.appendedAtMs ?? 0;
  sink.length += HEADER_BYTES;
}

/**
 * Reads the payload in bytes[offset, offset + length); every command in it may enter the log.
 *
 * Errors: HearthError invalid_argument with the reason of the first refusal.
 */
export function decodeCommandRequest(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): CommandRequest {
  if (length < HEADER_BYTES) throw structureError(`${length} bytes are too short for a command`);
  VIEWS.point(bytes, offset, length);
  const termAtLeast = VIEWS.f64[VIEWS.base >>> 3] as number;
  const appendedAtMs = VIEWS.f64[(VIEWS.base >>> 3) + 1] as number;
  if (!isSafe(termAtLeast) || !isSafe(appendedAtMs)) throw structureError("bad term or time");
  const body = bytes.subarray(offset + HEADER_BYTES, offset + length);
  const { count, failure } = checkEntries(body);
  if (failure !== null) throw refusalError(failure);
  if (count === 0 || count > LIMITS.entriesPerCommandMax) {
    throw structureError(`${count} entries, allowed are 1 to ${LIMITS.entriesPerCommandMax}`);
  }
  return { termAtLeast, appendedAtMs, count, body };
}

/** Counts the entries of a body and finds the first that must not enter the log. */
export function checkEntries(body: Uint8Array): {
  readonly count: number;
  readonly failure: ValidationFailure | null;
} {
  let failure: ValidationFailure | null = null;
  try {
    const count = iterateEntries(body, body.length, (command, version, offset, length) => {
      failure ??= validateCommand(command, version, body, offset, length);
    });
    return { count, failure };
  } catch (error) {
    if (!isHearthError(error)) throw error;
    return { count: 0, failure: { reason: "bad_structure", message: error.message } };
  }
}

function isSafe(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
