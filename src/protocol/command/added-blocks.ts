/** The blocks that log entries add, as writers sent them: in a client session or without one. */

import { COMMAND, iterateEntries } from "./entry-body.ts";
import { decodeSessionEntry, effectiveCommand } from "./session-entry.ts";

/**
 * Visits the batches of blocks (client/block-batch.ts) that the entries in body[0, bodyBytes) add; each is at
 * body[offset, offset + length).
 *
 * Errors: HearthError invalid_argument, `bad_structure`, when the framing is wrong; batches before it were visited.
 */
export function iterateAddedBatches(
  body: Uint8Array,
  bodyBytes: number,
  visit: (offset: number, length: number) => void,
): void {
  iterateEntries(body, bodyBytes, (command, _version, offset, length) => {
    if (command === COMMAND.addBlocks) visit(offset, length);
    if (command !== COMMAND.sessionEntry) return;
    const inner = decodeSessionEntry(body, offset, length);
    if (inner.command === COMMAND.addBlocks) visit(inner.offset, inner.length);
  });
}

/**
 * Whether one of the entries adds blocks. What compaction, retention and deletion log does not count: it makes room again.
 * Errors: as above.
 */
export function addsBlocks(body: Uint8Array, bodyBytes: number): boolean {
  let isFound = false;
  iterateAddedBatches(body, bodyBytes, () => {
    isFound = true;
  });
  return isFound;
}

/** Whether all of them do, and nothing else. Errors: as above. */
export function addsBlocksAlone(body: Uint8Array, bodyBytes: number): boolean {
  let isAlone = true;
  iterateEntries(body, bodyBytes, (command, _version, offset, length) => {
    isAlone &&= effectiveCommand(command, body, offset, length) === COMMAND.addBlocks;
  });
  return isAlone;
}
