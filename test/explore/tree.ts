/**
 * Copies and hashes plain data trees: the core's state, messages, durable work.
 *
 * The hash does not depend on how the members are called: it is taken under a naming (node id -> number), and what is
 * kept by node id or in order of node ids (maps, id lists, lists of things with a receiver) is added up without order.
 * Two states that differ by a renaming of the nodes thus have the same set of hashes over all namings.
 */

/** What a node id counts as; one map per permutation of the nodes. */
export type Naming = ReadonlyMap<string, number>;

/** Deep copy. `isShared` says which objects never change, and stay one. */
export function cloneTree<T>(value: T, isShared: (value: object) => boolean): T {
  return cloneValue(value, isShared) as T;
}

function cloneValue(value: unknown, isShared: (value: object) => boolean): unknown {
  if (typeof value !== "object" || value === null || isShared(value)) return value;
  if (Array.isArray(value)) return value.map((item) => cloneValue(item, isShared));
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    for (const [key, item] of value) copy.set(key, cloneValue(item, isShared));
    return copy;
  }
  if (value instanceof Set) return new Set(value);
  if (ArrayBuffer.isView(value)) {
    if (value instanceof DataView) throw new Error("A DataView cannot be part of a state");
    return (value as Uint8Array).slice();
  }
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    copy[key] = cloneValue((value as Record<string, unknown>)[key], isShared);
  }
  return copy;
}

/** 64 bits in two signed words: sums of them stay in range under `| 0`. */
export interface Hash64 {
  low: number;
  high: number;
}

const LOW_SEED = 0x2545f491;
const HIGH_SEED = 0x6a09e667;

function finishLow(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function finishHigh(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return h ^ (h >>> 15);
}

const FLOAT = new Float64Array(1);
const FLOAT_WORDS = new Int32Array(FLOAT.buffer);

/** Replaces parts of a tree before they are hashed: for what hides node ids in bytes, or counts without meaning. */
export type Project = (value: object) => object;

export class TreeHasher {
  readonly #naming: Naming;
  readonly #project: Project;
  readonly #isShared: (value: object) => boolean;
  readonly #strings = new Map<string, Hash64>();
  /** Of objects that never change. */
  readonly #known = new WeakMap<object, Hash64>();
  #low = 0;
  #high = 0;

  constructor(naming: Naming, project: Project, isShared: (value: object) => boolean) {
    this.#naming = naming;
    this.#project = project;
    this.#isShared = isShared;
  }

  hash(value: unknown): Hash64 {
    this.#low = LOW_SEED;
    this.#high = HIGH_SEED;
    this.#value(value);
    return { low: finishLow(this.#low), high: finishHigh(this.#high) };
  }

  #word(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x01000193);
    this.#low = (this.#low << 13) | (this.#low >>> 19);
    this.#high = Math.imul(this.#high + word, 0x5bd1e995);
    this.#high = (this.#high << 15) | (this.#high >>> 17);
  }

  #value(given: unknown): void {
    switch (typeof given) {
      case "number":
        this.#number(given);
        return;
      case "string":
        this.#string(given);
        return;
      case "boolean":
        this.#word(given ? 0x7f1 : 0x7f2);
        return;
      case "undefined":
        this.#word(0x7f3);
        return;
      case "object":
        if (given === null) this.#word(0x7f4);
        else this.#object(given);
        return;
      default:
        throw new Error(`A state holds plain data, not a ${typeof given}`);
    }
  }

  #number(value: number): void {
    FLOAT[0] = value;
    this.#word(FLOAT_WORDS[0] as number);
    this.#word(FLOAT_WORDS[1] as number);
  }

  #string(value: string): void {
    const name = this.#naming.get(value);
    if (name !== undefined) {
      this.#word(0x3a7);
      this.#word(name);
      return;
    }
    const known = this.#strings.get(value);
    if (known !== undefined) {
      this.#word(known.low);
      this.#word(known.high);
      return;
    }
    const hash = { low: value.length, high: ~value.length };
    for (let i = 0; i < value.length; i++) {
      hash.low = finishLow(hash.low ^ value.charCodeAt(i));
      hash.high = finishHigh(hash.high + value.charCodeAt(i));
    }
    this.#strings.set(value, hash);
    this.#string(value);
  }

  #object(given: object): void {
    if (!this.#isShared(given)) {
      this.#content(this.#project(given));
      return;
    }
    let hash = this.#known.get(given);
    if (hash === undefined) {
      const low = this.#low;
      const high = this.#high;
      this.#low = LOW_SEED;
      this.#high = HIGH_SEED;
      this.#content(this.#project(given));
      hash = { low: finishLow(this.#low), high: finishHigh(this.#high) };
      this.#low = low;
      this.#high = high;
      this.#known.set(given, hash);
    }
    this.#word(hash.low);
    this.#word(hash.high);
  }

  #content(value: object): void {
    if (Array.isArray(value)) {
      this.#word(value.length);
      if (this.#isKeyedByNode(value)) this.#unordered(value);
      else for (const item of value) this.#value(item);
    } else if (value instanceof Map || value instanceof Set) {
      this.#word(value.size);
      this.#unordered([...value]);
    } else if (ArrayBuffer.isView(value)) {
      const words = value as Uint8Array;
      this.#word(words.length);
      for (const word of words) this.#word(word);
    } else {
      this.#fields(value as Record<string, unknown>);
    }
  }

  /** Objects come from several places: the order of their fields says nothing. */
  #fields(value: Record<string, unknown>): void {
    const keys = Object.keys(value);
    this.#word(keys.length);
    this.#unordered(keys.map((key) => [key, value[key]]));
  }

  #unordered(items: readonly unknown[]): void {
    const low = this.#low;
    const high = this.#high;
    let sumLow = 0;
    let sumHigh = 0;
    for (const item of items) {
      const hash = this.hash(item);
      sumLow = (sumLow + hash.low) | 0;
      sumHigh = (sumHigh + hash.high) | 0;
    }
    this.#low = low;
    this.#high = high;
    this.#word(sumLow);
    this.#word(sumHigh);
  }

  /** Lists of node ids, and of things with a receiver or an owner, stand in an order that a renaming changes. */
  #isKeyedByNode(items: readonly unknown[]): boolean {
    if (items.length < 2) return false;
    return items.every((item) => {
      if (typeof item === "string") return this.#naming.has(item);
      if (typeof item !== "object" || item === null) return false;
      const owner =
        "to" in item ? item.to : "id" in item ? item.id : "peer" in item ? item.peer : null;
      return typeof owner === "string" && this.#naming.has(owner);
    });
  }
}
