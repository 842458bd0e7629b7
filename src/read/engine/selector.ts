/**
 * Compiled selectors: what a matcher asks of one label set (index-and-query 7.2), and a bounded cache of them.
 */

import { invalidArgument } from "../../base/index.ts";
import { REGEX_MAX_PROGRAM_SIZE, SELECTOR_CACHE_MAX_BYTES, SELECTOR_MIN_BYTES } from "../limits.ts";
import { ByteBoundedCache, type CacheItem } from "./lru.ts";
import { MATCH_OPERATORS, type ParsedMatcher, parseSelector } from "./selector-parser.ts";
import { literalTest, regexTest, type ValueTest } from "./value-test.ts";

/** One matcher: looks at the first pair of a set with its name. */
export interface Matcher {
  readonly name: Uint8Array;
  readonly test: ValueTest;
  /** `!=` and `!~`: satisfied when the value does not match, and when there is none. */
  readonly isNegative: boolean;
}

/** A label set as pairs of name and value, in stored order. */
export type LabelPairs = readonly (readonly [name: string, value: string])[];

/** A selector, ready to use. Immutable; shared by all queries of a thread. */
export class Selector {
  /** Matchers that can decide something: those with an empty name are left out (spec 7.2). */
  readonly matchers: readonly Matcher[];
  /** Equal for selectors that mean the same up to order and repetition. The key of resolved results. */
  readonly canonical: string;

  constructor(matchers: readonly Matcher[], canonical: string) {
    this.matchers = matchers;
    this.canonical = canonical;
  }

  /** Whether one label set satisfies all matchers. For tools and tests; queries work on dictionary ids. */
  matchesSet(set: LabelPairs): boolean {
    return this.matchers.every((matcher) => {
      const name = latin1(matcher.name);
      const pair = set.find(([key]) => latin1(Buffer.from(key)) === name);
      if (pair === undefined) return matcher.isNegative;
      const value = Buffer.from(pair[1]);
      return matcher.test.matches(value, 0, value.length) !== matcher.isNegative;
    });
  }
}

/** Compiles without the cache. Errors: invalid_argument, see compileSelector. */
export function compileSelectorUncached(text: string): Selector {
  const parsed = parseSelector(text);
  const compiled: Matcher[] = [];
  const keys = new Set<string>();
  let programSize = 0;
  for (const item of parsed) {
    const matcher = compileMatcher(item);
    programSize += matcher.test.programSize;
    if (programSize > REGEX_MAX_PROGRAM_SIZE) throw tooComplex(programSize);
    const key = canonicalKey(item);
    if (item.name.length === 0 || keys.has(key)) continue;
    keys.add(key);
    compiled.push(matcher);
  }
  return new Selector(compiled, [...keys].sort().join(""));
}

function compileMatcher({ name, operator, value }: ParsedMatcher): Matcher {
  const isNegative = operator === MATCH_OPERATORS.notEqual || operator === MATCH_OPERATORS.notRegex;
  const isRegex = operator === MATCH_OPERATORS.regex || operator === MATCH_OPERATORS.notRegex;
  return { name, isNegative, test: isRegex ? regexTest(value) : literalTest(value) };
}

/** Lengths in front, so that no content can imitate a boundary. */
function canonicalKey({ name, operator, value }: ParsedMatcher): string {
  return `${name.length}:${latin1(name)}${operator}${value.length}:${latin1(value)}`;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function tooComplex(programSize: number): Error {
  return invalidArgument(
    "selector_too_large",
    `Cannot compile the selector: its expressions take ${programSize} instructions, limit is ${REGEX_MAX_PROGRAM_SIZE}`,
  );
}

/** A selector that is kept. */
interface KnownSelector extends CacheItem {
  readonly selector: Selector;
}

const KNOWN = new Map<string, KnownSelector>();
const CACHE = new ByteBoundedCache(SELECTOR_CACHE_MAX_BYTES);

/**
 * The compiled form of a selector's text; compiled once per thread while it stays in use.
 *
 * Errors: invalid_argument with reason bad_selector, bad_regex or selector_too_large.
 * Cost: a map look-up when it is known; else one pass and the compilation of its expressions.
 */
export function compileSelector(text: string): Selector {
  CACHE.now++;
  const known = KNOWN.get(text);
  if (known !== undefined) {
    known.lastUse = CACHE.now;
    return known.selector;
  }
  const selector = compileSelectorUncached(text);
  // Two bytes per character, and the compiled form counted as as much again.
  const sizeBytes = Math.max(SELECTOR_MIN_BYTES, 4 * text.length);
  const item = { selector, sizeBytes, lastUse: CACHE.now, drop: () => KNOWN.delete(text) };
  KNOWN.set(text, item);
  CACHE.add(item);
  return selector;
}
