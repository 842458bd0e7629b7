/**
 * Selector and tenants -> the dataset keys of a dictionary that match: the step that makes a query's cost follow its
 * matches. A dictionary has thousands of keys where the index has millions of datasets.
 *
 * 1. Matchers that can only be satisfied by known values (`=`, lists) give bitmaps from `pairs`, which are
 *    intersected. The result may still join two label sets of a key, so it is verified.
 * 2. Without such a matcher, all keys are looked at once.
 * 3. The result is kept and extended by the keys that were added since: a key never changes.
 */

import {
  type IndexDatabase,
  KEYS_PER_CHUNK_SHIFT,
  KEYS_PER_DIRECTORY_SHIFT,
  KeyBuffer,
  keyU32,
} from "../../db/index.ts";
import type { Dictionary, DictionaryCache } from "./dictionary.ts";
import type { ReadCounters } from "./explain.ts";
import type { CacheItem } from "./lru.ts";
import type { Selector } from "./selector.ts";
import { type DictionaryMatcher, SetEvaluator } from "./set-evaluator.ts";

/** What a query asks of datasets, apart from time. */
export interface DatasetQuery {
  readonly selector: Selector;
  /** UTF-8 of the tenants asked for, distinct, in bytes order. */
  readonly tenants: readonly Uint8Array[];
  /** Equal for queries with the same answers: canonical selector and tenants. */
  readonly cacheKey: string;
  /** Called between pieces of work of bounded length; throws to give up. */
  readonly checkpoint: () => void;
}

/** The keys of one dictionary that match one DatasetQuery. Immutable. */
export class Resolution implements CacheItem {
  /** Ascending. */
  readonly keys: Uint32Array;
  /** Keys below this were looked at. */
  readonly nextKey: number;
  readonly sizeBytes: number;
  lastUse = 0;
  readonly drop: () => void;
  #bitmap: Uint32Array | null = null;

  constructor(
    keys: Uint32Array,
    nextKey: number,
    options: { costBytes: number; drop: () => void },
  ) {
    this.keys = keys;
    this.nextKey = nextKey;
    this.sizeBytes = options.costBytes + keys.byteLength + (nextKey >>> 3);
    this.drop = options.drop;
  }

  /** Bit K & 31 of word K >> 5: whether K matches. Made at the first use. */
  get bitmap(): Uint32Array {
    if (this.#bitmap === null) {
      this.#bitmap = new Uint32Array((this.nextKey >>> 5) + 1);
      for (const key of this.keys) setBit(this.#bitmap, key);
    }
    return this.#bitmap;
  }
}

/** Whether the bit of a key is set; false for keys behind the bitmap. */
export function hasBit(bitmap: Uint32Array, key: number): boolean {
  return ((bitmap[key >>> 5] ?? 0) & (1 << (key & 31))) !== 0;
}

function setBit(bitmap: Uint32Array, key: number): void {
  const word = key >>> 5;
  bitmap[word] = (bitmap[word] as number) | (1 << (key & 31));
}

export class Resolver {
  readonly #db: IndexDatabase;
  readonly #cache: DictionaryCache;
  readonly #counters: ReadCounters;
  readonly #resolutions = new Map<string, Resolution>();
  readonly #pairStart = new KeyBuffer(16);
  readonly #pairEnd = new KeyBuffer(16);

  constructor(db: IndexDatabase, cache: DictionaryCache, counters: ReadCounters) {
    this.#db = db;
    this.#cache = cache;
    this.#counters = counters;
  }

  /** The matching keys as of the current transaction. Reads the database unless nothing was added. */
  resolve(dictionary: Dictionary, query: DatasetQuery): Resolution {
    const cacheKey = `${dictionary.id}|${query.cacheKey}`;
    const known = this.#resolutions.get(cacheKey);
    if (known !== undefined && known.nextKey === dictionary.nextKey) {
      known.lastUse = this.#cache.items.now;
      this.#counters.resolutionHits++;
      return known;
    }
    const keys = this.#findKeys(dictionary, query, known);
    if (known !== undefined) this.#cache.items.remove(known);
    return this.#keep(cacheKey, keys, dictionary.nextKey);
  }

  #keep(cacheKey: string, keys: Uint32Array, nextKey: number): Resolution {
    const resolution = new Resolution(keys, nextKey, {
      costBytes: RESOLUTION_BYTES + 2 * cacheKey.length,
      drop: () => this.#resolutions.delete(cacheKey),
    });
    resolution.lastUse = this.#cache.items.now;
    this.#resolutions.set(cacheKey, resolution);
    this.#cache.items.add(resolution);
    return resolution;
  }

