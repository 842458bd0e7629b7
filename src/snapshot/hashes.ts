/**
 * The file `hashes`: one record per chunk, in order.
 *
 * ```
 * record 40 B: SHA-256 of the chunk, 32 B | u32 chunk | u32 crc32c of the 36 bytes before
 * ```
 *
 * While a snapshot is received the records are the memory of what is durable: record i is written only after chunk i
 * is on the disk. A record that a crash tore in two has a wrong checksum. Of a complete snapshot the digest of the
 * meta vouches for all of them.
 */

import { createHash } from "node:crypto";
import { crc32c } from "@node-rs/crc32";

export const HASH_BYTES = 32;
export const HASH_RECORD_BYTES = 40;

export function hashChunk(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

/** SHA-256 over the hashes in order, as SnapshotMeta says it. 64 hex digits. */
export function digestOf(hashes: readonly Uint8Array[]): string {
  const digest = createHash("sha256");
  for (const hash of hashes) digest.update(hash);
  return digest.digest("hex");
}

export function encodeHashRecords(hashes: readonly Uint8Array[], firstChunk: number): Uint8Array {
  const bytes = new Uint8Array(hashes.length * HASH_RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, hash] of hashes.entries()) {
    const at = i * HASH_RECORD_BYTES;
    bytes.set(hash, at);
    view.setUint32(at + HASH_BYTES, firstChunk + i, true);
    view.setUint32(at + 36, crc32c(bytes.subarray(at, at + 36)), true);
  }
  return bytes;
}

/** Hashes of the records that are whole, from the first on. Any byte string is allowed. */
export function decodeHashRecords(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const hashes: Uint8Array[] = [];
  for (let at = 0; at + HASH_RECORD_BYTES <= bytes.length; at += HASH_RECORD_BYTES) {
    if (view.getUint32(at + HASH_BYTES, true) !== hashes.length) break;
    if (view.getUint32(at + 36, true) !== crc32c(bytes.subarray(at, at + 36))) break;
    hashes.push(bytes.slice(at, at + HASH_BYTES));
  }
  return hashes;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
