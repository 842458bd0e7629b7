/**
 * When a member takes its next snapshot. Every member decides for itself: nothing of it is in the log.
 *
 * One is due when any of these holds:
 * - somebody asked, or a peer needs one and the newest is damaged;
 * - `snapshotLogBytes` were applied since the last one: bounds the log, and what a start replays;
 * - `snapshotThreshold` entries were, and a random time between one and two `snapshotIntervalMs` has passed, so that
 *   the members of a cluster do not all do it at once (spec raft-and-cluster, 15.1).
 *
 * The last two leave a pause of `snapshotRestRatio` times what the last one took, so that a state that takes minutes is
 * not written all the time.
 */

import type { Scheduler } from "../base/index.ts";
import type { RandomU32 } from "../raft/index.ts";
import type { ReplicaOptions } from "./options.ts";

export interface ScheduleModules {
  readonly scheduler: Scheduler;
  readonly random: RandomU32;
}

const U32_RANGE = 0x1_0000_0000;

export class SnapshotSchedule {
  readonly #options: ReplicaOptions;
  readonly #modules: ScheduleModules;
  #bytes = 0;
  #entries = 0;
  #isWanted = false;
  #startedAtMs: number;
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #intervalUntilMs = Number.POSITIVE_INFINITY;

  constructor(options: ReplicaOptions, modules: ScheduleModules) {
    this.#options = options;
    this.#modules = modules;
    this.#startedAtMs = modules.scheduler.monotonicMs();
    this.#drawInterval(this.#startedAtMs);
  }

  get isDue(): boolean {
    if (this.#isWanted) return true;
    const { snapshotLogBytes, snapshotThreshold, snapshotIntervalMs, snapshotRestRatio } =
      this.#options;
    const hasBytes = this.#bytes >= snapshotLogBytes;
    const mayHaveTime = snapshotIntervalMs > 0 && this.#entries >= snapshotThreshold;
    if (!hasBytes && !mayHaveTime) return false;
    if (snapshotIntervalMs === 0 && snapshotRestRatio === 0) return hasBytes;
    const nowMs = this.#modules.scheduler.monotonicMs();
    return nowMs >= this.#restUntilMs && (hasBytes || nowMs >= this.#intervalUntilMs);
  }

  noteApplied(entries: number, bytes: number): void {
    this.#entries += entries;
    this.#bytes += bytes;
  }

  /** The next one waits for nothing. */
  want(): void {
    this.#isWanted = true;
  }

  started(): void {
    this.#isWanted = false;
    this.#restart();
    this.#startedAtMs = this.#modules.scheduler.monotonicMs();
  }

  /** Taken or given up. */
  ended(): void {
    const nowMs = this.#modules.scheduler.monotonicMs();
    const tookMs = nowMs - this.#startedAtMs;
    this.#restUntilMs = nowMs + this.#options.snapshotRestRatio * tookMs;
    this.#drawInterval(nowMs);
  }

  /** A snapshot of a peer has taken the place of the state. */
  installed(): void {
    this.#restart();
  }

  #restart(): void {
    this.#bytes = 0;
    this.#entries = 0;
  }

  #drawInterval(nowMs: number): void {
    const { snapshotIntervalMs } = this.#options;
    if (snapshotIntervalMs === 0) return;
    const factor = 1 + this.#modules.random() / U32_RANGE;
    this.#intervalUntilMs = nowMs + factor * snapshotIntervalMs;
  }
}
