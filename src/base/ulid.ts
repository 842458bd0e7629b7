/**
 * Block ids: canonical, upper-case ULIDs of 26 characters, 16 bytes big-endian inside. Bytes order is text order
 * is creation-time order (spec index-and-query, 2.1).
 */

export const ULID_TEXT_LENGTH = 26;
export const ULID_BYTES = 16;

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** A plain array: once a buffer was transferred or detached in a thread, each load of a typed one is checked for that. */
const VALUES: number[] = new Array<number>(256).fill(-1);
for (let i = 0; i < ALPHABET.length; i++) VALUES[ALPHABET.charCodeAt(i)] = i;

/** Codes of the alphabet. */
const CHARACTERS = Array.from(ALPHABET, (character) => character.charCodeAt(0));

/** Words that hold the characters of a ULID, and two bytes that are not looked at. */
export const ULID_TEXT_WORDS = 7;

/** The characters of the text that is being decoded. */
const TEXT_WORDS = new Int32Array(ULID_TEXT_WORDS);
const TEXT = new Uint8Array(TEXT_WORDS.buffer);

/**
 * Decodes a canonical ULID into target[offset, offset + 16).
 *
 * Errors: false for any other length, for characters outside the alphabet (lower case included) and for values
 * over 128 bits; the target is then unspecified.
 */
export function tryDecodeUlid(text: string, target: Uint8Array, offset: number): boolean {
  if (text.length !== ULID_TEXT_LENGTH) return false;
  for (let i = 0; i < ULID_TEXT_LENGTH; i++) {
    const charCode = text.charCodeAt(i);
    TEXT[i] = charCode < 128 ? charCode : 0;
  }
  return tryDecodeUlidWords(TEXT_WORDS, 0, target, offset);
}

/**
 * As tryDecodeUlid, for ULID_TEXT_LENGTH ASCII characters that stand from words[at] on, which has ULID_TEXT_WORDS words.
 * A word at a time, since loads are what it costs: 7 instead of 26.
 */
export function tryDecodeUlidWords(
  words: Int32Array,
  at: number,
  target: Uint8Array,
  offset: number,
): boolean {
  // 26 characters carry 130 bits: two for the first byte, of which the first may only use its lower three bits, then
  // eight for five bytes, three times.
  const first = words[at] as number;
  const high = VALUES[first & 255] as number;
  const low = VALUES[(first >>> 8) & 255] as number;
  if ((high | low) < 0 || high > 7) return false;
  target[offset] = (high << 5) | low;
  const third = words[at + 2] as number;
  const fifth = words[at + 4] as number;
  return (
    decodeFiveBytes(first, words[at + 1] as number, third, target, offset + 1) &&
    decodeFiveBytes(third, words[at + 3] as number, fifth, target, offset + 6) &&
    decodeFiveBytes(fifth, words[at + 5] as number, words[at + 6] as number, target, offset + 11)
  );
}

/**
 * Eight characters, two of `head`, four of `middle` and two of `tail`, to five bytes; false for a character outside the
 * alphabet, whose value is negative.
 */
function decodeFiveBytes(
  head: number,
  middle: number,
  tail: number,
  target: Uint8Array,
  offset: number,
): boolean {
  const a = VALUES[(head >>> 16) & 255] as number;
  const b = VALUES[head >>> 24] as number;
  const c = VALUES[middle & 255] as number;
  const d = VALUES[(middle >>> 8) & 255] as number;
  const e = VALUES[(middle >>> 16) & 255] as number;
  const f = VALUES[middle >>> 24] as number;
  const g = VALUES[tail & 255] as number;
  const h = VALUES[(tail >>> 8) & 255] as number;
  target[offset] = (a << 3) | (b >> 2);
  target[offset + 1] = (b << 6) | (c << 1) | (d >> 4);
  target[offset + 2] = (d << 4) | (e >> 1);
  target[offset + 3] = (e << 7) | (f << 2) | (g >> 3);
  target[offset + 4] = (g << 5) | h;
  return (a | b | c | d | e | f | g | h) >= 0;
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

/** Writes the text form of bytes[offset, offset + 16) to target[at, at + 26): without making a string of it. */
export function writeUlid(bytes: Uint8Array, offset: number, target: Uint8Array, at: number): void {
  let to = at;
  let bits = 0;
  let bitCount = 2;
  for (let i = 0; i < ULID_BYTES; i++) {
    bits = ((bits << 8) | (bytes[offset + i] as number)) & 0xffff;
    bitCount += 8;
    while (bitCount >= 5) {
      bitCount -= 5;
      target[to++] = CHARACTERS[(bits >>> bitCount) & 31] as number;
    }
  }
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
