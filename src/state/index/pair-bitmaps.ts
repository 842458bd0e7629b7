/**
 * The `pairs` table: for a label pair, which dataset keys hold it. Written once per new key, so it may cost a get
 * and a put per distinct pair.
 */

import {
  type IndexDatabase,
  KEYS_PER_DIRECTORY_SHIFT,
  KeyBuffer,
  PAIR_BITMAP_BYTES,
} from "../../db/index.ts";

const KEY_MASK = (1 << KEYS_PER_DIRECTORY_SHIFT) - 1;

/** Below this, looking back through the set is cheaper than a Set. */
const LINEAR_PAIRS_MAX = 16;

const dbKey = new KeyBuffer(16);
const bitmap = new Uint8Array(PAIR_BITMAP_BYTES);

/**
 * Adds `key` to the bitmaps of every pair that is the first of its name in one of its label sets.
 *
 * Shape: words[start, end) are complete label sets with dictionary ids.
 */
export function addKeyToPairs(
  db: IndexDatabase,
  dictionary: number,
  key: number,
  words: Int32Array,
  start: number,
  end: number,
): void {
  // Sets of one dataset repeat most of their pairs; each needs its bit only once.
  const seen = new Set<string>();
  let at = start;
  while (at < end) {
    const first = at + 1;
    const last = first + 2 * (words[at] as number);
    const names = last - first > 2 * LINEAR_PAIRS_MAX ? new Set<number>() : null;
    for (let i = first; i < last; i += 2) {
      const name = words[i] as number;
      if (names === null ? hasName(words, first, i, name) : names.has(name)) continue;
      names?.add(name);
      const pair = `${name} ${words[i + 1]}`;
      if (seen.has(pair)) continue;
      seen.add(pair);
      setBit(db, dictionary, name, words[i + 1] as number, key);
    }
    at = last;
  }
}

function hasName(words: Int32Array, first: number, end: number, name: number): boolean {
  for (let i = first; i < end; i += 2) if (words[i] === name) return true;
  return false;
}

function setBit(
  db: IndexDatabase,
  dictionary: number,
  name: number,
  value: number,
  key: number,
): void {
  dbKey
    .u32(0, dictionary)
    .u32(4, name)
    .u32(8, value)
    .u32(12, key >>> KEYS_PER_DIRECTORY_SHIFT);
  const bytes = db.get("pairs", dbKey.bytes);
  if (bytes < 0) bitmap.fill(0);
  else bitmap.set(db.u8.subarray(0, PAIR_BITMAP_BYTES));
  const bit = key & KEY_MASK;
  bitmap[bit >>> 3] = (bitmap[bit >>> 3] as number) | (1 << (bit & 7));
  db.put("pairs", dbKey.bytes, bitmap);
}
