/**
 * Block ids: canonical, upper-case ULIDs of 26 characters, 16 bytes big-endian inside. Bytes order is text order
 * is creation-time order (spec index-and-query, 2.1).
 */

export const ULID_TEXT_LENGTH = 26;
export const ULID_BYTES = 16;

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const VALUES = new Int8Array(128).fill(-1);
for (let i = 0; i < ALPHABET.length; i++) VALUES[ALPHABET.charCodeAt(i)] = i;

/**
 * Decodes a canonical ULID into target[offset, offset + 16).
 *
 * Errors: false for any other length, for characters outside the alphabet (lower case included) and for values
 * over 128 bits; the target is then unspecified.
 */
export function tryDecodeUlid(text: string, target: Uint8Array, offset: number): boolean {
  if (text.length !== ULID_TEXT_LENGTH) return false;
  // 26 characters carry 130 bits; the first may only use its lower three.
  let bits = 0;
  let bitCount = -2;
  let position = offset;
  for (let i = 0; i < ULID_TEXT_LENGTH; i++) {
    const charCode = text.charCodeAt(i);
    const value = charCode < 128 ? (VALUES[charCode] as number) : -1;
    if (value < 0) return false;
    if (i === 0 && value > 7) return false;
    bits = ((bits << 5) | value) & 0xfff;
    bitCount += 5;
    if (bitCount >= 8) {
      bitCount -= 8;
      target[position++] = (bits >>> bitCount) & 0xff;
    }
  }
  return true;
}

/** Text form of bytes[offset, offset + 16). */
export function encodeUlid(bytes: Uint8Array, offset: number): string {
  let text = "";
  let bits = 0;
  let bitCount = 2;
  for (let i = 0; i < ULID_BYTES; i++) {
    bits = ((bits << 8) | (bytes[offset + i] as number)) & 0xffff;
    bitCount += 8;
    while (bitCount >= 5) {
      bitCount -= 5;
      text += ALPHABET[(bits >>> bitCount) & 31];
    }
  }
  return text;
}

/** Creation time in Unix ms: the first 48 bits. */
export function ulidTimeMs(bytes: Uint8Array, offset: number): number {
  const high = ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
  const low =
    (((bytes[offset + 2] as number) << 24) |
      ((bytes[offset + 3] as number) << 16) |
      ((bytes[offset + 4] as number) << 8) |
      (bytes[offset + 5] as number)) >>>
    0;
  return high * 0x1_0000_0000 + low;
}
