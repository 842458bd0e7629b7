/** The way of a message that is alone in its buffer to the owner of its connection. */

import { mayBeLookUp } from "../protocol/index.ts";
import type { ConnectionEvents } from "./listener.ts";

/** Short messages are offered as words first: a view of them is all that a look-up then costs before it is read. */
export function deliver(events: ConnectionEvents, message: ArrayBuffer): void {
  if (mayBeLookUp(message.byteLength) && events.maybeAnswer(new Int32Array(message))) return;
  events.message(new Uint8Array(message));
}
