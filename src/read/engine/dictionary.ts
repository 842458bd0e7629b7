/**
 * Dictionaries as a reader thread sees them: string ids and dataset keys back to bytes and label sets.
 *
 * Dictionaries only grow and their ids are never used again, so a chunk that was copied once stays right for what it
 * holds. It may be older than the current transaction: an id it lacks is looked for in a fresh copy, which the
 * transaction has (index-and-query 12, guarantees 2 and 5).
 */

import { HASH_SEED_HIGH, HASH_SEED_LOW, hashBytes } from "../../base/index.ts";
import {
  chunkCount,
  chunkHeadWords,
  chunkItemEnd,
  type IndexDatabase,
  KEYS_PER_CHUNK_SHIFT,
  KeyBuffer,
  STRINGS_PER_CHUNK_SHIFT,
} from "../../db/index.ts";
import { dataLoss } from "./data-loss.ts";
import type { ReadCounters } from "./explain.ts";
import { ByteBoundedCache, type CacheItem } from "./lru.ts";

/** A copy of one chunk of `strings`: string i of it is bytes[start(i), end(i)). */
export interface StringChunk extends CacheItem {
  readonly count: number;
  /** bounds[i] is the start of string i, bounds[i + 1] its end. */
  readonly bounds: Uint32Array;
  readonly bytes: Buffer;
}

/** A copy of one chunk of `keys`: key i of it is ints[bounds[i], bounds[i + 1]): tenant S, name S, labels. */
export interface KeyChunk extends CacheItem {
  readonly count: number;
  readonly bounds: Uint32Array;
  readonly ints: Int32Array;
  /** `next K` of the dictionary when this was copied. */
  readonly nextKey: number;
}

export const EMPTY_STRING_ID = 0;

const STRING_MASK = (1 << STRINGS_PER_CHUNK_SHIFT) - 1;
const KEY_MASK = (1 << KEYS_PER_CHUNK_SHIFT) - 1;

/** What a thread keeps about one dictionary. Found through DictionaryCache.open, good for one query. */
export class Dictionary {
  readonly id: number;
  /** Upper bound of the keys given out, in the current transaction. */
  nextKey = 0;
  /** The applied index at which nextKey was read. */
  checkedAtIndex = -1;
  readonly #strings = new Map<number, StringChunk>();
  readonly #keys = new Map<number, KeyChunk>();
  readonly #cache: DictionaryCache;

  constructor(id: number, cache: DictionaryCache) {
    this.id = id;
    this.#cache = cache;
  }

  /** The chunk that holds string `id`, which is at position `id & 255`. May read the database. */
  stringChunk(id: number): StringChunk {
    const number = id >>> STRINGS_PER_CHUNK_SHIFT;
    const known = this.#strings.get(number);
    if (known !== undefined && (id & STRING_MASK) < known.count) {
      known.lastUse = this.#cache.items.now;
      return known;
    }
    if (known !== undefined) this.#cache.items.remove(known);
    const chunk = this.#cache.loadStrings(this, number, () => this.#strings.delete(number));
    if ((id & STRING_MASK) >= chunk.count) {
      throw dataLoss(`dictionary ${this.id} has no string ${id}`);
    }
    this.#strings.set(number, chunk);
    this.#cache.items.add(chunk);
    return chunk;
  }

  /** The chunk that holds dataset key `id`, which is at position `id & 63`. May read the database. */
  keyChunk(id: number): KeyChunk {
    const chunk = this.keyChunkNumber(id >>> KEYS_PER_CHUNK_SHIFT, (id & KEY_MASK) + 1);
    if ((id & KEY_MASK) >= chunk.count) throw dataLoss(`dictionary ${this.id} has no key ${id}`);
    return chunk;
  }

  /**
   * Chunk `number` with at least `countMin` keys, if the transaction has as many.
   *
   * A chunk can only have grown since it was copied when it was the last one then.
   */
  keyChunkNumber(number: number, countMin: number): KeyChunk {
    const known = this.#keys.get(number);
    if (known !== undefined) {
      const mayHaveGrown =
        known.nextKey !== this.nextKey && known.nextKey <= (number + 1) * (KEY_MASK + 1);
      if (known.count >= countMin || !mayHaveGrown) {
        known.lastUse = this.#cache.items.now;
        return known;
      }
      this.#cache.items.remove(known);
    }
    const chunk = this.#cache.loadKeys(this, number, () => this.#keys.delete(number));
    this.#keys.set(number, chunk);
    this.#cache.items.add(chunk);
    return chunk;
  }

  /** Id of a string, or -1 when the dictionary does not hold it. Reads the database. */
  findString(bytes: Uint8Array): number {
    return bytes.length === 0 ? EMPTY_STRING_ID : this.#cache.findString(this, bytes);
  }

  get isEmpty(): boolean {
    return this.#strings.size + this.#keys.size === 0;
  }
}

/** All dictionaries of one reader thread. */
export class DictionaryCache {
  readonly items: ByteBoundedCache;
  /** Applied index of the current transaction. */
  #appliedIndex = -1;
  readonly #db: IndexDatabase;
  readonly #counters: ReadCounters;
  readonly #dictionaries = new Map<number, Dictionary>();
  #sweepAtCount = DICTIONARIES_SWEEP_COUNT;
  readonly #idKey = new KeyBuffer(4);
  readonly #chunkKey = new KeyBuffer(8);
  readonly #hashKey = new KeyBuffer(12);

  constructor(cacheBytes: number, db: IndexDatabase, counters: ReadCounters) {
    this.items = new ByteBoundedCache(cacheBytes);
    this.#db = db;
    this.#counters = counters;
  }

