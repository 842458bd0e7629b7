/**
 * The sender's half of dictionary records: which of them the peer of one connection holds, and the next ones to send.
 *
 * A record counts as held from the moment it is written here, so whoever writes records must send them before
 * anything that refers to them, or call `forget`. Bounds: the peer's memory by the cost of the records, our own by
 * the size of the id sets. Over either nothing more is added, and the next answer begins with everything forgotten:
 * rare enough that nothing better is needed.
 */

import type { ByteSink } from "../bytes/sink.ts";
import { RECORD, RECORD_HEADER_BYTES, recordCostBytes } from "./dictionary-records.ts";

/** Bytes of id sets per connection. A bit per id: a week of 100,000 keys and strings takes 25 KiB. */
const ID_SETS_MAX_BYTES = 256 * 1024;

/** What the peer holds of one dictionary. */
export class SentIds {
  readonly dictionary: number;
  readonly strings = new IdSet();
  readonly keys = new IdSet();

  constructor(dictionary: number) {
    this.dictionary = dictionary;
  }

  hasString(id: number): boolean {
    return id === 0 || this.strings.has(id);
  }
}

export class SentDictionaries {
  readonly #maxBytes: number;
  /** Records to be sent; shared by the connections of a thread, since they are sent in the turn they are written. */
  readonly #records: ByteSink;
  #dictionaries = new Map<number, SentIds>();
  #last: SentIds | null = null;
  #database: object | null = null;
  #heldBytes = 0;
  #idSetBytes = 0;
  #isFull = false;
  #mustForget = false;

  constructor(maxBytes: number, { records }: { readonly records: ByteSink }) {
    this.#maxBytes = maxBytes;
    this.#records = records;
  }

  /** To be called when an answer begins, with the database that its ids belong to: another one has other ids. */
  begin(database: object): void {
    if (this.#isFull || (this.#database !== null && this.#database !== database)) this.forget();
    this.#database = database;
    this.#records.reset();
  }

  of(dictionary: number): SentIds {
    if (this.#last?.dictionary === dictionary) return this.#last;
    let ids = this.#dictionaries.get(dictionary);
    if (ids === undefined) {
      ids = new SentIds(dictionary);
      this.#dictionaries.set(dictionary, ids);
      this.#idSetBytes += ID_SETS_OBJECT_BYTES;
    }
    this.#last = ids;
    return ids;
  }

  /** Adds the record of a string, bytes[start, end) in UTF-8; false when there is no room for it. */
  tryAddString(ids: SentIds, id: number, bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (!this.#tryReserve(ids.strings, id, length)) return false;
    this.#writeHeader(RECORD.string, ids.dictionary, id, length);
    this.#records.append(bytes, start, length);
    this.#records.align8();
    return true;
  }

  /** Adds the record of a dataset key, ints[start, end); false when there is no room for it. Its strings come first. */
  tryAddKey(ids: SentIds, id: number, ints: Int32Array, start: number, end: number): boolean {
    const length = end - start;
    if (!this.#tryReserve(ids.keys, id, 4 * length)) return false;
    this.#writeHeader(RECORD.key, ids.dictionary, id, length);
    const records = this.#records;
    records.reserve(4 * length);
    const to = records.length >>> 2;
    for (let i = 0; i < length; i++) records.i32[to + i] = ints[start + i] as number;
    records.length += 4 * length;
    records.align8();
    return true;
  }

  /** The records to send before anything that refers to them, or null. Borrowed until the next one is added. */
  takeRecords(): Uint8Array | null {
    if (this.#records.length === 0) return null;
    const bytes = this.#records.view();
    this.#records.reset();
    return bytes;
  }

  /** The peer holds nothing any more, and will be told so ahead of the next record. Drops what was not taken. */
  forget(): void {
    this.#records.reset();
    this.#dictionaries = new Map();
    this.#last = null;
    this.#heldBytes = 0;
    this.#idSetBytes = 0;
    this.#isFull = false;
    this.#mustForget = true;
  }

  #tryReserve(set: IdSet, id: number, contentBytes: number): boolean {
    const heldBytes = this.#heldBytes + recordCostBytes(contentBytes);
    const idSetBytes = this.#idSetBytes + set.growthBytes(id);
    if (this.#isFull || heldBytes > this.#maxBytes || idSetBytes > ID_SETS_MAX_BYTES) {
      this.#isFull = true;
      return false;
    }
    this.#heldBytes = heldBytes;
    this.#idSetBytes = idSetBytes;
    set.add(id);
    return true;
  }

  #writeHeader(kind: number, dictionary: number, id: number, length: number): void {
    if (this.#mustForget) {
      this.#mustForget = false;
      this.#writeHeader(RECORD.forget, 0, 0, 0);
    }
    const records = this.#records;
    records.reserve(RECORD_HEADER_BYTES);
    const word = records.length >>> 2;
    records.u32[word] = kind;
    records.u32[word + 1] = dictionary;
    records.u32[word + 2] = id;
    records.u32[word + 3] = length;
    records.length += RECORD_HEADER_BYTES;
  }
}

/** A set of small numbers: a bit each, in an array that grows. */
class IdSet {
  #bits = EMPTY_BITS;

  has(id: number): boolean {
    return (((this.#bits[id >>> 5] ?? 0) >>> (id & 31)) & 1) !== 0;
  }

  /** By how much `add` would make the set larger. */
  growthBytes(id: number): number {
    return 4 * (this.#wordsFor(id) - this.#bits.length);
  }

  add(id: number): void {
    const words = this.#wordsFor(id);
    if (words > this.#bits.length) {
      const bits = new Uint32Array(words);
      bits.set(this.#bits);
      this.#bits = bits;
    }
    const word = id >>> 5;
    this.#bits[word] = (this.#bits[word] as number) | (1 << (id & 31));
  }

  #wordsFor(id: number): number {
    const needed = (id >>> 5) + 1;
    return needed <= this.#bits.length ? this.#bits.length : 2 ** Math.ceil(Math.log2(needed));
  }
}

const EMPTY_BITS = new Uint32Array(0);

/** Objects around the sets of one dictionary: errs high. */
const ID_SETS_OBJECT_BYTES = 256;
