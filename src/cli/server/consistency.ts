/**
 * Whether this node could serve a consistent read right now (spec raft-and-cluster, 12): asks for a read index as reads
 * do, once a second, and compares it with what is applied here. Health checks look at the newest answer, since they may
 * not wait.
 */
import type { Scheduler } from "../../base/index.ts";
import type { Replica } from "../../replica/index.ts";

/** A round of heartbeats per second is nothing beside those that keep the leader in office. */
const ASK_MS = 1_000;
/** While it is not consistent somebody waits for it to become so. */
const ASK_SOON_MS = 100;
/** An answer older than this says nothing about now: leaders are missed within a second or two. */
const STALE_MS = 3_000;

export interface Lag {
  /** Entries that the newest read index is ahead of the applied index. */
  readonly entries: number;
  /** Entries applied per second since the last look; 0: not known. */
  readonly entriesPerSec: number;
}

export class ConsistencyWatch {
  readonly #replica: Pick<Replica, "confirmIndex" | "status" | "isServing" | "membership">;
  readonly #scheduler: Scheduler;
  #cancel: () => void = () => {};
  #isAsking = false;
  #grantedIndex = 0;
  #grantedAtMs = Number.NEGATIVE_INFINITY;
  #lastApplied = { index: 0, atMs: 0 };
  #entriesPerSec = 0;

  constructor(
    replica: Pick<Replica, "confirmIndex" | "status" | "isServing" | "membership">,
    scheduler: Scheduler,
  ) {
    this.#replica = replica;
    this.#scheduler = scheduler;
    this.#lastApplied.atMs = scheduler.monotonicMs();
  }

  start(): void {
    this.#look();
  }

  stop(): void {
    this.#cancel();
    this.#cancel = () => {};
  }

  /** Would serve a read that begins now without waiting for long. */
  get isConsistent(): boolean {
    if (this.#isAlone()) return this.#replica.isServing;
    return this.#isFresh() && this.#replica.status().appliedIndex >= this.#grantedIndex;
  }

  /** Null: not behind, or not known. */
  get lag(): Lag | null {
    if (this.#isAlone() || !this.#isFresh()) return null;
    const entries = this.#grantedIndex - this.#replica.status().appliedIndex;
    return entries <= 0 ? null : { entries, entriesPerSec: this.#entriesPerSec };
  }

  #isFresh(): boolean {
    return this.#scheduler.monotonicMs() - this.#grantedAtMs < STALE_MS;
  }

  /**
   * The only voter grants its own reads: there is nothing to ask. Not so a leader that is on its way out, which may leave another
   * one as the only voter; nor while the voters of before still decide.
   */
  #isAlone(): boolean {
    const membership = this.#replica.membership?.membership;
    if (membership === undefined || !this.#replica.isServing) return false;
    const { voters, votersOutgoing } = membership;
    const isSole = voters.length === 1 && voters[0] === this.#replica.status().nodeId;
    return isSole && votersOutgoing.length === 0;
  }

  #look(): void {
    this.#measure();
    if (!this.#isAlone()) this.#ask();
    this.#cancel = this.#scheduler.after(this.isConsistent ? ASK_MS : ASK_SOON_MS, () =>
      this.#look(),
    );
  }

  #ask(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#replica.confirmIndex((result) => {
      this.#isAsking = false;
      if (!result.ok) return;
      this.#grantedIndex = result.index;
      this.#grantedAtMs = this.#scheduler.monotonicMs();
    });
  }

  #measure(): void {
    const atMs = this.#scheduler.monotonicMs();
    const { appliedIndex } = this.#replica.status();
    const elapsedMs = atMs - this.#lastApplied.atMs;
    if (elapsedMs < ASK_MS / 2) return;
    this.#entriesPerSec = ((appliedIndex - this.#lastApplied.index) / elapsedMs) * 1_000;
    this.#lastApplied = { index: appliedIndex, atMs };
  }
}
