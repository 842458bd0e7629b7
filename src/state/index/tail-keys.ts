/**
 * The `tailKeys` table: what the closed chunks of a shard's tail hold, so that a reader fetches only those it needs.
 * A long tail then costs a query two or three reads instead of sixteen.
 *
 * Written when a chunk is closed, once per 102 rows. Rows that are removed later leave their traces behind: a bit
 * and a hull mean "may hold", a missing bit means "does not hold".
 */

import { type IndexDatabase, KeyBuffer, ROW, TAIL_KEYS } from "../../db/index.ts";
import { ROW_DOUBLES, ROW_WORDS } from "./rows.ts";

const shardKey = new KeyBuffer(4);

/** Adds chunk `chunk`, which was just closed. Shape: `rows` begins at a multiple of 8 of its buffer. */
export function addTailKeys(
  db: IndexDatabase,
  ordinal: number,
  chunk: number,
  rows: Uint8Array,
): void {
  // A block of thousands of datasets overfills the tail: it is moved to the postings before anybody can see it.
  if (chunk >= TAIL_KEYS.chunksMax) return;
  const key = shardKey.u32(0, ordinal).bytes;
  // The first chunk begins a new tail: what stands there is left over from one that was cleared.
  const length = chunk === 0 ? 0 : Math.max(0, db.get("tailKeys", key));
  const pairs = db.u32.slice(TAIL_KEYS.headBytes / 4, Math.max(TAIL_KEYS.headBytes, length) / 4);
  const keys = keysOf(rows);
  const target = new ArrayBuffer(TAIL_KEYS.headBytes + 4 * pairs.length + 8 * keys.length);
  const hulls = new Float64Array(target, 0, TAIL_KEYS.headBytes / 8);
  if (length > 0) hulls.set(db.f64.subarray(0, hulls.length));
  writeHull(hulls, chunk, rows);
  const merged = merge(pairs, keys, 1 << chunk, new Uint32Array(target, TAIL_KEYS.headBytes));
  db.put("tailKeys", key, new Uint8Array(target, 0, TAIL_KEYS.headBytes + 4 * merged));
}

export function removeTailKeys(db: IndexDatabase, ordinal: number): void {
  db.remove("tailKeys", shardKey.u32(0, ordinal).bytes);
}

function writeHull(hulls: Float64Array, chunk: number, rows: Uint8Array): void {
  const doubles = new Float64Array(rows.buffer, rows.byteOffset, rows.length / 8);
  let lowMs = Number.POSITIVE_INFINITY;
  let highMs = Number.NEGATIVE_INFINITY;
  for (let double = 0; double < doubles.length; double += ROW_DOUBLES) {
    const minMs = doubles[double + ROW.minMs64] as number;
    const maxMs = doubles[double + ROW.maxMs64] as number;
    lowMs = Math.min(lowMs, minMs, maxMs);
    highMs = Math.max(highMs, minMs, maxMs);
  }
  hulls[2 * chunk] = lowMs;
  hulls[2 * chunk + 1] = highMs;
}

/** The distinct keys of the rows, ascending. */
function keysOf(rows: Uint8Array): Uint32Array {
  const words = new Uint32Array(rows.buffer, rows.byteOffset, rows.length / 4);
  const keys = new Uint32Array(words.length / ROW_WORDS);
  for (let i = 0; i < keys.length; i++) keys[i] = words[i * ROW_WORDS + ROW.key32] as number;
  keys.sort();
  let count = 0;
  for (let i = 0; i < keys.length; i++) {
    if (i === 0 || keys[i] !== keys[i - 1]) keys[count++] = keys[i] as number;
  }
  return keys.subarray(0, count);
}

/** Merges sorted (key, chunks) pairs with sorted keys that get `bit`; returns the words written. */
function merge(pairs: Uint32Array, keys: Uint32Array, bit: number, target: Uint32Array): number {
  let at = 0;
  let to = 0;
  for (const key of keys) {
    for (; at < pairs.length && (pairs[at] as number) < key; at += 2, to += 2) {
      target[to] = pairs[at] as number;
      target[to + 1] = pairs[at + 1] as number;
    }
    const isKnown = at < pairs.length && pairs[at] === key;
    target[to] = key;
    target[to + 1] = isKnown ? (pairs[at + 1] as number) | bit : bit;
    if (isKnown) at += 2;
    to += 2;
  }
  for (; at < pairs.length; at += 2, to += 2) {
    target[to] = pairs[at] as number;
    target[to + 1] = pairs[at + 1] as number;
  }
  return to;
}
