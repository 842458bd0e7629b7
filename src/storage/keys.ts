/** Object keys: what a good one is, and their order. */
import { badKey } from "./errors.ts";
import { STORAGE_LIMITS } from "./limits.ts";

/**
 * Refuses what cannot be a key in every store, or would leave the root of a directory.
 * Errors: `bad_object_key`.
 */
export function checkKey(key: string): void {
  if (key === "") throw badKey(key, "is empty");
  if (Buffer.byteLength(key) > STORAGE_LIMITS.keyMaxBytes)
    throw badKey(key, `is longer than ${STORAGE_LIMITS.keyMaxBytes} bytes`);
  if (key.includes("\0")) throw badKey(key, "contains a zero character");
  if (LONE_SURROGATE.test(key)) throw badKey(key, "is not Unicode");
  for (const part of key.split("/")) {
    if (part === "") throw badKey(key, "has an empty part");
    if (part === "." || part === "..") throw badKey(key, `has a part "${part}"`);
  }
}

/** A prefix is part of a key: it may end anywhere, but not lead out. Errors: `bad_object_key`. */
export function checkPrefix(prefix: string): void {
  if (prefix === "") return;
  checkKey(prefix.endsWith("/") ? `${prefix}x` : prefix);
}

/** Order of keys: by their UTF-8 bytes, as S3 sorts. UTF-16 order differs only where surrogates meet U+E000 and above. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const isPlain = !HAS_SURROGATES.test(a) && !HAS_SURROGATES.test(b);
  if (isPlain) return a < b ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

const HAS_SURROGATES = /[\ud800-\udfff]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
