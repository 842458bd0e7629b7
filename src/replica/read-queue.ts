/** Reads that wait for a read index, in the order of their ids. */

import { assert, type HearthError } from "../base/index.ts";
import type { ReadGrant } from "../raft/index.ts";
import type { ReadIndexDone, ReplicaStats } from "./types.ts";

interface Read {
  readonly done: ReadIndexDone;
  /** Whoever asked is about to look at the state. */
  readonly looksAtState: boolean;
}

interface WaitingRead extends Read {
  /** Ticks of the queue when it came. */
  readonly sinceTick: number;
}

export class ReadQueue {
  readonly #stats: Pick<ReplicaStats, "readsPerRound">;
  readonly #showState: () => boolean;
  readonly #waiting: WaitingRead[] = [];
  /** What the core has granted and nobody was told yet, oldest first. */
  readonly #grants: ReadGrant[] = [];
  /** Id of the first one that waits. */
  #firstId = 1;
  #ticks = 0;

  /** `showState`: makes visible what is applied; false where that takes a moment, behind which `giveOut` is called. */
  constructor(stats: Pick<ReplicaStats, "readsPerRound">, showState: () => boolean) {
    this.#stats = stats;
    this.#showState = showState;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Returns the local id under which the core knows the read. */
  push({ done, looksAtState }: Read): number {
    this.#waiting.push({ done, looksAtState, sinceTick: this.#ticks });
    return this.#firstId + this.#waiting.length - 1;
  }

  /** Tells those who were waiting for it; whoever is about to look at the state shall find what he was granted. */
  grant(grant: ReadGrant): void {
    this.#grants.push(grant);
    this.giveOut();
  }

  /** Tells whom it can, in the order of their ids. */
  giveOut(): void {
    for (let grant = this.#grants[0]; grant !== undefined; grant = this.#grants[0]) {
      const count = grant.throughId - this.#firstId + 1;
      assert(count <= this.#waiting.length, `Read ${grant.throughId} was granted, but never asked`);
      const looks = this.#waiting.slice(0, Math.max(0, count)).some((read) => read.looksAtState);
      if (looks && !this.#showState()) return;
      // Whoever made it visible may have called this already.
      if (this.#grants[0] !== grant) continue;
      this.#grants.shift();
      if (count > 0) this.#tell(grant, count);
    }
  }

  #tell({ index, term }: ReadGrant, count: number): void {
    for (const { done } of this.#take(count)) done({ ok: true, index, term });
    this.#stats.readsPerRound.add(count);
  }

  /** Time goes on. */
  onTick(): void {
    this.#ticks += 1;
  }

  /**
   * Refuses those that have waited for at least `ticksMin` whole ticks; returns how many. The core goes on with their
   * ids: a grant that covers them finds nobody. Cost: one look where none is due.
   */
  refuseOlder(ticksMin: number, error: () => HearthError): number {
    // One tick more: the first one it saw may have come right behind it.
    const isDue = ({ sinceTick }: WaitingRead): boolean => this.#ticks - sinceTick > ticksMin;
    const firstYoung = this.#waiting.findIndex((read) => !isDue(read));
    const count = firstYoung === -1 ? this.#waiting.length : firstYoung;
    if (count > 0) this.#refuse(count, error());
    return count;
  }

  failAll(error: HearthError): void {
    this.#refuse(this.#waiting.length, error);
  }

  #refuse(count: number, error: HearthError): void {
    for (const { done } of this.#take(count)) done({ ok: false, error });
  }

  /** Out of the queue before anybody is told: who is told may ask again. */
  #take(count: number): WaitingRead[] {
    this.#firstId += count;
    return this.#waiting.splice(0, count);
  }
}