  /** Looks at the keys that were added since `known`, or at those that the pair index names. */
  #findKeys(
    dictionary: Dictionary,
    query: DatasetQuery,
    known: Resolution | undefined,
  ): Uint32Array {
    if (known === undefined) this.#counters.resolutionMisses++;
    else this.#counters.resolutionExtensions++;
    const before = known?.keys ?? NO_KEYS;
    const start = known?.nextKey ?? 0;
    const verifier = new KeyVerifier(dictionary, query, this.#counters);
    if (verifier.isImpossible) return before;
    const hasFew = dictionary.nextKey - start < KEYS_WITHOUT_PAIRS;
    const candidates = hasFew ? null : this.#candidates(dictionary, verifier.evaluator.matchers);
    return candidates === null
      ? verifier.verifyRange(start, dictionary.nextKey, before)
      : verifier.verifyBitmap(candidates);
  }

  /** Keys that have an accepted pair for every matcher that `pairs` can answer, or null when none of them can. */
  #candidates(dictionary: Dictionary, matchers: readonly DictionaryMatcher[]): Uint32Array | null {
    let result: Uint32Array | null = null;
    for (const matcher of matchers) {
      if (matcher.isNegative || matcher.valueIds === null) continue;
      if (
        matcher.valueIds.length * KEYS_PER_PAIR_LOOKUP > dictionary.nextKey &&
        matcher.valueIds.length > 1
      )
        continue;
      const bitmap = new Uint32Array(
        ((dictionary.nextKey >>> KEYS_PER_DIRECTORY_SHIFT) + 1) * WORDS_PER_BITMAP,
      );
      for (const valueId of matcher.valueIds)
        this.#addPair(bitmap, dictionary.id, matcher.nameId, valueId);
      if (result === null) result = bitmap;
      else
        for (let i = 0; i < result.length; i++)
          result[i] = (result[i] as number) & (bitmap[i] as number);
    }
    return result;
  }

  /** Adds the keys that hold one pair. */
  #addPair(bitmap: Uint32Array, dictionaryId: number, nameId: number, valueId: number): void {
    const start = this.#pairStart.u32(0, dictionaryId).u32(4, nameId).u32(8, valueId).u32(12, 0);
    const end = this.#pairEnd
      .u32(0, dictionaryId)
      .u32(4, nameId)
      .u32(8, valueId)
      .u32(12, 0xffff_ffff);
    const { u32 } = this.#db;
    this.#db.scan("pairs", start.bytes, end.bytes, (key) => {
      const first = keyU32(key, 12) * WORDS_PER_BITMAP;
      // A chunk behind the bitmap cannot be: nextKey bounds the keys of this transaction.
      for (let i = 0; i < WORDS_PER_BITMAP && first + i < bitmap.length; i++) {
        bitmap[first + i] = (bitmap[first + i] as number) | (u32[i] as number);
      }
      return true;
    });
  }
}

const NO_KEYS = new Uint32Array(0);
const WORDS_PER_BITMAP = 8;

/** Objects around a resolution, as for chunks. */
const RESOLUTION_BYTES = 400;

/** So few keys are looked at directly. */
const KEYS_WITHOUT_PAIRS = 256;

/** Looking up one pair costs about as much as looking at this many keys. */
const KEYS_PER_PAIR_LOOKUP = 40;

/** Looks at whole keys: tenant and label sets. */
class KeyVerifier {
  readonly evaluator: SetEvaluator;
  readonly isImpossible: boolean;
  readonly #dictionary: Dictionary;
  readonly #tenantIds: ReadonlySet<number>;
  readonly #checkpoint: () => void;
  readonly #counters: ReadCounters;

  constructor(dictionary: Dictionary, query: DatasetQuery, counters: ReadCounters) {
    this.#dictionary = dictionary;
    this.#counters = counters;
    this.#checkpoint = query.checkpoint;
    this.evaluator = new SetEvaluator(query.selector, dictionary);
    // Only tenants asked for by name: the empty tenant counts when it was asked for itself (spec W6).
    this.#tenantIds = new Set(
      query.tenants.map((name) => dictionary.findString(name)).filter((id) => id >= 0),
    );
    this.isImpossible = this.evaluator.isImpossible || this.#tenantIds.size === 0;
  }

  /** The matching keys in [start, end), behind those of `before`. Ids have gaps where a chunk was closed early. */
  verifyRange(start: number, end: number, before: Uint32Array): Uint32Array {
    const found = new KeyList(before);
    for (let first = start & ~(KEYS_PER_CHUNK - 1); first < end; first += KEYS_PER_CHUNK) {
      this.#checkpoint();
      const countMin = Math.min(end - first, KEYS_PER_CHUNK);
      const number = first >>> KEYS_PER_CHUNK_SHIFT;
      const { ints, bounds, count } = this.#dictionary.keyChunkNumber(number, countMin);
      for (let i = Math.max(0, start - first); i < count; i++) {
        if (this.#matches(ints, bounds[i] as number, bounds[i + 1] as number))
          found.push(first + i);
      }
    }
    return found.take();
  }

  verifyBitmap(bitmap: Uint32Array): Uint32Array {
    const found = new KeyList(NO_KEYS);
    for (let word = 0; word < bitmap.length; word++) {
      let bits = bitmap[word] as number;
      if (bits !== 0) this.#checkpoint();
      while (bits !== 0) {
        const key = (word << 5) + 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const { ints, bounds } = this.#dictionary.keyChunk(key);
        const i = key & (KEYS_PER_CHUNK - 1);
        if (this.#matches(ints, bounds[i] as number, bounds[i + 1] as number)) found.push(key);
      }
    }
    return found.take();
  }

  #matches(ints: Int32Array, start: number, end: number): boolean {
    this.#counters.keysEvaluated++;
    return (
      this.#tenantIds.has(ints[start] as number) &&
      this.evaluator.matchesAnySet(ints, start + 2, end)
    );
  }
}

const KEYS_PER_CHUNK = 1 << KEYS_PER_CHUNK_SHIFT;

/** A growing list of keys. */
class KeyList {
  #keys: Uint32Array;
  #count: number;

  constructor(before: Uint32Array) {
    this.#keys = before;
    this.#count = before.length;
  }

  push(key: number): void {
    if (this.#count === this.#keys.length) {
      const grown = new Uint32Array(Math.max(16, 2 * this.#count));
      grown.set(this.#keys);
      this.#keys = grown;
    }
    this.#keys[this.#count++] = key;
  }

  take(): Uint32Array {
    return this.#keys.length === this.#count ? this.#keys : this.#keys.slice(0, this.#count);
  }
}
