/**
 * The envelope of a write in a client session.
 *
 * ```
 * payload:  f64 session id | f64 sequence | f64 acknowledged through | one entry (entry-body.ts), header included
 * ```
 *
 * The entry inside is 8-aligned when the envelope is, so its blocks are read in place as well.
 */

import { structureError } from "../bytes/flat-reader.ts";
import type { ByteSink } from "../bytes/sink.ts";
import {
  beginEntry,
  COMMAND,
  COMMAND_OFFSET,
  endEntry,
  ENTRY_HEADER_BYTES,
  iterateEntries,
} from "./entry-body.ts";

export interface SessionEntry {
  readonly sessionId: number;
  readonly sequence: number;
  readonly ackedThrough: number;
  /** The command inside; its payload is bytes[offset, offset + length) of what was decoded. */
  readonly command: number;
  readonly version: number;
  readonly offset: number;
  readonly length: number;
}

const ENVELOPE_BYTES = 24;

/** What a client may do within a session: whatever changes the index. */
const INNER_COMMANDS: ReadonlySet<number> = new Set([
  COMMAND.addBlocks,
  COMMAND.replaceBlocks,
  COMMAND.completeJobs,
  COMMAND.truncateIndex,
  COMMAND.deleteShard,
  COMMAND.addTombstones,
  COMMAND.deleteTombstones,
]);

/** Which write of which session; what the table of sessions knows it by. */
export type SessionNumbers = Pick<SessionEntry, "sessionId" | "sequence" | "ackedThrough">;

/** Starts an envelope; append one whole entry behind it, then call `endEntry` with what this returns. */
export function beginSessionEntry(sink: ByteSink, numbers: SessionNumbers): number {
  const start = beginEntry(sink, COMMAND.sessionEntry);
  const { sessionId, sequence, ackedThrough } = numbers;
  sink.append(new Uint8Array(new Float64Array([sessionId, sequence, ackedThrough]).buffer));
  return start;
}

/** Appends `entry`, one whole entry with its padding, in an envelope. Returns the length of the whole. */
export function appendSessionEntry(
  sink: ByteSink,
  numbers: SessionNumbers,
  entry: Uint8Array,
): number {
  const start = beginSessionEntry(sink, numbers);
  sink.append(entry);
  return endEntry(sink, start);
}

/**
 * What an entry comes to: its command, or that of the entry inside of its envelope. Cost: two loads. Of an envelope that
 * `decodeSessionEntry` refuses it may say anything.
 */
export function effectiveCommand(
  command: number,
  bytes: Uint8Array,
  payloadOffset: number,
  payloadBytes: number,
): number {
  if (command !== COMMAND.sessionEntry || payloadBytes < ENVELOPE_BYTES + ENTRY_HEADER_BYTES)
    return command;
  const at = payloadOffset + ENVELOPE_BYTES + COMMAND_OFFSET;
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

/**
 * Payload of a session entry. The three numbers are as they came; the session table judges them.
 *
 * Errors: HearthError invalid_argument, `bad_structure`: cut off, not one entry, or one that is not for clients.
 */
export function decodeSessionEntry(
  bytes: Uint8Array,
  offset: number,
  length: number,
): SessionEntry {
  if (length < ENVELOPE_BYTES) throw structureError("the session envelope is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, length);
  const first = offset + ENVELOPE_BYTES;
  const inside = bytes.subarray(first, offset + length);
  let found: Pick<SessionEntry, "command" | "version" | "offset" | "length"> | null = null;
  const count = iterateEntries(inside, inside.length, (command, version, start, payloadBytes) => {
    found ??= { command, version, offset: first + start, length: payloadBytes };
  });
  if (found === null || count !== 1)
    throw structureError(`a session envelope holds ${count} entries`);
  const inner: Pick<SessionEntry, "command" | "version" | "offset" | "length"> = found;
  if (!INNER_COMMANDS.has(inner.command)) {
    throw structureError(`command ${inner.command} cannot stand in a session`);
  }
  return {
    sessionId: view.getFloat64(0, true),
    sequence: view.getFloat64(8, true),
    ackedThrough: view.getFloat64(16, true),
    ...inner,
  };
}
