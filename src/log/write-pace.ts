/**
 * Who waits for the disk: another thread, or the caller itself.
 *
 * A write by another thread wakes two threads, which takes a third as long as a quick disk and processor time besides: all in vain
 * where nobody else has anything to do. A write in place costs nothing of that, and stops everything else while it lasts.
 * So it is for small writes, and for groups that all callers wait for, on a disk that has been quick, which is found out by trying,
 * and tried again only after a while.
 */

/**
 * `small`: one page, which a disk takes in the time of its smallest write. `group`: where all callers wait for one write, a thread
 * that waits for it itself keeps none of them; that is so while nothing comes in before a write ends.
 */
export const IN_PLACE_BYTES = { small: 4096, group: 64 * 1024 } as const;
/** Groups by another thread in a row during which nothing came in, before one is waited for in place, and such in a row then. */
const QUIET_GROUPS = 8;
const GROUPS_IN_PLACE = 32;
/** Writes by another thread between two trials: a disk at one and a half times the limit is waited for in 1 of 4 writes. */
const TRIAL_AFTER_WRITES = 32;
/** A write by another thread, with two threads to be woken, may take this many times the limit and be worth a trial. */
const THREADED_FACTOR = 4;
/** Weight of the newest write in the average, and how many times the bound on that it counts at most: one says little about the next. */
const WEIGHT = 1 / 16;
const OUTLIER_FACTOR = 4;
/** A write that takes this long is no write but a disk that stands still: nobody waits in place for a while. */
const STALL_MS = 50;
const STALL_REST_MS = 10_000;

/** What is known when a write has ended. */
export interface WriteMade {
  readonly tookMs: number;
  /** The monotonic clock. */
  readonly nowMs: number;
  /** Whether the caller has waited for it. */
  readonly inPlace: boolean;
  /** Nothing has come in since it began that is to be written, too. */
  readonly isQuiet: boolean;
}

export class WritePace {
  readonly #limitMs: number;
  #isInPlace = false;
  /** Of writes of up to a group, all made in the present way, ms. */
  #averageMs: number;
  #threadedWrites = 0;
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  #quietGroups = 0;
  #groupsInPlace = 0;

  /** `limitMs`: average time of a write above which nobody waits for it in place; 0: nobody ever does. */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
    this.#averageMs = limitMs;
  }

  /** Whether the caller had better wait for a write of so many bytes itself. */
  isInPlace(bytes: number): boolean {
    if (!this.#isInPlace || bytes > IN_PLACE_BYTES.group) return false;
    return bytes <= IN_PLACE_BYTES.small || this.#quietGroups >= QUIET_GROUPS;
  }

  /** A write has ended. */
  note(bytes: number, { tookMs, nowMs, inPlace, isQuiet }: WriteMade): void {
    if (this.#limitMs === 0 || bytes > IN_PLACE_BYTES.group) return;
    if (bytes > IN_PLACE_BYTES.small) this.#noteGroup(inPlace, isQuiet);
    if (tookMs >= STALL_MS) this.#restsUntilMs = nowMs + STALL_REST_MS;
    const isResting = nowMs < this.#restsUntilMs;
    if (isResting) this.#isInPlace = false;
    // Not in the present way: it was not to be waited for, however quick the disk.
    if (this.#isInPlace && !inPlace) return;
    const maxMs = this.#isInPlace ? this.#limitMs : THREADED_FACTOR * this.#limitMs;
    this.#averageMs += (Math.min(tookMs, OUTLIER_FACTOR * maxMs) - this.#averageMs) * WEIGHT;
    if (this.#isInPlace) {
      if (this.#averageMs > maxMs) this.#isInPlace = false;
      return;
    }
    this.#threadedWrites += 1;
    if (isResting || this.#threadedWrites < TRIAL_AFTER_WRITES || this.#averageMs > maxMs) return;
    this.#isInPlace = true;
    this.#threadedWrites = 0;
    // On probation: a few slow ones end it.
    this.#averageMs = this.#limitMs / 2;
  }

  #noteGroup(inPlace: boolean, isQuiet: boolean): void {
    if (!inPlace) {
      this.#quietGroups = isQuiet ? this.#quietGroups + 1 : 0;
      this.#groupsInPlace = 0;
      return;
    }
    this.#groupsInPlace += 1;
    // Who waits sees nobody come: the next one is for looking.
    if (this.#groupsInPlace === GROUPS_IN_PLACE) this.#quietGroups = QUIET_GROUPS - 1;
  }
}
