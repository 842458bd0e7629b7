/** Cleaning up behind the answers: a piece in each turn, while nobody waits for anything and nothing is staged. */

import type { Scheduler } from "../base/index.ts";

export interface SweeperModules {
  readonly scheduler: Scheduler;
  /** Somebody waits, or something is staged: the next answer, or the commit, asks again. */
  readonly isBusy: () => boolean;
  /** Cleans up a piece; true while more is left. */
  readonly sweep: () => boolean;
}

export class Sweeper {
  readonly #modules: SweeperModules;
  #isScheduled = false;

  constructor(modules: SweeperModules) {
    this.#modules = modules;
  }

  schedule(): void {
    const { scheduler, isBusy, sweep } = this.#modules;
    if (this.#isScheduled || isBusy()) return;
    this.#isScheduled = true;
    scheduler.defer(() => {
      this.#isScheduled = false;
      if (!isBusy() && sweep()) this.schedule();
    });
  }
}
