/** One seed, many streams: a draw more in one component shifts nothing in the others. */

import { hashBytes, Prng } from "../../src/base/index.ts";

export class Streams {
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** The generator of one component; the same name gives the same sequence in every run of the seed. */
  stream(name: string): Prng {
    const bytes = new TextEncoder().encode(name);
    const stream = hashBytes(bytes, 0, bytes.length, 0x51ed270b);
    // Prng takes 32 bits of seed; the rest of a larger one goes into the stream.
    const high = Math.floor(this.#seed / 0x1_0000_0000);
    return new Prng(this.#seed | 0, stream ^ Math.imul(high, 0x9e3779b1));
  }
}

/** Exponentially distributed with the given mean: many short, few long ones. */
export function exponential(prng: Prng, mean: number): number {
  return -Math.log(1 - prng.nextFloat()) * mean;
}

/** Uniform in the logarithm: 0.1 to 10 has as much below 1 as above. */
export function logUniform(prng: Prng, low: number, high: number): number {
  return low * Math.exp(prng.nextFloat() * Math.log(high / low));
}

/** `count` different elements, in the order of the list. */
export function sample<T>(prng: Prng, items: readonly T[], count: number): T[] {
  let needed = Math.min(count, items.length);
  const taken: T[] = [];
  for (let i = 0; i < items.length && needed > 0; i++) {
    if (prng.nextInt(items.length - i) < needed) {
      taken.push(items[i] as T);
      needed -= 1;
    }
  }
  return taken;
}
