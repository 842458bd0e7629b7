/**
 * What bounds a query before it touches data, as far as the protocol's limits (`protocol/limits.ts`) do not.
 * Hitting one is `invalid_argument` with the number and the limit in the message: the same request can never succeed.
 */

import { LIMITS } from "../protocol/index.ts";

/** Text of one selector. */
export const SELECTOR_MAX_BYTES = LIMITS.selectorMaxBytes;

/** Matchers of one selector. Each is looked up once per dictionary and checked once per label set. */
export const SELECTOR_MAX_MATCHERS = 256;

/**
 * Pattern of one regular expression that is not a plain list of names (lists become sets, and are bounded by the
 * selector alone). Measured: the dearest 8 KiB to compile, Unicode classes in a row, take 0.6 s, usual ones 20 ms.
 */
export const REGEX_MAX_BYTES = 8 * 1024;

/**
 * RE2 instructions of all expressions of one selector: the price of matching one byte in the worst case, about 0.3 us
 * for each. 2,000 alternatives with wildcards fit, and `x{1000}` a few times.
 */
export const REGEX_MAX_PROGRAM_SIZE = 10_000;

/** Text of all selectors kept per thread, counted twice; compiled programs are a small multiple of it. */
export const SELECTOR_CACHE_MAX_BYTES = 4 * 1024 * 1024;

/** What a short one counts for: a thousand of them are kept. */
export const SELECTOR_MIN_BYTES = 4 * 1024;
