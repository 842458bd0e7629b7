/**
 * Exponentially weighted averages over time.
 *
 * Instants are Unix nanoseconds in doubles, as in all of the placement: the contract counts in them, a step of a double is
 * 256 ns today, and nothing here is decided by less than a second.
 *
 * Rates lie in one array, three numbers each, instead of objects of their own: with 80,000 of them, following pointers and
 * collecting garbage took most of a cycle.
 */

const NS_PER_SECOND = 1e9;

/** Time constant in seconds of an average whose weight halves in `halfLifeNs`, at least a second. */
export function tauOfHalfLife(halfLifeNs: number): number {
  return Math.max(1, halfLifeNs / NS_PER_SECOND) / Math.LN2;
}

/** Time constant of an average that forgets within `lifetimeNs`, at least a second. */
export function tauOfLifetime(lifetimeNs: number): number {
  return Math.max(1, lifetimeNs / NS_PER_SECOND);
}

/** Numbers of a rate, from its offset on. */
const FIELD = { lastNs: 0, sum: 1, average: 2, count: 3 } as const;
const FIRST_CAPACITY = 256;

/**
 * Rates per second, by the offset that `add` gave them. What comes within a second is summed and rolled into the average
 * by the first update after it, so that the first update of all only starts the clock.
 */
export class RateTable {
  readonly #tau: number;
  #data = new Float64Array(FIRST_CAPACITY * FIELD.count);
  #end = 0;
  readonly #free: number[] = [];
  /** Most rates were rolled together, so that one exponential serves them. */
  #weightSeconds = 0;
  #weight = 1;

  constructor(tau: number) {
    this.#tau = tau;
  }

  /** A new rate of nothing; or one that is believed without having been measured here. */
  add(average = 0, lastNs = 0): number {
    const at = this.#free.pop() ?? this.#grow();
    this.#data[at + FIELD.lastNs] = lastNs;
    this.#data[at + FIELD.sum] = 0;
    this.#data[at + FIELD.average] = average;
    return at;
  }

  /** The offset may be given to another rate from here on. */
  remove(at: number): void {
    this.#free.push(at);
  }

  /** When it was rolled last. */
  lastNs(at: number): number {
    return this.#data[at + FIELD.lastNs] as number;
  }

  /** A step back in time is ignored. */
  update(at: number, value: number, nowNs: number): void {
    const data = this.#data;
    const seconds = (nowNs - (data[at + FIELD.lastNs] as number)) / NS_PER_SECOND;
    if (seconds < 0) return;
    if (seconds >= 1) {
      data[at + FIELD.average] = this.#rolled(at, seconds);
      data[at + FIELD.sum] = 0;
      data[at + FIELD.lastNs] = nowNs;
    }
    data[at + FIELD.sum] = (data[at + FIELD.sum] as number) + value;
  }

  /** Changes nothing. */
  value(at: number, nowNs: number): number {
    const seconds = (nowNs - (this.#data[at + FIELD.lastNs] as number)) / NS_PER_SECOND;
    if (seconds < 0) return 0;
    if (seconds < 1) return this.#data[at + FIELD.average] as number;
    return this.#rolled(at, seconds);
  }

  /** Takes a value that is sampled now and then into its average, by the time since the one before; the first counts fully. */
  smooth(at: number, value: number, nowNs: number): number {
    const data = this.#data;
    const lastNs = data[at + FIELD.lastNs] as number;
    const rest = lastNs === 0 ? 0 : this.#restAfter(Math.max(0, (nowNs - lastNs) / NS_PER_SECOND));
    const average = (1 - rest) * value + rest * (data[at + FIELD.average] as number);
    data[at + FIELD.average] = average;
    data[at + FIELD.lastNs] = Math.max(lastNs, nowNs);
    return average;
  }

  #rolled(at: number, seconds: number): number {
    const rest = this.#restAfter(seconds);
    const rate = (this.#data[at + FIELD.sum] as number) / seconds;
    return (1 - rest) * rate + rest * (this.#data[at + FIELD.average] as number);
  }

  /** What is left of an average after that time. */
  #restAfter(seconds: number): number {
    if (seconds !== this.#weightSeconds) {
      this.#weightSeconds = seconds;
      this.#weight = Math.exp(-seconds / this.#tau);
    }
    return this.#weight;
  }

  #grow(): number {
    const at = this.#end;
    this.#end += FIELD.count;
    if (this.#end > this.#data.length) {
      const larger = new Float64Array(2 * this.#data.length);
      larger.set(this.#data);
      this.#data = larger;
    }
    return at;
  }
}
