/** Which workers have asked lately: a number for the metrics. */

/** A worker that waits for jobs asks every 20 seconds, one that has some every few. */
const FRESH_MS = 60_000;
/** Above it the longest unheard are forgotten: names are anybody's. */
const NAMES_MAX = 4_096;

export class KnownWorkers {
  /** When each was heard last, the longest unheard first. */
  readonly #heardAtMs = new Map<string, number>();

  heard(names: readonly string[], nowMs: number): void {
    for (const name of names) {
      this.#heardAtMs.delete(name);
      this.#heardAtMs.set(name, nowMs);
    }
    this.#forget(nowMs);
  }

  /** Those heard within the last minute. */
  count(nowMs: number): number {
    this.#forget(nowMs);
    return this.#heardAtMs.size;
  }

  #forget(nowMs: number): void {
    for (const [name, heardAtMs] of this.#heardAtMs) {
      if (nowMs - heardAtMs <= FRESH_MS && this.#heardAtMs.size <= NAMES_MAX) return;
      this.#heardAtMs.delete(name);
    }
  }
}
