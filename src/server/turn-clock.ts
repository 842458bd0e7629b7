/**
 * The clock of a thread that answers many requests per turn of its event loop. Looking at it costs as much as a fiftieth
 * of a point read, twice per request; where one request of a turn ends, the next one begins.
 */

import { type Scheduler, SYSTEM_SCHEDULER } from "../base/index.ts";

export class TurnClock {
  readonly #scheduler: Scheduler;
  /** The last look of this turn; negative when there was none. */
  #lastMs = -1;

  constructor(scheduler: Scheduler = SYSTEM_SCHEDULER) {
    this.#scheduler = scheduler;
  }

  /** Now. Ms of a clock that never goes back, as all times here. */
  readonly nowMs = (): number => {
    if (this.#lastMs < 0) this.#scheduler.defer(this.#endTurn);
    this.#lastMs = this.#scheduler.monotonicMs();
    return this.#lastMs;
  };

  /**
   * When a request that is looked at now began: at the last look of this turn, if there was one. Late by nothing and early
   * by no more than a turn, in which the request had arrived, or was about to, while the one before it was answered.
   */
  readonly beganMs = (): number => (this.#lastMs < 0 ? this.nowMs() : this.#lastMs);

  readonly #endTurn = (): void => {
    this.#lastMs = -1;
  };
}
