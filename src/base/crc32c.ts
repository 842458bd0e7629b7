/**
 * CRC32C of parts of a range. A call of the native function costs as much as a hundred bytes here, and it wants a view of
 * the part first; above that it is many times faster.
 */

import { createRequire } from "node:module";

type Crc32c = (bytes: Uint8Array, before: number) => number;

/** Loaded at the first call: everything imports base, and a command of the program rarely needs this. */
let native: Crc32c | null = null;

const SHORT_MAX_BYTES = 128;
const REVERSED_POLYNOMIAL = 0x82f6_3b78;

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? REVERSED_POLYNOMIAL : 0);
  return crc;
});

/** CRC32C of bytes[start, end), going on from that of what came before it. */
export function crc32cOf(bytes: Uint8Array, start: number, end: number, before = 0): number {
  if (end - start > SHORT_MAX_BYTES) {
    native ??= loadNative();
    return native(bytes.subarray(start, end), before);
  }
  let crc = ~before;
  for (let i = start; i < end; i++) {
    crc = (TABLE[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

function loadNative(): Crc32c {
  return (createRequire(import.meta.url)("@node-rs/crc32") as { crc32c: Crc32c }).crc32c;
}
