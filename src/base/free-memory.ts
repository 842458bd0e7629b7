/**
 * Large buffers that are given back when they are done with, and not when somebody collects garbage. V8 lets 64 MiB of
 * buffers that nobody needs any more lie in each thread before it looks for them, and in a thread that has nothing to do for ever.
 */

import { MessageChannel, type MessagePort } from "node:worker_threads";

/** Below, the call costs more than the memory is worth. Good enough. */
const WORTH_BYTES = 16 * 1024;

let nowhere: MessagePort | null = null;

/**
 * Frees the memory of a buffer of which nobody holds a view that is used again: all of them are empty afterwards. `buffer` must be
 * whole and its own, not a part of a pool. Buffers that are not worth it are left to the collector. The first time in a thread the
 * memory is free a few turns later.
 */
export function freeMemory(buffer: ArrayBufferLike): void {
  if (buffer.byteLength < WORTH_BYTES || !(buffer instanceof ArrayBuffer)) return;
  nowhere ??= openNowhere();
  // Who is sent to nobody is gone at once; ArrayBuffer.transfer, which would say it plainly, needs Node.js 22.
  nowhere.postMessage(null, [buffer]);
}

function openNowhere(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  return port1;
}
