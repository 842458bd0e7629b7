/** Which key is written or read next. Keys fill up and make room for new ones, so that every set stays small. */

import type { Prng } from "../../../src/base/index.ts";
import { ELEMENTS_MAX } from "./keyspace.ts";

/** Few enough that clients meet, many enough that a key takes some seconds to fill. */
const ACTIVE_KEYS = 12;
/** Share of reads that go to a key that is full: what was written long ago must stay. */
const OLD_KEY_SHARE = 0.1;

export class Keys {
  /** Keys that still have room, with the elements given out. */
  readonly #active: { readonly key: number; used: number }[] = [];
  #nextKey = 0;

  constructor() {
    for (let i = 0; i < ACTIVE_KEYS; i++) this.#active.push(this.#fresh());
  }

  /** Keys that were ever used: 0 to count - 1. */
  get count(): number {
    return this.#nextKey;
  }

  /** An element that nobody has tried yet; belongs to the caller. */
  takeElement(random: Prng): { readonly key: number; readonly element: number } {
    const position = random.nextInt(ACTIVE_KEYS);
    const slot = this.#active[position] as { readonly key: number; used: number };
    const element = slot.used;
    slot.used += 1;
    if (slot.used === ELEMENTS_MAX) this.#active[position] = this.#fresh();
    return { key: slot.key, element };
  }

  keyToRead(random: Prng): number {
    if (random.nextChance(OLD_KEY_SHARE)) return random.nextInt(this.#nextKey);
    return (this.#active[random.nextInt(ACTIVE_KEYS)] as { readonly key: number }).key;
  }

  #fresh(): { readonly key: number; used: number } {
    return { key: this.#nextKey++, used: 0 };
  }
}
