/**
 * Ids as bytes. The same few members fill every message with the same few ids, so those met last are remembered: reading
 * one costs a comparison instead of a decoder and a pattern, writing one nothing.
 */

import { assert } from "../../base/index.ts";
import { CODEC_LIMITS } from "./limits.ts";

interface KnownId {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** More than the members of any cluster that makes sense; the oldest one is forgotten for the next. */
const KNOWN_MAX = 16;
const known: KnownId[] = [];
let nextPlace = 0;

/** Ids name files and keys, too: no separators, no leading dot, ASCII. */
const ID_PATTERN = /^[0-9A-Za-z][0-9A-Za-z._:-]*$/;

const encoder = new TextEncoder();

export function isId(text: string): boolean {
  return text.length <= CODEC_LIMITS.idMaxBytes && ID_PATTERN.test(text);
}

/** Borrowed: not to be written to. What is no id asserts. */
export function encodeId(id: string, what: string): Uint8Array {
  for (const { text, bytes } of known) if (text === id) return bytes;
  assert(isId(id), `${what} ${JSON.stringify(id)} is not an id`);
  return remember(id);
}

/** The id in bytes[start, start + length), if it was met lately; null: not known whether it is one. */
export function knownId(bytes: Uint8Array, start: number, length: number): string | null {
  for (const id of known) if (isAt(id.bytes, bytes, start, length)) return id.text;
  return null;
}

/** It was found to be an id. */
export function remember(id: string): Uint8Array {
  const bytes = encoder.encode(id);
  known[nextPlace] = { text: id, bytes };
  nextPlace = (nextPlace + 1) % KNOWN_MAX;
  return bytes;
}

/** From the end: ids that were made at about the same time begin alike. */
function isAt(id: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (id.length !== length) return false;
  for (let i = length - 1; i >= 0; i--) if (id[i] !== bytes[start + i]) return false;
  return true;
}
