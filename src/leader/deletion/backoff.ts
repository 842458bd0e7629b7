/** Longer waits from failure to failure, and the usual ones again after a success. */

const FIRST_MS = 1_000;
const MOST_MS = 60_000;

export class Backoff {
  #failures = 0;

  succeeded(): void {
    this.#failures = 0;
  }

  /** How long to wait now, ms. */
  failed(): number {
    const delayMs = Math.min(MOST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    return delayMs;
  }
}
