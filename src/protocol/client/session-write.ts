/**
 * A write in a client session: the numbers by which a repeat is recognised, then the request itself.
 *
 * ```
 * 0 f64 session id   8 f64 sequence   16 f64 acknowledged through   24 u32 opcode   28 u32 0 | 32 payload of that opcode
 * ```
 *
 * The opcode is add_block or add_blocks. The numbers are judged by the state (src/session), not here.
 */

import { structureError } from "../bytes/flat-reader.ts";
import type { ByteSink } from "../bytes/sink.ts";
import type { SessionNumbers } from "../command/session-entry.ts";
import { OP } from "./opcodes.ts";

export interface SessionWrite extends SessionNumbers {
  readonly opcode: typeof OP.add_block | typeof OP.add_blocks;
}

const HEAD_BYTES = 32;

/** Appends the head; the payload of the operation follows it, at a multiple of 8 if this began at one. */
export function beginSessionWrite(sink: ByteSink, write: SessionWrite): void {
  const { sessionId, sequence, ackedThrough, opcode } = write;
  const head = new Uint8Array(HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setFloat64(0, sessionId, true);
  view.setFloat64(8, sequence, true);
  view.setFloat64(16, ackedThrough, true);
  view.setUint32(24, opcode, true);
  sink.append(head);
}

/** Errors: HearthError invalid_argument, `bad_structure`. The payload is borrowed. */
export function decodeSessionWrite(
  bytes: Uint8Array,
): SessionWrite & { readonly payload: Uint8Array } {
  if (bytes.length < HEAD_BYTES) throw structureError("the head of a session write is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const opcode = view.getUint32(24, true);
  if (opcode !== OP.add_block && opcode !== OP.add_blocks)
    throw structureError(`operation ${opcode} cannot stand in a session`);
  if (view.getUint32(28, true) !== 0) throw structureError("reserved bytes are not zero");
  return {
    sessionId: view.getFloat64(0, true),
    sequence: view.getFloat64(8, true),
    ackedThrough: view.getFloat64(16, true),
    opcode,
    payload: bytes.subarray(HEAD_BYTES),
  };
}
