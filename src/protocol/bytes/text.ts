/**
 * Strings to and from UTF-8. Strings cost most of building and reading a block (measured: 7 of 9
 * us), and nearly all of ours are short ASCII, for which a loop beats the call into the runtime.
 */

import { isAscii as isAsciiNative, isUtf8 } from "node:buffer";

/**
 * Longest string written or checked by a loop: a native call costs as much as about this many
 * characters (measured).
 */
const LOOP_MAX_LENGTH = 16;

/**
 * Most bytes looked at by a loop; the native check needs a view object first (measured: even near
 * 200).
 */
const ASCII_LOOP_MAX_BYTES = 200;

/**
 * Writes `text` at `offset` and returns the bytes written.
 *
 * Shape: the target must have 3 * text.length bytes free. Lone surrogates become U+FFFD.
 */
export function writeText(target: Buffer, offset: number, text: string): number {
  const length = text.length;
  if (length > LOOP_MAX_LENGTH) return target.write(text, offset, length * 3, "utf8");
  for (let i = 0; i < length; i++) {
    const charCode = text.charCodeAt(i);
    if (charCode > 127) return target.write(text, offset, length * 3, "utf8");
    target[offset + i] = charCode;
  }
  return length;
}

/** Text of bytes[start, end), which must be UTF-8; invalid sequences read as U+FFFD. */
export function readText(bytes: Buffer, start: number, end: number): string {
  return bytes.toString(isAscii(bytes, start, end) ? "latin1" : "utf8", start, end);
}

/** Whether bytes[start, end) is valid UTF-8. */
export function isValidUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  return isAscii(bytes, start, end) || isUtf8(bytes.subarray(start, end));
}

/** Whether bytes[start, end) holds ASCII only. */
export function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > ASCII_LOOP_MAX_BYTES) return isAsciiNative(bytes.subarray(start, end));
  for (let i = start; i < end; i++) if ((bytes[i] as number) > 127) return false;
  return true;
}

/**
 * As isAscii, for bytes whose buffer is also at hand as words that begin where they do: a quarter of the loads, each of which
 * the engine checks once a buffer was transferred in its thread.
 */
export function isAsciiInWords(
  bytes: Uint8Array,
  words: Int32Array,
  start: number,
  end: number,
): boolean {
  const firstWord = (start + 3) >>> 2;
  const endWord = end >>> 2;
  if (firstWord >= endWord) return isAscii(bytes, start, end);
  let seen = 0;
  for (let i = start; i < 4 * firstWord; i++) seen |= bytes[i] as number;
  for (let i = 4 * endWord; i < end; i++) seen |= bytes[i] as number;
  for (let word = firstWord; word < endWord; word++) seen |= words[word] as number;
  return (seen & 0x8080_8080) === 0;
}

/** Longest text that a TextMemo keeps, bytes. */
const MEMO_MAX_BYTES = 64;

/** The last text that was read, found again by its bytes: a comparison costs a tenth of making a string. */
export class TextMemo {
  readonly #bytes = new Uint8Array(MEMO_MAX_BYTES);
  #length = 0;
  #text = "";

  /** The text of bytes[start, end) if it is the one that was kept, else null. */
  find(bytes: Uint8Array, start: number, end: number): string | null {
    const length = end - start;
    if (length !== this.#length) return null;
    for (let i = 0; i < length; i++) if (bytes[start + i] !== this.#bytes[i]) return null;
    return this.#text;
  }

  /** Keeps `text`, which was read from bytes[start, end), if it is short. */
  keep(bytes: Uint8Array, start: number, end: number, text: string): void {
    if (end - start > MEMO_MAX_BYTES) return;
    for (let i = start; i < end; i++) this.#bytes[i - start] = bytes[i] as number;
    this.#length = end - start;
    this.#text = text;
  }
}
