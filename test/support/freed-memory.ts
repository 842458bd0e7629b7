/** For tests of what is given back at once. */

import { freeMemory, nextTurn, SYSTEM_SCHEDULER } from "../../src/base/index.ts";

const BYTES = 1024 * 1024;

/** Until `freeMemory` frees at once, which the first time in a thread takes some turns. */
export async function whenMemoryIsFreed(): Promise<void> {
  for (;;) {
    const buffer = new ArrayBuffer(BYTES);
    const before = process.memoryUsage().arrayBuffers;
    freeMemory(buffer);
    if (before - process.memoryUsage().arrayBuffers >= BYTES) return;
    await nextTurn(SYSTEM_SCHEDULER);
  }
}
