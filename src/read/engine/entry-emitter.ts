/**
 * Entries -> entry chunks, for an asker that keeps dictionary records: an entry leaves as it is stored, and what its
 * ids mean is sent once per connection. A block costs one copy and a look at each of its dataset keys.
 */

import {
  type IndexDatabase,
  KEYS_PER_CHUNK_SHIFT,
  STRINGS_PER_CHUNK_SHIFT,
} from "../../db/index.ts";
import {
  type ByteSink,
  ENTRY_ROW,
  EntryChunkWriter,
  EntryReader,
  type SentDictionaries,
  type SentIds,
  visitKeyStrings,
} from "../../protocol/index.ts";
import type { Dictionary } from "./dictionary.ts";
import type { ReadCounters } from "./explain.ts";
import { answerTooLarge, checkToc, type PlanEmitterOptions } from "./plan-emitter.ts";

/** An asker that may keep dictionary records. */
export interface EntryAsker {
  /** What it holds; null when it keeps nothing, or when an entry chunk could not leave at once. */
  readonly dictionaries: SentDictionaries | null;
  /**
   * Takes a chunk, borrowed until it returns, as a sink that begins with CHUNK_HEADROOM_BYTES, which may be overwritten.
   * New records of `dictionaries` leave first.
   */
  entries(chunk: ByteSink, isLast: boolean): void;
}

const STRING_MASK = (1 << STRINGS_PER_CHUNK_SHIFT) - 1;
const KEY_MASK = (1 << KEYS_PER_CHUNK_SHIFT) - 1;

/** One per thread; `begin`, blocks, `end`. */
export class EntryEmitter {
  readonly #options: PlanEmitterOptions;
  readonly #db: IndexDatabase;
  readonly #counters: ReadCounters;
  readonly #writer = new EntryChunkWriter();
  readonly #entry = new EntryReader();
  #asker: EntryAsker | null = null;
  #dictionaries: SentDictionaries | null = null;
  #appliedIndex = 0;
  #sentBytes = 0;
  #blocks = 0;

  constructor(
    options: PlanEmitterOptions,
    { db, counters }: { readonly db: IndexDatabase; readonly counters: ReadCounters },
  ) {
    this.#options = options;
    this.#db = db;
    this.#counters = counters;
  }

  /** False when this answer has to be made of plan chunks. */
  tryBegin(asker: EntryAsker, appliedIndex: number): boolean {
    const { dictionaries } = asker;
    this.#dictionaries = dictionaries;
    if (dictionaries === null) return false;
    this.#asker = asker;
    this.#appliedIndex = appliedIndex;
    this.#sentBytes = 0;
    this.#blocks = 0;
    this.#writer.reset();
    dictionaries.begin(this.#db.content);
    return true;
  }

  /**
   * Adds the entry of `bytes` bytes that stands in the database's scratch buffer, which may then be overwritten.
   *
   * Shape: false when the rest of the answer has to be made of plan chunks; what was added before has been sent.
   * Errors: data_loss for a damaged entry; resource_exhausted when the answer grows over its limit.
   */
  tryAddBlock(dictionary: Dictionary, bytes: number): boolean {
    const { chunkBytes, answerMaxBytes } = this.#options;
    const writer = this.#writer;
    if (writer.byteLength >= chunkBytes && !this.#tryNextChunk()) return false;
    const dictionaries = this.#dictionaries as SentDictionaries;
    const offset = writer.addEntry(dictionary.id, this.#db.value(bytes));
    this.#entry.bind(writer.sink);
    this.#entry.reset(offset, bytes);
    if (!this.#tryAddRecords(dictionaries, dictionary)) {
      writer.removeLast(offset);
      this.#sendRest();
      return false;
    }
    this.#blocks++;
    this.#counters.blocksMatched++;
    this.#counters.datasetsMatched += this.#entry.rowsCount;
    const answerBytes = this.#sentBytes + writer.byteLength;
    if (answerBytes > answerMaxBytes)
      throw answerTooLarge(this.#blocks, answerBytes, answerMaxBytes);
    return true;
  }

  /** Sends the rest, or an empty chunk when there is nothing. */
  end(): void {
    this.#send(true);
    this.#asker = null;
  }

  /** After an error: what was written of records has not been sent. */
  abort(): void {
    this.#dictionaries?.forget();
    this.#asker = null;
  }

  #tryNextChunk(): boolean {
    this.#send(false);
    return (this.#asker as EntryAsker).dictionaries !== null;
  }

  #sendRest(): void {
    if (this.#writer.blockCount > 0) this.#send(false);
  }

  #send(isLast: boolean): void {
    const chunk = this.#writer.finish(this.#appliedIndex);
    this.#sentBytes += this.#writer.byteLength;
    (this.#asker as EntryAsker).entries(chunk, isLast);
    this.#writer.reset();
  }

  /** Makes sure that the asker holds all that the entry refers to; false when there is no room for it. */
  #tryAddRecords(dictionaries: SentDictionaries, dictionary: Dictionary): boolean {
    const entry = this.#entry;
    const ids = dictionaries.of(dictionary.id);
    const { tenant, createdBy } = entry;
    if (!ids.hasString(tenant) && !this.#tryAddString(dictionaries, ids, dictionary, tenant))
      return false;
    if (!ids.hasString(createdBy) && !this.#tryAddString(dictionaries, ids, dictionary, createdBy))
      return false;
    for (let row = 0; row < entry.rowsCount; row++) {
      checkToc(entry, row);
      const key = entry.rowU32(row, ENTRY_ROW.key);
      if (!ids.keys.has(key) && !this.#tryAddKey(dictionaries, ids, dictionary, key)) return false;
    }
    return true;
  }

  #tryAddKey(
    dictionaries: SentDictionaries,
    ids: SentIds,
    dictionary: Dictionary,
    key: number,
  ): boolean {
    const { ints, bounds } = dictionary.keyChunk(key);
    const start = bounds[key & KEY_MASK] as number;
    const end = bounds[(key & KEY_MASK) + 1] as number;
    let hasRoom = true;
    visitKeyStrings(ints, { start, end }, (id) => {
      if (!hasRoom || ids.hasString(id)) return;
      hasRoom = this.#tryAddString(dictionaries, ids, dictionary, id);
    });
    return hasRoom && dictionaries.tryAddKey(ids, key, ints, start, end);
  }

  #tryAddString(
    dictionaries: SentDictionaries,
    ids: SentIds,
    dictionary: Dictionary,
    id: number,
  ): boolean {
    const { bytes, bounds } = dictionary.stringChunk(id);
    const i = id & STRING_MASK;
    return dictionaries.tryAddString(ids, id, bytes, bounds[i] as number, bounds[i + 1] as number);
  }
}
