/**
 * The commands of the simulated state machine, as payloads of log entries.
 *
 * payload (32 B): u8 operation | u8 key | u16 0 | u32 value | f64 session | f64 sequence | f64 0
 */

import { ENTRY_HEADER_BYTES } from "./entry-hash.ts";

/** `open` opens a session; the others change the key. */
export const OPERATION = { write: 1, append: 2, increment: 3, open: 4 } as const;
export type Operation = (typeof OPERATION)[keyof typeof OPERATION];

export interface SimCommand {
  readonly operation: Operation;
  readonly key: number;
  /** Unique over the whole run: tells every write from every other. */
  readonly value: number;
  /** Log index of the entry that opened it; 0: none, the command is applied as often as it is logged. */
  readonly session: number;
  readonly sequence: number;
}

/** Above the commands of the product, which the simulated state machine does not know. */
const COMMAND_NUMBER = 200;
const PAYLOAD_BYTES = 32;
const ENTRY_BYTES = ENTRY_HEADER_BYTES + PAYLOAD_BYTES;

/** Entries back to back, as the log keeps them; 8-aligned in a buffer of their own. */
export function encodeCommands(commands: readonly SimCommand[]): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(commands.length * ENTRY_BYTES);
  const view = new DataView(body.buffer);
  commands.forEach(({ operation, key, value, session, sequence }, i) => {
    const at = i * ENTRY_BYTES;
    view.setUint32(at, PAYLOAD_BYTES, true);
    view.setUint16(at + 4, COMMAND_NUMBER, true);
    view.setUint16(at + 6, 1, true);
    const payload = at + ENTRY_HEADER_BYTES;
    view.setUint8(payload, operation);
    view.setUint8(payload + 1, key);
    view.setUint32(payload + 4, value, true);
    view.setFloat64(payload + 8, session, true);
    view.setFloat64(payload + 16, sequence, true);
  });
  return body;
}

/** Calls `visit` once per entry: with its command, or null for what the leader itself puts into the log. */
export function visitCommands(
  body: Uint8Array,
  count: number,
  visit: (command: SimCommand | null, position: number) => void,
): void {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const payloadBytes = view.getUint32(at, true);
    const payload = at + ENTRY_HEADER_BYTES;
    if (view.getUint16(at + 4, true) === COMMAND_NUMBER) {
      visit(
        {
          operation: view.getUint8(payload) as Operation,
          key: view.getUint8(payload + 1),
          value: view.getUint32(payload + 4, true),
          session: view.getFloat64(payload + 8, true),
          sequence: view.getFloat64(payload + 16, true),
        },
        i,
      );
    } else {
      visit(null, i);
    }
    at = payload + Math.ceil(payloadBytes / 8) * 8;
  }
}
