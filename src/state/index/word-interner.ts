/**
 * A set of int sequences with a number each: dataset keys, found again by (tenant, name, labels). The twin of
 * ByteInterner over words.
 */

const SLOT_WORDS = 4;
const INITIAL_SLOTS = 32;
const INITIAL_ARENA_WORDS = 256;

export class WordInterner {
  #slots = new Int32Array(INITIAL_SLOTS * SLOT_WORDS);
  #mask = INITIAL_SLOTS - 1;
  #count = 0;
  #arena = new Int32Array(INITIAL_ARENA_WORDS);
  #arenaLength = 0;

  /** Memory held, bytes. */
  get sizeBytes(): number {
    return this.#slots.byteLength + this.#arena.byteLength;
  }

  /** Id of the content words[start, end), or -1. `hash`: hashWords of that range with any one seed, always the same. */
  find(words: Int32Array, start: number, end: number, hash: number): number {
    const slots = this.#slots;
    const wanted = hash | 0;
    let slot = wanted & this.#mask;
    for (;;) {
      const at = slot * SLOT_WORDS;
      const id = slots[at + 3] as number;
      if (id === 0) return -1;
      if (slots[at] === wanted && slots[at + 2] === end - start) {
        if (this.#isEqual(slots[at + 1] as number, words, start, end)) return id - 1;
      }
      slot = (slot + 1) & this.#mask;
    }
  }

  /** Adds content that `find` does not know. */
  add(words: Int32Array, start: number, end: number, hash: number, id: number): void {
    if (this.#count * 2 > this.#mask) this.#growSlots();
    const arenaStart = this.#appendToArena(words, start, end);
    this.#count++;
    this.#place(hash | 0, arenaStart, end - start, id + 1);
  }

  #place(hash: number, start: number, length: number, idPlusOne: number): void {
    const slots = this.#slots;
    let slot = hash & this.#mask;
    while (slots[slot * SLOT_WORDS + 3] !== 0) slot = (slot + 1) & this.#mask;
    const at = slot * SLOT_WORDS;
    slots[at] = hash;
    slots[at + 1] = start;
    slots[at + 2] = length;
    slots[at + 3] = idPlusOne;
  }

  #isEqual(arenaStart: number, words: Int32Array, start: number, end: number): boolean {
    const arena = this.#arena;
    const shift = arenaStart - start;
    for (let i = start; i < end; i++) if (arena[i + shift] !== words[i]) return false;
    return true;
  }

  #growSlots(): void {
    const before = this.#slots;
    this.#slots = new Int32Array(before.length * 2);
    this.#mask = this.#slots.length / SLOT_WORDS - 1;
    for (let at = 0; at < before.length; at += SLOT_WORDS) {
      const idPlusOne = before[at + 3] as number;
      if (idPlusOne === 0) continue;
      this.#place(
        before[at] as number,
        before[at + 1] as number,
        before[at + 2] as number,
        idPlusOne,
      );
    }
  }

  #appendToArena(words: Int32Array, start: number, end: number): number {
    const at = this.#arenaLength;
    const needed = at + end - start;
    if (needed > this.#arena.length) {
      const before = this.#arena;
      this.#arena = new Int32Array(Math.max(needed, before.length * 2));
      this.#arena.set(before);
    }
    this.#arena.set(words.subarray(start, end), at);
    this.#arenaLength = needed;
    return at;
  }
}
