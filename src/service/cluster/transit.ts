/**
 * How long what a peer sends has waited on its way: here, there, and in the systems between. Two clocks that nobody has
 * set by each other tell it by comparison: what took the least of late has waited for nothing.
 *
 * It decides whether somebody still waits for an answer, and nothing else. A clock that runs differently or was stopped
 * misleads it for two periods at most.
 */

/** Clocks of machines drift by less than a ms in it. */
const PERIOD_MS = 10_000;

export class TransitTimes {
  /** The least difference of the clocks that was seen, of this period and of the one before; null: none yet. */
  #leastMs: number | null = null;
  #formerLeastMs: number | null = null;
  #periodEndsAtMs = 0;

  /** `sentAtMs`: u32 of the sender's clock, which wraps. `nowMs`: of a clock here that never goes back. */
  waitedMs(sentAtMs: number, nowMs: number): number {
    if (nowMs >= this.#periodEndsAtMs) {
      this.#formerLeastMs = this.#leastMs;
      this.#leastMs = null;
      this.#periodEndsAtMs = nowMs + PERIOD_MS;
    }
    // Differences are compared as i32, so that wrapping changes nothing.
    const differenceMs = (Math.trunc(nowMs) - sentAtMs) | 0;
    this.#leastMs = lesser(this.#leastMs, differenceMs);
    const leastMs = lesser(this.#formerLeastMs, this.#leastMs);
    return (differenceMs - leastMs) | 0;
  }
}

function lesser(a: number | null, b: number): number {
  return a === null || ((b - a) | 0) < 0 ? b : a;
}
