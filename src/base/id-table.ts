/**
 * The requests of a connection that are open, by id.
 *
 * Not a Map: one through which many pass makes a new table for every hundred of them, and each old one, once it has outlived
 * two collections, keeps all that were in it until the next full collection, with what they refer to. Measured: a quarter of
 * what a thread allocated for writes was copied and kept that way. Here a slot is emptied when its request ends.
 */

/** What is kept; its id stays as it is for as long. */
export interface Identified {
  readonly requestId: number;
}

const FIRST_SLOTS = 64;
/** A larger table is given back when it is empty. */
const KEPT_SLOTS = 4_096;

/** Spreads ids over the slots (golden ratio, 32 bits): clients count them up, and neighbours would make one long run. */
const SPREAD = 0x9e37_79b1;

/** Open addressing with linear probing; at most half of the slots are taken. */
export class IdTable<T extends Identified> {
  #slots: (T | null)[] = newSlots(FIRST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(requestId: number): T | null {
    return this.#slots[this.#find(requestId)] ?? null;
  }

  has(requestId: number): boolean {
    return this.get(requestId) !== null;
  }

  /** Adds a request under its id, which no other one in here has. */
  add(request: T): void {
    if (2 * (this.#size + 1) > this.#slots.length) this.#grow();
    this.#slots[this.#find(request.requestId)] = request;
    this.#size++;
  }

  /** Takes a request out; nothing happens when it is not in here. */
  delete(requestId: number): void {
    const slots = this.#slots;
    let hole = this.#find(requestId);
    if (slots[hole] === null) return;
    slots[hole] = null;
    this.#size--;
    const mask = slots.length - 1;
    // Those behind it in its run move up, unless that would put them ahead of where they are looked for.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const request = slots[at] as T | null;
      if (request === null) break;
      const home = this.#home(request.requestId);
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = request;
      slots[at] = null;
      hole = at;
    }
    if (this.#size === 0 && slots.length > KEPT_SLOTS) this.#slots = newSlots(FIRST_SLOTS);
  }

  /** All of them, in no particular order; a copy, so that they may end while one looks at it. */
  values(): T[] {
    return this.#size === 0 ? [] : this.#slots.filter((request) => request !== null);
  }

  /** The upper bits of the spread id: as many as number the slots. */
  #home(requestId: number): number {
    return Math.imul(requestId, SPREAD) >>> (Math.clz32(this.#slots.length) + 1);
  }

  /** The slot of that id, or the empty one where it would be. */
  #find(requestId: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = this.#home(requestId);
    for (;;) {
      const request = slots[at] as T | null;
      if (request === null || request.requestId === requestId) return at;
      at = (at + 1) & mask;
    }
  }

  #grow(): void {
    const requests = this.values();
    this.#slots = newSlots(2 * this.#slots.length);
    for (const request of requests) this.#slots[this.#find(request.requestId)] = request;
  }
}

function newSlots<T>(count: number): (T | null)[] {
  return new Array<T | null>(count).fill(null);
}
