/** The entry that opens a term: it commits what earlier terms left, and it changes nothing. */

import { COMMAND, COMMAND_VERSION, ENTRY_HEADER_BYTES } from "../protocol/index.ts";

function encodeNoop(): Uint8Array {
  const body = new Uint8Array(ENTRY_HEADER_BYTES);
  const view = new DataView(body.buffer);
  view.setUint16(4, COMMAND.noop, true);
  view.setUint16(6, COMMAND_VERSION, true);
  return body;
}

/** Never written to. */
export const NOOP_BODY: Uint8Array = encodeNoop();
