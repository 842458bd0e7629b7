/** Log entries and committed batches for tests that drive the state machine directly. */

import {
  appendEntry,
  ByteSink,
  type CommittedBatch,
  iterateEntries,
} from "../../src/protocol/index.ts";

/** One entry of a command with its payload. Owned, 8-aligned. */
export function encodeEntry(command: number, payload: Uint8Array): Uint8Array {
  const sink = new ByteSink();
  appendEntry(sink, command, payload);
  return sink.copy();
}

/** Entries as the driver loop would hand them to the state machine. */
export function toCommittedBatch(
  body: Uint8Array,
  position: { readonly firstIndex: number; readonly term: number; readonly appendedAtMs: number },
): CommittedBatch {
  const count = iterateEntries(body, body.length, () => {});
  return { ...position, count, body, bodyBytes: body.length };
}
