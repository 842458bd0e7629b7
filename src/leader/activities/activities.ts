/**
 * All activities of a leader, started and stopped together as the role of this member changes. Told of every change, and
 * of much that is none: only the first of equal calls does something.
 */
import type { ActivityStatus, LeaderActivity } from "./types.ts";

export interface Leadership {
  /** Leads, and has applied an entry of its own term. */
  readonly isLeader: boolean;
  readonly term: number;
}

export class LeaderActivities {
  readonly #activities: LeaderActivity[] = [];
  /** Term in which they run; 0: they do not. */
  #term = 0;
  #isStopped = false;

  /** From then on it is started and stopped with the others. */
  add(activity: LeaderActivity): void {
    this.#activities.push(activity);
    if (this.#term > 0) activity.start(this.#term);
  }

  /** Cheap: called whenever the member has made progress. */
  observe({ isLeader, term }: Leadership): void {
    const wanted = isLeader && !this.#isStopped ? term : 0;
    if (wanted === this.#term) return;
    this.#term = wanted;
    for (const activity of this.#activities) {
      if (wanted === 0) activity.stop();
      else activity.start(wanted);
    }
  }

  /** For good: the node stops. */
  stop(): void {
    this.#isStopped = true;
    this.observe({ isLeader: false, term: 0 });
  }

  find(name: string): LeaderActivity | null {
    return this.#activities.find((activity) => activity.name === name) ?? null;
  }

  status(): readonly ActivityStatus[] {
    return this.#activities.map((activity) => activity.status());
  }
}
