/**
 * A histogram in plain numbers, for what happens too often to be observed one by one: an engine adds to it, a scrape
 * takes what came since the last one.
 */
export class Tally {
  readonly #bounds: readonly number[];
  #buckets: Float64Array;
  #sum = 0;

  /** `bounds`: those of the metric it will go to, ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#buckets = new Float64Array(bounds.length + 1);
  }

  /** Counts `value` as often as `times` says. Cost: a binary search. */
  add(value: number, times = 1): void {
    let low = 0;
    let high = this.#bounds.length;
    // First bound that is not below the value: buckets include their upper bound.
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value > (this.#bounds[middle] as number)) low = middle + 1;
      else high = middle;
    }
    this.#buckets[low] = (this.#buckets[low] as number) + times;
    this.#sum += value * times;
  }

  /** Hands over what was counted, and counts from zero. */
  take(): { readonly buckets: Float64Array; readonly sum: number } {
    const taken = { buckets: this.#buckets, sum: this.#sum };
    this.#buckets = new Float64Array(this.#bounds.length + 1);
    this.#sum = 0;
    return taken;
  }
}
