/**
 * Which states were seen, by 64-bit hash: open addressing over two typed arrays, 16 bytes per state at worst.
 *
 * Two states of one hash would be taken for one: with n states the chance is about n^2 / 2^65, 3e-6 for ten million.
 */
export class Visited {
  size = 0;
  #low: Uint32Array;
  #high: Uint32Array;
  #mask: number;

  constructor(capacityLog2 = 16) {
    const capacity = 2 ** capacityLog2;
    this.#low = new Uint32Array(capacity);
    this.#high = new Uint32Array(capacity);
    this.#mask = capacity - 1;
  }

  /** True when the key was not there before. */
  add(low: number, high: number): boolean {
    // The pair (0, 0) marks a free slot.
    const keyLow = low >>> 0;
    const keyHigh = high >>> 0 === 0 ? 1 : high >>> 0;
    if (!this.#insert(keyLow, keyHigh)) return false;
    this.size += 1;
    if (this.size * 4 > this.#low.length * 3) this.#grow();
    return true;
  }

  get bytes(): number {
    return this.#low.byteLength + this.#high.byteLength;
  }

  #insert(keyLow: number, keyHigh: number): boolean {
    let slot = (keyLow ^ (keyHigh >>> 7)) & this.#mask;
    for (;;) {
      const high = this.#high[slot];
      if (high === 0) break;
      if (high === keyHigh && this.#low[slot] === keyLow) return false;
      slot = (slot + 1) & this.#mask;
    }
    this.#low[slot] = keyLow;
    this.#high[slot] = keyHigh;
    return true;
  }

  #grow(): void {
    const low = this.#low;
    const high = this.#high;
    this.#low = new Uint32Array(low.length * 2);
    this.#high = new Uint32Array(low.length * 2);
    this.#mask = this.#low.length - 1;
    for (let i = 0; i < low.length; i++) {
      const keyHigh = high[i] as number;
      if (keyHigh !== 0) this.#insert(low[i] as number, keyHigh);
    }
  }
}
