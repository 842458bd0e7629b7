/**
 * Two independent 32-bit hashes for dictionary look-ups. Not for integrity and not against attackers: every
 * look-up by hash compares the content before it trusts a hit.
 */

/** Hash of bytes[start, end). Cost: about 1 ns per byte. */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let h = seed | 0;
  for (let i = start; i < end; i++) {
    h = Math.imul(h ^ (bytes[i] as number), 0x01000193);
    h = (h << 13) | (h >>> 19);
  }
  return finish(h ^ (end - start));
}

/** Hash of words[start, end). */
export function hashWords(
  words: Int32Array | Uint32Array,
  start: number,
  end: number,
  seed: number,
): number {
  let h = seed | 0;
  for (let i = start; i < end; i++) {
    h = Math.imul(h ^ (words[i] as number), 0x85ebca6b);
    h = (h << 15) | (h >>> 17);
    h = Math.imul(h, 0xc2b2ae35);
  }
  return finish(h ^ (end - start));
}

/** Seeds of the two halves of a 64-bit hash key. */
export const HASH_SEED_HIGH = 0x9747b28c;
export const HASH_SEED_LOW = 0x1b873593;

function finish(value: number): number {
  let h = value;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}
