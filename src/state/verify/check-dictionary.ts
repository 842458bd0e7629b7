/** Checks one dictionary: content and ids lead to each other, and pairs say which keys hold them. */

import {
  chunkCount,
  chunkHeadWords,
  chunkItemEnd,
  type IndexDatabase,
  KEYS_PER_CHUNK_SHIFT,
  KEYS_PER_DIRECTORY_SHIFT,
  KeyBuffer,
  keyU32,
  STRINGS_PER_CHUNK_SHIFT,
} from "../../db/index.ts";
import { epochOf } from "../index/owner-partitions.ts";
import type { PartitionState } from "../index/shard-state.ts";
import type { Problems } from "./problems.ts";

export class DictionaryCheck {
  readonly #id: number;
  readonly #problems: Problems;
  readonly #strings = new Map<number, string>();
  /** Ints of a key, as text: tenant, name, labels. */
  readonly #keys = new Map<number, Int32Array>();
  readonly #tenant: number;
  readonly #epoch: number;

  constructor(db: IndexDatabase, id: number, problems: Problems) {
    this.#id = id;
    this.#problems = problems;
    const start = new KeyBuffer(4).u32(0, id).bytes;
    const end = new KeyBuffer(4).u32(0, id + 1).bytes;
    const length = db.get("dictionaries", start);
    const [nextString = 0, nextKey = 0, tenant = -1, epoch = -1] =
      length < 0 ? [] : db.u32.subarray(0, 4);
    this.#tenant = tenant;
    this.#epoch = epoch;
    problems.check(length >= 0, () => `dictionary ${id} has no record`);
    this.#readStrings(db, start, end);
    this.#readKeys(db, start, end);
    this.#checkIds(db, start, end);
    this.#checkPairs(db, start, end);
    problems.same(`dictionary ${id} next string`, nextString, nextAfter(this.#strings));
    problems.same(`dictionary ${id} next key`, nextKey, nextAfter(this.#keys));
    problems.check(this.#strings.get(0) === "", () => `dictionary ${id} string 0 is not empty`);
  }

  /** Whether the key is known; its ints then refer to known strings. */
  hasKey(key: number): boolean {
    return this.#keys.has(key);
  }

  hasString(id: number): boolean {
    return this.#strings.has(id);
  }

  checkUse(partition: PartitionState): void {
    this.#problems.same(`dictionary ${this.#id} owner`, this.#tenant, partition.owner.tenant);
    this.#problems.same(`dictionary ${this.#id} epoch`, this.#epoch, epochOf(partition.startMs));
  }

  #readStrings(db: IndexDatabase, start: Uint8Array, end: Uint8Array): void {
    const seen = new Set<string>();
    db.scan("strings", start, end, (key) => {
      const count = chunkCount(db.u32);
      const content = 4 * chunkHeadWords(count);
      let from = content;
      for (let i = 0; i < count; i++) {
        const to = content + chunkItemEnd(db.u32, i);
        const text = Buffer.from(db.u8.slice(from, to)).toString("latin1");
        this.#problems.check(!seen.has(text), () => `dictionary ${this.#id} has a string twice`);
        seen.add(text);
        this.#strings.set((keyU32(key, 4) << STRINGS_PER_CHUNK_SHIFT) + i, text);
        from = to;
      }
      return true;
    });
  }

  #readKeys(db: IndexDatabase, start: Uint8Array, end: Uint8Array): void {
    const seen = new Set<string>();
    db.scan("keys", start, end, (key) => {
      const count = chunkCount(db.u32);
      const content = chunkHeadWords(count);
      let from = content;
      for (let i = 0; i < count; i++) {
        const to = content + chunkItemEnd(db.u32, i);
        const ints = db.i32.slice(from, to);
        const text = ints.join(" ");
        this.#problems.check(!seen.has(text), () => `dictionary ${this.#id} has a key twice`);
        seen.add(text);
        this.#keys.set((keyU32(key, 4) << KEYS_PER_CHUNK_SHIFT) + i, ints);
        from = to;
      }
      return true;
    });
  }

  #checkIds(db: IndexDatabase, start: Uint8Array, end: Uint8Array): void {
    for (const [table, known, without] of [
      ["stringIds", this.#strings, 1],
      ["keyIds", this.#keys, 0],
    ] as const) {
      let ids = 0;
      db.scan(table, start, end, (_key, length) => {
        for (let i = 0; i < length / 4; i++) {
          const id = db.u32[i] as number;
          ids++;
          this.#problems.check(known.has(id), () => `dictionary ${this.#id} ${table} has ${id}`);
        }
        return true;
      });
      this.#problems.same(
        `dictionary ${this.#id} ${table}`,
        ids,
        Math.max(0, known.size - without),
      );
    }
  }

  #checkPairs(db: IndexDatabase, start: Uint8Array, end: Uint8Array): void {
    const expected = new Set<string>();
    for (const [key, ints] of this.#keys) {
      for (const pair of firstPairs(ints)) expected.add(`${pair} ${key}`);
      for (const id of stringRefs(ints)) {
        this.#problems.check(
          this.#strings.has(id),
          () => `dictionary ${this.#id} key ${key} refers to string ${id}`,
        );
      }
    }
    db.scan("pairs", start, end, (dbKey, length) => {
      const pair = `${keyU32(dbKey, 4)} ${keyU32(dbKey, 8)}`;
      for (let bit = 0; bit < length * 8; bit++) {
        if ((((db.u8[bit >>> 3] as number) >>> (bit & 7)) & 1) === 0) continue;
        const entry = `${pair} ${(keyU32(dbKey, 12) << KEYS_PER_DIRECTORY_SHIFT) + bit}`;
        this.#problems.check(
          expected.delete(entry),
          () => `dictionary ${this.#id} has pair ${entry}`,
        );
      }
      return true;
    });
    for (const entry of expected) this.#problems.add(`dictionary ${this.#id} lacks pair ${entry}`);
  }
}

function nextAfter(ids: ReadonlyMap<number, unknown>): number {
  let next = 0;
  for (const id of ids.keys()) next = Math.max(next, id + 1);
  return next;
}

/** "name value" of every pair that is the first of its name in a set. */
function firstPairs(ints: Int32Array): Set<string> {
  const pairs = new Set<string>();
  let at = 2;
  while (at < ints.length) {
    const end = at + 1 + 2 * (ints[at] as number);
    const names = new Set<number>();
    for (let i = at + 1; i < end; i += 2) {
      const name = ints[i] as number;
      if (!names.has(name)) pairs.add(`${name} ${ints[i + 1]}`);
      names.add(name);
    }
    at = end;
  }
  return pairs;
}

function stringRefs(ints: Int32Array): Set<number> {
  const refs = new Set([ints[0] as number, ints[1] as number]);
  for (const pair of firstPairs(ints)) for (const id of pair.split(" ")) refs.add(Number(id));
  return refs;
}
