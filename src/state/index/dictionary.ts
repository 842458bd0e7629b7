/**
 * Strings and dataset keys of one owner and epoch: content -> id, in memory for what is used again and again, with
 * the database behind it (db/DESIGN.md, "Dictionaries").
 *
 * `find*` only looks into memory and is the hot path; `load*` asks the database; `add*` gives out a new id. Callers
 * go through them in this order, so that a block that turns out to be a duplicate changes nothing.
 */

import { HASH_SEED_HIGH, HASH_SEED_LOW, hashBytes, hashWords } from "../../base/index.ts";
import {
  chunkCount,
  chunkHeadWords,
  chunkItemEnd,
  chunkItemStart,
  type IndexDatabase,
  KEYS_PER_CHUNK_SHIFT,
  KeyBuffer,
  STRINGS_PER_CHUNK_SHIFT,
  type TableName,
} from "../../db/index.ts";
import { ByteInterner, hashView } from "./byte-interner.ts";
import { ChunkBuilder } from "./chunk-builder.ts";
import { addKeyToPairs } from "./pair-bitmaps.ts";
import { WordInterner } from "./word-interner.ts";

const chunkKey = new KeyBuffer(8);
const hashKey = new KeyBuffer(12);
const idKey = new KeyBuffer(4);
const record = new Uint32Array(4);
const recordBytes = new Uint8Array(record.buffer);
const NOTHING = new Uint8Array(0);

export class Dictionary {
  readonly id: number;
  readonly #db: IndexDatabase;
  readonly #tenant: number;
  readonly #epoch: number;
  readonly #strings = new ByteInterner();
  readonly #keys = new WordInterner();
  /** Chunks whose whole content stands in the interners. */
  readonly #stringChunksLoaded = new Set<number>();
  readonly #keyChunksLoaded = new Set<number>();
  readonly #stringTail = new ChunkBuilder(STRINGS_PER_CHUNK_SHIFT, 1);
  readonly #keyTail = new ChunkBuilder(KEYS_PER_CHUNK_SHIFT, 4);
  #accountedBytes = 0;

  private constructor(db: IndexDatabase, id: number, tenant: number, epoch: number) {
    this.#db = db;
    this.id = id;
    this.#tenant = tenant;
    this.#epoch = epoch;
  }

  /** A new, empty dictionary. String 0 is the empty string from the start. */
  static create(db: IndexDatabase, id: number, tenant: number, epoch: number): Dictionary {
    const dictionary = new Dictionary(db, id, tenant, epoch);
    dictionary.#stringTail.add(NOTHING);
    dictionary.#stringChunksLoaded.add(0);
    dictionary.#keyChunksLoaded.add(0);
    return dictionary;
  }

  /** Opens a stored dictionary; null when there is none of that id. */
  static open(db: IndexDatabase, id: number): Dictionary | null {
    if (db.get("dictionaries", idKey.u32(0, id).bytes) < 0) return null;
    const [nextString = 0, nextKey = 0, tenant = 0, epoch = 0] = db.u32.subarray(0, 4);
    const dictionary = new Dictionary(db, id, tenant, epoch);
    dictionary.#openTail("strings", dictionary.#stringTail, nextString >>> STRINGS_PER_CHUNK_SHIFT);
    dictionary.#openTail("keys", dictionary.#keyTail, nextKey >>> KEYS_PER_CHUNK_SHIFT);
    return dictionary;
  }

  /** Size as of the last `accountGrowth`, bytes. */
  get accountedBytes(): number {
    return this.#accountedBytes;
  }

  /** Memory taken since the last call, bytes, about. */
  accountGrowth(): number {
    const before = this.#accountedBytes;
    this.#accountedBytes = this.#strings.sizeBytes + this.#keys.sizeBytes;
    return this.#accountedBytes - before;
  }

  /** Id of view[start, end) if it is in memory, else -1. The caller handles the empty string. */
  findString(view: DataView, start: number, end: number): number {
    return this.#strings.find(view, start, end, hashView(view, start, end));
  }

  /** Ids of a whole string table that are in memory; see ByteInterner.findTable. */
  findStrings(
    view: DataView,
    base: number,
    ends: Int32Array,
    endsAt: number,
    count: number,
    ids: Int32Array,
  ): number {
    return this.#strings.findTable(view, base, ends, endsAt, count, ids);
  }