  /** To be called when a query begins, with the applied index its transaction sees. */
  beginQuery(appliedIndex: number): void {
    this.#appliedIndex = appliedIndex;
    this.items.now++;
    this.#counters.evictions = this.items.evictions;
    if (this.#dictionaries.size > this.#sweepAtCount) this.#sweep();
  }

  /** Forgets dictionaries of which no chunk is left. Doubling the next bound amortises the walk. */
  #sweep(): void {
    for (const [id, dictionary] of this.#dictionaries) {
      if (dictionary.isEmpty) this.#dictionaries.delete(id);
    }
    this.#sweepAtCount = Math.max(DICTIONARIES_SWEEP_COUNT, 2 * this.#dictionaries.size);
  }

  /** The dictionary as of the current transaction. Reads the database when something was applied since. */
  open(id: number): Dictionary {
    let dictionary = this.#dictionaries.get(id);
    if (dictionary === undefined) {
      dictionary = new Dictionary(id, this);
      this.#dictionaries.set(id, dictionary);
    }
    if (dictionary.checkedAtIndex !== this.#appliedIndex) {
      const sizeBytes = this.#db.get("dictionaries", this.#idKey.u32(0, id).bytes);
      if (sizeBytes < 8) throw dataLoss(`dictionary ${id} has no record`);
      dictionary.nextKey = this.#db.u32[1] as number;
      dictionary.checkedAtIndex = this.#appliedIndex;
    }
    return dictionary;
  }

  /** Copies a chunk of strings out of the database. */
  loadStrings(dictionary: Dictionary, number: number, drop: () => void): StringChunk {
    const sizeBytes = this.#load("strings", dictionary, number);
    const { count, bounds } = this.#readBounds(dictionary, number, 1 << STRINGS_PER_CHUNK_SHIFT);
    const start = 4 * chunkHeadWords(count);
    const length = bounds[count] as number;
    if (start + length > sizeBytes) throw damagedChunk("strings", dictionary, number);
    const bytes = Buffer.allocUnsafeSlow(length);
    bytes.set(this.#db.u8.subarray(start, start + length));
    const cost = ITEM_BYTES + length + bounds.byteLength;
    return { count, bounds, bytes, sizeBytes: cost, lastUse: this.items.now, drop };
  }

  /** Copies a chunk of dataset keys out of the database. */
  loadKeys(dictionary: Dictionary, number: number, drop: () => void): KeyChunk {
    const sizeBytes = this.#load("keys", dictionary, number);
    const { count, bounds } = this.#readBounds(dictionary, number, 1 << KEYS_PER_CHUNK_SHIFT);
    const start = chunkHeadWords(count);
    const length = bounds[count] as number;
    if (4 * (start + length) > sizeBytes) throw damagedChunk("keys", dictionary, number);
    const ints = this.#db.i32.slice(start, start + length);
    for (let i = 0; i < count; i++) {
      const size = (bounds[i + 1] as number) - (bounds[i] as number);
      if (size < 2) throw damagedChunk("keys", dictionary, number);
    }
    const cost = ITEM_BYTES + ints.byteLength + bounds.byteLength;
    const { nextKey } = dictionary;
    return { count, bounds, ints, nextKey, sizeBytes: cost, lastUse: this.items.now, drop };
  }

  findString(dictionary: Dictionary, bytes: Uint8Array): number {
    const high = hashBytes(bytes, 0, bytes.length, HASH_SEED_HIGH);
    const low = hashBytes(bytes, 0, bytes.length, HASH_SEED_LOW);
    const key = this.#hashKey.u32(0, dictionary.id).u32(4, high).u32(8, low).bytes;
    const sizeBytes = this.#db.get("stringIds", key);
    if (sizeBytes < 4) return -1;
    // Copied, because looking at a candidate's bytes may read the database.
    const candidates = this.#db.u32.slice(0, sizeBytes >>> 2);
    for (const id of candidates) {
      const chunk = dictionary.stringChunk(id);
      const position = id & STRING_MASK;
      const start = chunk.bounds[position] as number;
      const end = chunk.bounds[position + 1] as number;
      if (
        end - start === bytes.length &&
        chunk.bytes.compare(bytes, 0, bytes.length, start, end) === 0
      ) {
        return id;
      }
    }
    return -1;
  }

  #load(table: "strings" | "keys", dictionary: Dictionary, number: number): number {
    const key = this.#chunkKey.u32(0, dictionary.id).u32(4, number).bytes;
    const sizeBytes = this.#db.get(table, key);
    if (sizeBytes < 4) throw damagedChunk(table, dictionary, number);
    this.#counters.chunkLoads++;
    return sizeBytes;
  }

  /** Count and ends of the chunk in the scratch buffer; the ends with a 0 in front. */
  #readBounds(
    dictionary: Dictionary,
    number: number,
    countMax: number,
  ): { count: number; bounds: Uint32Array } {
    const { u32 } = this.#db;
    const count = chunkCount(u32);
    if (count > countMax) throw damagedChunk("dictionary", dictionary, number);
    const bounds = new Uint32Array(count + 1);
    for (let i = 0; i < count; i++) {
      const end = chunkItemEnd(u32, i);
      if (end < (bounds[i] as number)) throw damagedChunk("dictionary", dictionary, number);
      bounds[i + 1] = end;
    }
    return { count, bounds };
  }
}

function damagedChunk(table: string, dictionary: Dictionary, number: number): Error {
  return dataLoss(
    `chunk ${number} of ${table} of dictionary ${dictionary.id} is missing or damaged`,
  );
}

/** Objects around a chunk: a guess that errs high, so that many tiny chunks cannot exceed the bound. */
const ITEM_BYTES = 400;

/** Above this many dictionaries, empty ones are looked for. One per tenant and week is usual. */
const DICTIONARIES_SWEEP_COUNT = 4096;
