/**
 * Who leads, as main said last, and the sessions of this thread that want to hear when that changes. Held here, so that a
 * hello costs main no question.
 */

import { ByteSink, encodeLeaderNotice, type LeaderNotice } from "../protocol/index.ts";

export interface LeaderListener {
  /** `payload` is borrowed. */
  leaderChanged(payload: Uint8Array): void;
}

export class LeaderNews {
  readonly #listeners = new Set<LeaderListener>();
  readonly #payload = new ByteSink();
  #leader: LeaderNotice | null;

  constructor(leader: LeaderNotice | null) {
    this.#leader = leader;
  }

  /** Null: main knows of none. */
  get leader(): LeaderNotice | null {
    return this.#leader;
  }

  /** Main's word. That nobody leads is no news: peers go on as they can until somebody does. */
  tell(leader: LeaderNotice | null): void {
    this.#leader = leader;
    if (leader === null) return;
    this.#payload.reset();
    encodeLeaderNotice(this.#payload, leader);
    const payload = this.#payload.view();
    // A peer that takes no more is closed by it, which takes it out.
    for (const listener of [...this.#listeners]) listener.leaderChanged(payload);
  }

  add(listener: LeaderListener): void {
    this.#listeners.add(listener);
  }

  remove(listener: LeaderListener): void {
    this.#listeners.delete(listener);
  }
}