  /** Id of view[start, end) if the dictionary has it, else -1. Brings its whole chunk into memory. */
  loadString(view: DataView, start: number, end: number): number {
    const bytes = new Uint8Array(view.buffer, view.byteOffset + start, end - start);
    const candidates = this.#candidates("stringIds", this.#stringHashKey(bytes));
    for (const id of candidates) this.#loadStringChunk(id >>> STRINGS_PER_CHUNK_SHIFT);
    return candidates.length === 0 ? -1 : this.findString(view, start, end);
  }

  /** Gives out an id for a string that `loadString` does not know. */
  addString(view: DataView, start: number, end: number): number {
    const bytes = new Uint8Array(view.buffer, view.byteOffset + start, end - start);
    if (this.#stringTail.isClosed) {
      this.#nextChunk("strings", this.#stringTail, this.#stringChunksLoaded);
    }
    const id = this.#stringTail.add(bytes);
    this.#strings.add(view, start, end, hashView(view, start, end), id);
    this.#addCandidate("stringIds", this.#stringHashKey(bytes), id);
    return id;
  }

  /** Id of the key words[start, end) if it is in memory, else -1. */
  findKey(words: Int32Array, start: number, end: number): number {
    return this.#keys.find(words, start, end, hashWords(words, start, end, HASH_SEED_LOW));
  }

  /** Id of the key words[start, end) if the dictionary has it, else -1. */
  loadKey(words: Int32Array, start: number, end: number): number {
    const candidates = this.#candidates("keyIds", this.#keyHashKey(words, start, end));
    for (const id of candidates) this.#loadKeyChunk(id >>> KEYS_PER_CHUNK_SHIFT);
    return candidates.length === 0 ? -1 : this.findKey(words, start, end);
  }

