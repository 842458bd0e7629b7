/**
 * A selector over label sets of dictionary ids (index-and-query 7.2): names are found once per dictionary, and each
 * distinct value is tested once, however many label sets hold it.
 */

import type { Dictionary } from "./dictionary.ts";
import type { Matcher, Selector } from "./selector.ts";
import type { ValueTest } from "./value-test.ts";
import { STRINGS_PER_CHUNK_SHIFT } from "../../db/index.ts";

/** Up to this many literal values are looked up in the dictionary; more are cheaper to test value by value. */
const LITERALS_LOOKUP_MAX = 64;

const STRING_MASK = (1 << STRINGS_PER_CHUNK_SHIFT) - 1;

/** One matcher with its strings found in a dictionary. */
export interface DictionaryMatcher {
  /** -1: no key of the dictionary has a label of this name. */
  readonly nameId: number;
  readonly isNegative: boolean;
  /** Ids of the only values that can match, as far as the dictionary has them; null: not known. */
  readonly valueIds: readonly number[] | null;
  readonly test: ValueTest;
  /** Value id -> whether the test accepts it. */
  readonly verdicts: Map<number, boolean>;
}

export class SetEvaluator {
  readonly matchers: readonly DictionaryMatcher[];
  /** No label set made of strings that the dictionary holds now can satisfy the selector. */
  readonly isImpossible: boolean;
  readonly #dictionary: Dictionary;

  /** Reads the database. Good for keys that exist now: later ones may bring the strings that are missing. */
  constructor(selector: Selector, dictionary: Dictionary) {
    this.#dictionary = dictionary;
    this.matchers = selector.matchers.map((matcher) => findMatcher(matcher, dictionary));
    this.isImpossible = this.matchers.some(cannotBeSatisfied);
  }

  /** Whether some label set of ints[start, end), the labels of a dataset key, satisfies the selector. */
  matchesAnySet(ints: Int32Array, start: number, end: number): boolean {
    let position = start;
    while (position < end) {
      const pairs = ints[position] as number;
      const next = position + 1 + 2 * pairs;
      // A set that is cut off does not exist for matching (spec 2.3); the door refuses such blocks.
      if (pairs < 0 || next > end) return false;
      if (this.matchesSet(ints, position + 1, next)) return true;
      position = next;
    }
    return false;
  }

  /** Whether the set of the pairs ints[start, end) satisfies every matcher. May read the database. */
  matchesSet(ints: Int32Array, start: number, end: number): boolean {
    for (const matcher of this.matchers) {
      const valueId = firstValue(ints, start, end, matcher.nameId);
      const isSatisfied =
        valueId < 0 ? matcher.isNegative : this.#accepts(matcher, valueId) !== matcher.isNegative;
      if (!isSatisfied) return false;
    }
    return true;
  }

  #accepts(matcher: DictionaryMatcher, valueId: number): boolean {
    const { valueIds, verdicts } = matcher;
    if (valueIds !== null && valueIds.length <= 1) return valueIds[0] === valueId;
    let verdict = verdicts.get(valueId);
    if (verdict === undefined) {
      const chunk = this.#dictionary.stringChunk(valueId);
      const i = valueId & STRING_MASK;
      verdict = matcher.test.matches(
        chunk.bytes,
        chunk.bounds[i] as number,
        chunk.bounds[i + 1] as number,
      );
      verdicts.set(valueId, verdict);
    }
    return verdict;
  }
}

/** Value of the first pair with the name, or -1. A name of -1 is in no set. */
export function firstValue(ints: Int32Array, start: number, end: number, nameId: number): number {
  for (let i = start; i < end; i += 2) if (ints[i] === nameId) return ints[i + 1] as number;
  return -1;
}

function findMatcher(matcher: Matcher, dictionary: Dictionary): DictionaryMatcher {
  const { test, isNegative } = matcher;
  const nameId = dictionary.findString(matcher.name);
  return {
    nameId,
    isNegative,
    valueIds: nameId < 0 ? [] : findLiterals(test.literals, dictionary),
    test,
    verdicts: new Map(),
  };
}

function findLiterals(
  literals: readonly Uint8Array[] | null,
  dictionary: Dictionary,
): readonly number[] | null {
  if (literals === null || literals.length > LITERALS_LOOKUP_MAX) return null;
  return literals.map((literal) => dictionary.findString(literal)).filter((id) => id >= 0);
}

function cannotBeSatisfied({ nameId, isNegative, valueIds }: DictionaryMatcher): boolean {
  return !isNegative && (nameId < 0 || valueIds?.length === 0);
}
