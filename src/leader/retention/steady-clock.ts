/**
 * The time that retention goes by: never ahead of what can be believed, since a clock that jumps forward deletes data.
 *
 * - While the process runs, the clock may gain on the monotonic one by what slewing explains; a jump forward beyond that
 *   does not count, however long ago it was. A jump back counts at once: less is deleted.
 * - When this member begins to lead, its clock may be ahead of the newest entry of the leaders before it by a day. More is
 *   either a cluster that stood still, or a wrong clock; the time goes on from there, so that what is deleted lags.
 *
 * Both end with the next change of the leader, or restart: by then the log has the time of a clock that somebody looked
 * at, or entries of another member.
 */
import type { Clock, Scheduler } from "../../base/index.ts";

/** Gained per hour by a clock that is being slewed (500 ppm is what kernels allow), rounded up a lot. */
const SLEW_RATIO = 0.01;
/** Reading two clocks one after the other, and small steps of time services. */
const STEP_MAX_MS = 10_000;
/** An idle cluster does not write for so long. */
const IDLE_MAX_MS = 24 * 3_600_000;

export interface SteadyTime {
  /** Unix ms to go by. */
  readonly nowMs: number;
  /** How far the clock is ahead of that; 0: it is believed. */
  readonly distrustedMs: number;
}

export class SteadyClock {
  readonly #clock: Clock;
  readonly #scheduler: Pick<Scheduler, "monotonicMs">;
  #anchor: { readonly wallMs: number; readonly monotonicMs: number } | null = null;

  constructor(modules: {
    readonly clock: Clock;
    readonly scheduler: Pick<Scheduler, "monotonicMs">;
  }) {
    this.#clock = modules.clock;
    this.#scheduler = modules.scheduler;
  }

  /** This member leads now. `newestEntryAtMs`: log time of the newest entry of the terms before; 0: there is none. */
  begin(newestEntryAtMs: number): void {
    const wallMs = this.#clock.nowMs();
    const ceilingMs = newestEntryAtMs > 0 ? newestEntryAtMs + IDLE_MAX_MS : wallMs;
    this.#anchor = {
      wallMs: Math.min(wallMs, ceilingMs),
      monotonicMs: this.#scheduler.monotonicMs(),
    };
  }

  read(): SteadyTime {
    const wallMs = this.#clock.nowMs();
    const monotonicMs = this.#scheduler.monotonicMs();
    const anchor = this.#anchor ?? { wallMs, monotonicMs };
    const elapsedMs = monotonicMs - anchor.monotonicMs;
    const ceilingMs = anchor.wallMs + elapsedMs * (1 + SLEW_RATIO) + STEP_MAX_MS;
    const nowMs = Math.min(wallMs, ceilingMs);
    if (nowMs < wallMs) {
      // From the believed time on, without the allowance: it is not given again at each reading.
      return { nowMs: Math.min(nowMs, anchor.wallMs + elapsedMs), distrustedMs: wallMs - nowMs };
    }
    // What was gained inside of the allowance is not given twice.
    return { nowMs, distrustedMs: 0 };
  }
}
