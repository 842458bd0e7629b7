/**
 * Short texts that come again and again, found by their bytes: comparing a few words costs a tenth of making a string.
 * For bytes that stand at a multiple of 4. A text that is not there is read and takes the place of another one.
 */

import { LIMITS } from "../limits.ts";
import { isValidUtf8, readText } from "./text.ts";

const SLOTS = 64;
/** Longest text that is kept, words. */
const KEPT_WORDS = 8;

export class WordTexts {
  readonly #words = new Int32Array(SLOTS * KEPT_WORDS);
  readonly #lengths: number[] = new Array<number>(SLOTS).fill(-1);
  readonly #texts: string[] = new Array<string>(SLOTS).fill("");

  /** The text of `bytes` bytes that begin at words[at]; null when it is no UTF-8 or longer than a tenant may be. */
  tryRead(words: Int32Array, at: number, bytes: number): string | null {
    const count = (bytes + 3) >>> 2;
    if (count > KEPT_WORDS || bytes === 0) return tryReadBytes(words, at, bytes);
    const first = words[at] as number;
    const slot = (first ^ (first >>> 7) ^ (words[at + count - 1] as number) ^ bytes) & (SLOTS - 1);
    const kept = slot * KEPT_WORDS;
    if (this.#lengths[slot] === bytes && this.#isKept(kept, words, at, count))
      return this.#texts[slot] as string;
    const text = tryReadBytes(words, at, bytes);
    if (text === null) return null;
    this.#lengths[slot] = bytes;
    this.#texts[slot] = text;
    for (let i = 0; i < count; i++) this.#words[kept + i] = words[at + i] as number;
    return text;
  }

  /** Numbers instead of an object: this is what the kept texts are there for. */
  #isKept(kept: number, words: Int32Array, at: number, count: number): boolean {
    for (let i = 0; i < count; i++) if (words[at + i] !== this.#words[kept + i]) return false;
    return true;
  }
}

function tryReadBytes(words: Int32Array, at: number, bytes: number): string | null {
  if (bytes > LIMITS.tenantMaxBytes) return null;
  const text = Buffer.from(words.buffer, words.byteOffset + 4 * at, bytes);
  return isValidUtf8(text, 0, bytes) ? readText(text, 0, bytes) : null;
}