  /** Gives out an id for a key that `loadKey` does not know, and enters its label pairs. */
  addKey(words: Int32Array, start: number, end: number): number {
    if (this.#keyTail.isClosed) this.#nextChunk("keys", this.#keyTail, this.#keyChunksLoaded);
    const bytes = new Uint8Array(words.buffer, words.byteOffset + start * 4, (end - start) * 4);
    const id = this.#keyTail.add(bytes);
    this.#keys.add(words, start, end, hashWords(words, start, end, HASH_SEED_LOW), id);
    this.#addCandidate("keyIds", this.#keyHashKey(words, start, end), id);
    addKeyToPairs(this.#db, this.id, id, words, start + 2, end);
    return id;
  }

  /** Names of the tenants of these keys, distinct. For rare questions: chunks are copied for each call. */
  tenantsOfKeys(keys: Iterable<number>): Set<string> {
    const strings = new Set<number>();
    const chunks = new Map<number, Int32Array>();
    for (const key of keys) {
      const chunk = key >>> KEYS_PER_CHUNK_SHIFT;
      const known = chunks.get(chunk);
      const words = known ?? new Int32Array(this.#chunkValue("keys", this.#keyTail, chunk).buffer);
      if (known === undefined) chunks.set(chunk, words);
      const i = key & ((1 << KEYS_PER_CHUNK_SHIFT) - 1);
      const start = chunkHeadWords(chunkCount(words)) + chunkItemStart(words, i);
      strings.add(words[start] as number);
    }
    return new Set([...strings].map((id) => this.#stringOf(id)));
  }

  #stringOf(id: number): string {
    if (id === 0) return "";
    const chunk = id >>> STRINGS_PER_CHUNK_SHIFT;
    const value = this.#chunkValue("strings", this.#stringTail, chunk);
    const words = wordsOf(value);
    const i = id & ((1 << STRINGS_PER_CHUNK_SHIFT) - 1);
    const base = 4 * chunkHeadWords(chunkCount(words));
    const start = chunkItemStart(words, i);
    return Buffer.from(value.buffer, base + start, chunkItemEnd(words, i) - start).toString();
  }

  /** Stores what changed. Inside the write transaction that gave out the ids. */
  flush(): void {
    if (!this.#stringTail.isDirty && !this.#keyTail.isDirty) return;
    this.#storeTail("strings", this.#stringTail);
    this.#storeTail("keys", this.#keyTail);
    record[0] = this.#stringTail.nextId;
    record[1] = this.#keyTail.nextId;
    record[2] = this.#tenant;
    record[3] = this.#epoch;
    this.#db.put("dictionaries", idKey.u32(0, this.id).bytes, recordBytes);
  }

  #openTail(table: TableName, tail: ChunkBuilder, chunk: number): void {
    const length = this.#db.get(table, chunkKey.u32(0, this.id).u32(4, chunk).bytes);
    // The last chunk was full: its successor is not there yet.
    if (length < 0) tail.open(chunk);
    else tail.load(chunk, this.#db.u32, this.#db.u8, length);
  }

  #nextChunk(table: TableName, tail: ChunkBuilder, loaded: Set<number>): void {
    this.#storeTail(table, tail);
    tail.open(tail.chunk + 1);
    loaded.add(tail.chunk);
  }

  #storeTail(table: TableName, tail: ChunkBuilder): void {
    if (!tail.isDirty) return;
    this.#db.put(table, chunkKey.u32(0, this.id).u32(4, tail.chunk).bytes, tail.encode());
    tail.isDirty = false;
  }

  #candidates(table: TableName, key: Uint8Array): number[] {
    const bytes = this.#db.get(table, key);
    return bytes < 0 ? [] : Array.from(this.#db.u32.subarray(0, bytes / 4));
  }

  #addCandidate(table: TableName, key: Uint8Array, id: number): void {
    const value = Uint32Array.of(...this.#candidates(table, key), id);
    this.#db.put(table, key, new Uint8Array(value.buffer));
  }

  #stringHashKey(bytes: Uint8Array): Uint8Array {
    return hashKey
      .u32(0, this.id)
      .u32(4, hashBytes(bytes, 0, bytes.length, HASH_SEED_HIGH))
      .u32(8, hashBytes(bytes, 0, bytes.length, HASH_SEED_LOW)).bytes;
  }

  #keyHashKey(words: Int32Array, start: number, end: number): Uint8Array {
    return hashKey
      .u32(0, this.id)
      .u32(4, hashWords(words, start, end, HASH_SEED_HIGH))
      .u32(8, hashWords(words, start, end, HASH_SEED_LOW)).bytes;
  }

  /** Neighbours of a string were seen together and will be again: one read brings in all of them. */
  #loadStringChunk(chunk: number): void {
    if (this.#stringChunksLoaded.has(chunk)) return;
    this.#stringChunksLoaded.add(chunk);
    const value = this.#chunkValue("strings", this.#stringTail, chunk);
    const view = new DataView(value.buffer);
    const words = wordsOf(value);
    const count = chunkCount(words);
    const base = 4 * chunkHeadWords(count);
    let start = base;
    for (let i = 0; i < count; i++) {
      const end = base + chunkItemEnd(words, i);
      const hash = hashView(view, start, end);
      if (end > start && this.#strings.find(view, start, end, hash) < 0) {
        this.#strings.add(view, start, end, hash, (chunk << STRINGS_PER_CHUNK_SHIFT) + i);
      }
      start = end;
    }
  }

  #loadKeyChunk(chunk: number): void {
    if (this.#keyChunksLoaded.has(chunk)) return;
    this.#keyChunksLoaded.add(chunk);
    const words = new Int32Array(this.#chunkValue("keys", this.#keyTail, chunk).buffer);
    const count = chunkCount(words);
    const base = chunkHeadWords(count);
    let start = base;
    for (let i = 0; i < count; i++) {
      const end = base + chunkItemEnd(words, i);
      const hash = hashWords(words, start, end, HASH_SEED_LOW);
      if (this.#keys.find(words, start, end, hash) < 0) {
        this.#keys.add(words, start, end, hash, (chunk << KEYS_PER_CHUNK_SHIFT) + i);
      }
      start = end;
    }
  }

  /** A chunk as stored, owned; the growing one may be newer in memory than in the database. */
  #chunkValue(table: TableName, tail: ChunkBuilder, chunk: number): Uint8Array {
    if (chunk === tail.chunk) return tail.encode();
    const length = this.#db.get(table, chunkKey.u32(0, this.id).u32(4, chunk).bytes);
    return length < 0 ? new Uint8Array(4) : this.#db.u8.slice(0, length);
  }
}

/** The whole words of an owned value, which begins its buffer. */
function wordsOf(value: Uint8Array): Uint32Array {
  return new Uint32Array(value.buffer, 0, value.length >>> 2);
}
