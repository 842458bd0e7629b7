/** Whether entries make the index larger: what a member refuses that has little room left. */

import { COMMAND, iterateEntries } from "./entry-body.ts";
import { decodeSessionEntry } from "./session-entry.ts";

/**
 * True when one of the entries in body[0, bodyBytes) adds blocks, in a session or without one. What compaction, retention and
 * deletion log does not count: it is what makes room again.
 *
 * Errors: HearthError invalid_argument, `bad_structure`, when the framing is wrong.
 */
export function addsBlocks(body: Uint8Array, bodyBytes: number): boolean {
  let isFound = false;
  iterateEntries(body, bodyBytes, (command, _version, offset, length) => {
    const inner =
      command === COMMAND.sessionEntry ? decodeSessionEntry(body, offset, length).command : command;
    if (inner === COMMAND.addBlocks) isFound = true;
  });
  return isFound;
}
