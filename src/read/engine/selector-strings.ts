/**
 * String literals of a selector (index-and-query 7.1): which escapes exist, and which bytes they make.
 *
 * Byte escapes (`\xff`, `\377`) make that byte, rune escapes (`\u00e9`) the UTF-8 encoding of the code point.
 */

export type QuotedResult =
  | { readonly ok: true; readonly value: Uint8Array; readonly end: number }
  | { readonly ok: false; readonly position: number; readonly problem: string };

/**
 * Reads the literal whose opening quote stands at bytes[start].
 *
 * Shape: `value` is owned by the caller; `end` is the position after the closing quote.
 */
export function readQuoted(bytes: Uint8Array, start: number): QuotedResult {
  const quote = bytes[start] as number;
  let end = start + 1;
  let hasEscape = false;
  for (; end < bytes.length && bytes[end] !== quote; end++) {
    if (quote === BACKTICK) continue;
    if (bytes[end] === LINE_FEED) return fail(end, "line break in a quoted string");
    if (bytes[end] === BACKSLASH) {
      hasEscape = true;
      end++;
    }
  }
  if (end >= bytes.length) return fail(start, "quoted string has no end");
  if (!hasEscape) return { ok: true, value: bytes.slice(start + 1, end), end: end + 1 };
  return readEscapes(bytes, start + 1, end, quote);
}

function readEscapes(bytes: Uint8Array, start: number, end: number, quote: number): QuotedResult {
  // No escape makes more bytes than it has characters.
  const target = new Uint8Array(end - start);
  let length = 0;
  let position = start;
  while (position < end) {
    const byte = bytes[position] as number;
    if (byte !== BACKSLASH) {
      target[length++] = byte;
      position++;
      continue;
    }
    const found = readEscape(bytes, position + 1, end, quote);
    if (found === null)
      return fail(position, `unknown or incomplete escape ${show(bytes, position, end)}`);
    length = found.isByte
      ? pushByte(target, length, found.value)
      : pushRune(target, length, found.value);
    position += 1 + found.sizeBytes;
  }
  return { ok: true, value: target.slice(0, length), end: end + 1 };
}

interface Escape {
  readonly value: number;
  /** A byte as it is, rather than a code point to encode. */
  readonly isByte: boolean;
  /** Characters after the backslash. */
  readonly sizeBytes: number;
}

function readEscape(bytes: Uint8Array, at: number, end: number, quote: number): Escape | null {
  const letter = bytes[at] as number;
  if (letter === quote || letter === BACKSLASH)
    return { value: letter, isByte: true, sizeBytes: 1 };
  const simple = SIMPLE_ESCAPES.get(letter);
  if (simple !== undefined) return { value: simple, isByte: true, sizeBytes: 1 };
  if (letter >= ZERO && letter <= SEVEN) {
    const value = readDigits(bytes, at, Math.min(end, at + 3), 3, 8);
    return value < 0 || value > 255 ? null : { value, isByte: true, sizeBytes: 3 };
  }
  const digits = HEX_ESCAPES.get(letter);
  if (digits === undefined) return null;
  const value = readDigits(bytes, at + 1, Math.min(end, at + 1 + digits), digits, 16);
  if (value < 0) return null;
  const isByte = digits === 2;
  if (!isByte && !isScalarValue(value)) return null;
  return { value, isByte, sizeBytes: 1 + digits };
}

/** Exactly `count` digits of `base`, or -1. */
function readDigits(
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
  base: number,
): number {
  if (end - start !== count) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = digitOf(bytes[i] as number);
    if (digit < 0 || digit >= base) return -1;
    value = value * base + digit;
  }
  return value;
}

function digitOf(byte: number): number {
  if (byte >= ZERO && byte <= 0x39) return byte - ZERO;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}

function isScalarValue(value: number): boolean {
  return value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
}

function pushByte(target: Uint8Array, length: number, value: number): number {
  target[length] = value;
  return length + 1;
}

function pushRune(target: Uint8Array, length: number, value: number): number {
  const encoded = ENCODER.encode(String.fromCodePoint(value));
  target.set(encoded, length);
  return length + encoded.length;
}

function show(bytes: Uint8Array, position: number, end: number): string {
  const stop = Math.min(end, position + 10);
  return JSON.stringify(new TextDecoder().decode(bytes.subarray(position, stop)));
}

function fail(position: number, problem: string): QuotedResult {
  return { ok: false, position, problem };
}

const ENCODER = new TextEncoder();
const LINE_FEED = 0x0a;
const ZERO = 0x30;
const SEVEN = 0x37;
const BACKSLASH = 0x5c;
const BACKTICK = 0x60;

const SIMPLE_ESCAPES: ReadonlyMap<number, number> = new Map(
  [
    ["a", 0x07],
    ["b", 0x08],
    ["f", 0x0c],
    ["n", 0x0a],
    ["r", 0x0d],
    ["t", 0x09],
    ["v", 0x0b],
  ].map(([letter, value]) => [(letter as string).charCodeAt(0), value as number]),
);

/** x, u, U -> number of hexadecimal digits. */
const HEX_ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x78, 2],
  [0x75, 4],
  [0x55, 8],
]);
