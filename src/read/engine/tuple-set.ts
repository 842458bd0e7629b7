/**
 * A set of equally long rows of small integers, in the order of their first arrival: distinct label rows. A JavaScript
 * Set would need a string per row.
 */

import { hashWords } from "../../base/index.ts";

const EMPTY = 0xffff_ffff;
const SEED = 0x51ed27;

export class TupleSet {
  readonly width: number;
  count = 0;
  #words: Uint32Array;
  #slots = new Uint32Array(256).fill(EMPTY);

  constructor(width: number) {
    this.width = width;
    this.#words = new Uint32Array(Math.max(1, width) * 64);
  }

  /** Adds a row unless it is there. True when it is new. */
  add(row: Uint32Array): boolean {
    const { width } = this;
    const mask = this.#slots.length - 1;
    let slot = hashWords(row, 0, width, SEED) & mask;
    for (;;) {
      const known = this.#slots[slot] as number;
      if (known === EMPTY) break;
      if (this.#equals(known, row)) return false;
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = this.count;
    this.#store(row);
    if (this.count * 2 > this.#slots.length) this.#grow();
    return true;
  }

  /** Value of a column of row i. */
  at(i: number, column: number): number {
    return this.#words[i * this.width + column] as number;
  }

  #equals(i: number, row: Uint32Array): boolean {
    const start = i * this.width;
    for (let column = 0; column < this.width; column++) {
      if (this.#words[start + column] !== row[column]) return false;
    }
    return true;
  }

  #store(row: Uint32Array): void {
    const start = this.count * this.width;
    if (start + this.width > this.#words.length) {
      const grown = new Uint32Array(2 * this.#words.length);
      grown.set(this.#words);
      this.#words = grown;
    }
    this.#words.set(row.subarray(0, this.width), start);
    this.count++;
  }

  #grow(): void {
    const slots = new Uint32Array(2 * this.#slots.length).fill(EMPTY);
    const mask = slots.length - 1;
    for (let i = 0; i < this.count; i++) {
      let slot = hashWords(this.#words, i * this.width, (i + 1) * this.width, SEED) & mask;
      while (slots[slot] !== EMPTY) slot = (slot + 1) & mask;
      slots[slot] = i;
    }
    this.#slots = slots;
  }
}
