/** What the main thread publishes to its reader threads: the real shared words, with waiting in virtual time. */

import type { PublishedState } from "../../src/replica/index.ts";
import { SharedState } from "../../src/read/index.ts";
import type { ReadProgress } from "../../src/service/index.ts";
import { EVENT, type EventLoop, type Life } from "./event-loop.ts";

/** A futex wake-up takes this long, us. */
const WAKE_US = 20;

export class SimProgress implements ReadProgress {
  readonly #shared = SharedState.create();
  readonly #loop: EventLoop;
  readonly #where: { readonly place: number; readonly life: Life };
  #waiting: (() => void)[] = [];

  constructor(loop: EventLoop, where: { place: number; life: Life }) {
    this.#loop = loop;
    this.#where = where;
  }

  publish(state: PublishedState): void {
    this.#shared.publish(state);
    if (this.#waiting.length === 0) return;
    const woken = this.#waiting;
    this.#waiting = [];
    this.#loop.at(this.#loop.nowUs + WAKE_US, { ...this.#where, kind: EVENT.worker }, () => {
      this.#loop.hasResolved = true;
      for (const wake of woken) wake();
    });
  }

  get term(): number {
    return this.#shared.term;
  }

  get appliedIndex(): number {
    return this.#shared.appliedIndex;
  }

  get isLeader(): boolean {
    return this.#shared.isLeader;
  }

  get wakeCount(): number {
    return this.#shared.wakeCount;
  }

  tryGrantRead(): number {
    return this.#shared.tryGrantRead();
  }

  waitForPublish(seenWakeCount: number): Promise<void> {
    this.#loop.hasResolved = true;
    if (this.wakeCount !== seenWakeCount) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
