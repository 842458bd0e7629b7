/**
 * What a chunk already refers to, per dictionary: id -> reference of the chunk. Asked for every string and dataset of
 * an answer, so it is an array and not a Map; a new chunk forgets everything by raising the generation.
 */

import type { PlanDatasetRefs } from "../../protocol/index.ts";
import { grown } from "./grown.ts";

/** Ids up to here are kept in arrays (8 and 20 B each); larger ones, of enormous dictionaries, in maps. */
const ARRAY_IDS_MAX = 1 << 18;
const INITIAL_IDS = 1024;
const KEY_WORDS = 4;

/** Bytes of arrays kept between answers; over it the memos of other dictionaries are dropped. */
const KEPT_MAX_BYTES = 16 * 1024 * 1024;

/** References of one dictionary's strings and keys. */
export class DictionaryMemo {
  #generation = 0;
  #stringStamps = new Uint32Array(INITIAL_IDS);
  #strings = new Int32Array(INITIAL_IDS);
  #keyStamps = new Uint32Array(INITIAL_IDS);
  #keys = new Int32Array(KEY_WORDS * INITIAL_IDS);
  readonly #largeStrings = new Map<number, number>();
  readonly #largeKeys = new Map<number, PlanDatasetRefs>();
  /** The refs that `key` found; reused. */
  readonly found: PlanDatasetRefs = { tenant: 0, name: 0, labelsStart: 0, labelsCount: 0 };

  get sizeBytes(): number {
    return 8 * this.#strings.length + 20 * this.#keyStamps.length;
  }

  /** Forgets everything unless it is of this generation already. */
  enter(generation: number): void {
    if (this.#generation === generation) return;
    this.#generation = generation;
    // Asked first: clearing an empty map costs more than everything else here, and nearly all are empty.
    if (this.#largeStrings.size > 0) this.#largeStrings.clear();
    if (this.#largeKeys.size > 0) this.#largeKeys.clear();
  }

  /** Reference of a string id, or -1. */
  string(id: number): number {
    if (id < this.#strings.length) {
      return this.#stringStamps[id] === this.#generation ? (this.#strings[id] as number) : -1;
    }
    return this.#largeStrings.get(id) ?? -1;
  }

  setString(id: number, ref: number): void {
    if (id >= ARRAY_IDS_MAX) {
      this.#largeStrings.set(id, ref);
      return;
    }
    if (id >= this.#strings.length) {
      const ids = roundUp(id);
      this.#stringStamps = grown(this.#stringStamps, new Uint32Array(ids));
      this.#strings = grown(this.#strings, new Int32Array(ids));
    }
    this.#stringStamps[id] = this.#generation;
    this.#strings[id] = ref;
  }

  /** Whether the key is known; its refs are then in `found`. */
  key(id: number): boolean {
    const { found } = this;
    if (id < this.#keyStamps.length) {
      if (this.#keyStamps[id] !== this.#generation) return false;
      const keys = this.#keys;
      const at = KEY_WORDS * id;
      found.tenant = keys[at] as number;
      found.name = keys[at + 1] as number;
      found.labelsStart = keys[at + 2] as number;
      found.labelsCount = keys[at + 3] as number;
      return true;
    }
    const large = this.#largeKeys.get(id);
    if (large !== undefined) Object.assign(found, large);
    return large !== undefined;
  }

  /** Keeps `refs` for the key; copies. */
  setKey(id: number, refs: PlanDatasetRefs): void {
    if (id >= ARRAY_IDS_MAX) {
      this.#largeKeys.set(id, { ...refs });
      return;
    }
    if (id >= this.#keyStamps.length) {
      const ids = roundUp(id);
      this.#keyStamps = grown(this.#keyStamps, new Uint32Array(ids));
      this.#keys = grown(this.#keys, new Int32Array(KEY_WORDS * ids));
    }
    const at = KEY_WORDS * id;
    this.#keyStamps[id] = this.#generation;
    this.#keys[at] = refs.tenant;
    this.#keys[at + 1] = refs.name;
    this.#keys[at + 2] = refs.labelsStart;
    this.#keys[at + 3] = refs.labelsCount;
  }
}

/** The memos of one thread. */
export class ChunkMemo {
  readonly #memos = new Map<number, DictionaryMemo>();
  #generation = 0;

  /** Begins a chunk: nothing is known of it. */
  startChunk(): void {
    // Stamps of the generation before the wrap would come back to life.
    if (this.#generation === 0xffff_ffff) {
      this.#memos.clear();
      this.#generation = 0;
    }
    this.#generation++;
    let bytes = 0;
    for (const memo of this.#memos.values()) bytes += memo.sizeBytes;
    if (bytes > KEPT_MAX_BYTES) this.#memos.clear();
  }

  of(dictionary: number): DictionaryMemo {
    let memo = this.#memos.get(dictionary);
    if (memo === undefined) {
      memo = new DictionaryMemo();
      this.#memos.set(dictionary, memo);
    }
    memo.enter(this.#generation);
    return memo;
  }
}

function roundUp(id: number): number {
  return 2 ** Math.ceil(Math.log2(id + 1));
}
