/**
 * Who waits for the disk: a thread of libuv, or the caller itself.
 *
 * A write by another thread wakes two threads, which takes a third as long as a quick disk and processor time besides: all in vain
 * where nobody else has anything to do. A write in place costs nothing of that, and stops everything else while it lasts.
 * So it is for small writes on a disk that has been quick, which is found out by trying, and tried again only after a while.
 */

/** One page: a disk takes it in the time of its smallest write. Under load groups are larger. */
const IN_PLACE_MAX_BYTES = 4096;
/** Writes by another thread between two trials: a disk at one and a half times the limit is waited for in 1 of 4 writes. */
const TRIAL_AFTER_WRITES = 32;
/** A write by another thread, with two threads to be woken, may take this many times the limit and be worth a trial. */
const THREADED_FACTOR = 4;
/** Weight of the newest write in the average, and how many times the bound on that it counts at most: one says little about the next. */
const WEIGHT = 1 / 16;
const OUTLIER_FACTOR = 4;
/** A small write that takes this long is no write but a disk that stands still: nobody waits in place for a while. */
const STALL_MS = 50;
const STALL_REST_MS = 10_000;

export class WritePace {
  readonly #limitMs: number;
  #isInPlace = false;
  /** Of small writes, all made in the present way, ms. */
  #averageMs: number;
  #threadedWrites = 0;
  #restsUntilMs = Number.NEGATIVE_INFINITY;

  /** `limitMs`: average time of a small write above which nobody waits for it in place; 0: nobody ever does. */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
    this.#averageMs = limitMs;
  }

  /** Whether the caller had better wait for a write of so many bytes itself. */
  isInPlace(bytes: number): boolean {
    return this.#isInPlace && bytes <= IN_PLACE_MAX_BYTES;
  }

  /** What a write took, in whichever way it was made. `nowMs`: the monotonic clock behind it. */
  note(bytes: number, tookMs: number, nowMs: number): void {
    if (this.#limitMs === 0 || bytes > IN_PLACE_MAX_BYTES) return;
    const maxMs = this.#isInPlace ? this.#limitMs : THREADED_FACTOR * this.#limitMs;
    this.#averageMs += (Math.min(tookMs, OUTLIER_FACTOR * maxMs) - this.#averageMs) * WEIGHT;
    if (tookMs >= STALL_MS) this.#restsUntilMs = nowMs + STALL_REST_MS;
    const isResting = nowMs < this.#restsUntilMs;
    if (this.#isInPlace) {
      if (isResting || this.#averageMs > maxMs) this.#isInPlace = false;
      return;
    }
    this.#threadedWrites += 1;
    if (isResting || this.#threadedWrites < TRIAL_AFTER_WRITES || this.#averageMs > maxMs) return;
    this.#isInPlace = true;
    this.#threadedWrites = 0;
    // On probation: a few slow ones end it.
    this.#averageMs = this.#limitMs / 2;
  }
}
