/**
 * A small seeded generator for load, tests and jitter that must be repeatable. Never for secrets.
 *
 * sfc32 by Chris Doty-Humphrey (PractRand): 128 bits of state, passes the usual batteries, four additions per value.
 */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /**
   * The same seed and stream give the same sequence on every machine and every Node version; streams of one seed are
   * independent, so that item n of a load can be made without the n - 1 before it.
   */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    this.#c = 0x9e3779b9 | 0;
    // The first outputs of neighbouring seeds resemble each other; twelve rounds are the author's advice.
    for (let i = 0; i < 12; i++) this.nextU32();
  }

  /** Uniform in [0, 2^32). */
  nextU32(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + result) | 0;
    return result >>> 0;
  }

  /** Uniform in [0, 1), 32 bits of it. */
  nextFloat(): number {
    return this.nextU32() / 0x1_0000_0000;
  }

  /** Uniform integer in [0, bound); the bias of the scaling is below 2^-32 per value for small bounds. */
  nextInt(bound: number): number {
    return Math.floor(this.nextFloat() * bound);
  }

  /** Uniform integer in [first, last]. */
  nextBetween(first: number, last: number): number {
    return first + this.nextInt(last - first + 1);
  }

  /** True with the given probability. */
  nextChance(probability: number): boolean {
    return this.nextFloat() < probability;
  }

  /** One element of a non-empty list. */
  pick<T>(items: readonly T[]): T {
    return items[this.nextInt(items.length)] as T;
  }
}
