/** Damage to bytes, as attackers and broken peers do it. Every function returns new bytes. */

import type { Prng } from "../../src/base/index.ts";

const BYTES = [0, 1, 0x7f, 0x80, 0xff, 0x48, 4, 16];
const WORDS = [
  0, 1, 4, 8, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffc, 0x1000_0000,
];
const DOUBLES = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -0,
  -1,
  0.5,
  2 ** 53,
  2 ** 53 + 2,
  1e308,
  5e-324,
];

/** One to eight pieces of damage; the header is left whole most of the time, or nothing behind it would be reached. */
export function mutate(prng: Prng, frame: Uint8Array, other: Uint8Array): Uint8Array {
  let bytes: Uint8Array = frame.slice();
  const start = prng.nextChance(0.85) ? Math.min(16, bytes.length) : 0;
  const pieces = 1 + prng.nextInt(prng.nextChance(0.7) ? 2 : 8);
  for (let i = 0; i < pieces; i++) bytes = damage(prng, bytes, start, other);
  return bytes;
}

function damage(prng: Prng, bytes: Uint8Array, start: number, other: Uint8Array): Uint8Array {
  const length = bytes.length - start;
  if (length <= 0) return extend(prng, bytes);
  const at = start + prng.nextInt(length);
  const view = new DataView(bytes.buffer);
  switch (prng.nextInt(10)) {
    case 0:
      bytes[at] = (bytes[at] as number) ^ (1 << prng.nextInt(8));
      return bytes;
    case 1:
      bytes[at] = prng.pick(BYTES);
      return bytes;
    case 2:
    case 3:
      if (bytes.length >= 4) view.setUint32(align(at, 4, bytes.length), prng.pick(WORDS), true);
      return bytes;
    case 4:
      if (bytes.length >= 8) view.setFloat64(align(at, 8, bytes.length), prng.pick(DOUBLES), true);
      return bytes;
    case 5:
      // Offsets and counts that are off by a little are the ones that bounds checks miss.
      if (bytes.length >= 4) {
        const word = align(at, 4, bytes.length);
        view.setUint32(word, (view.getUint32(word, true) + prng.nextBetween(-8, 8)) >>> 0, true);
      }
      return bytes;
    case 6:
      return bytes.slice(0, at);
    case 7:
      return extend(prng, bytes);
    case 8:
      return splice(bytes, at, other.subarray(prng.nextInt(other.length + 1)));
    default:
      bytes.copyWithin(at, start + prng.nextInt(length), start + prng.nextInt(length + 1));
      return bytes;
  }
}

function align(at: number, size: number, length: number): number {
  return Math.min(at - (at % size), length - size);
}

function extend(prng: Prng, bytes: Uint8Array): Uint8Array {
  const more = new Uint8Array(1 + prng.nextInt(64));
  if (prng.nextChance(0.5)) for (let i = 0; i < more.length; i++) more[i] = prng.nextInt(256);
  return splice(bytes, bytes.length, more);
}

function splice(bytes: Uint8Array, at: number, tail: Uint8Array): Uint8Array {
  const result = new Uint8Array(at + tail.length);
  result.set(bytes.subarray(0, at));
  result.set(tail, at);
  return result;
}
