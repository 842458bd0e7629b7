/** Settings of the coordinator of compaction. */

import { COMPACTION_DEFAULTS, type CompactionPolicy } from "../../state/index.ts";

export interface CoordinatorOptions {
  /** What the first worker turns compaction on with. */
  readonly initialPolicy: CompactionPolicy;
  /** Polls that may wait for a plan. Over it they are refused. */
  readonly waitingPollsMax: number;
  /** Bytes of polls that are planned together; one poll may be larger. A plan is one log entry. */
  readonly roundMaxBytes: number;
  /** A plan that was overtaken is made again so often. */
  readonly attemptsMax: number;
  /** How long a poll may wait for a job at most, ms. */
  readonly waitMaxMs: number;
  /** How often it is looked whether waiting polls can be given something, ms: what a new job waits for its worker. */
  readonly lookMs: number;
  /** How often they are planned even if nothing seems to have happened, ms: leases end and batches grow old. */
  readonly replanMs: number;
  /** Pause between searches for blocks that compaction does not know, ms. */
  readonly straySearchMs: number;
}

export const COORDINATOR_DEFAULTS: CoordinatorOptions = {
  initialPolicy: COMPACTION_DEFAULTS,
  // 64 workers with a poll each in flight are usual.
  waitingPollsMax: 4_096,
  roundMaxBytes: 4 * 1024 * 1024,
  attemptsMax: 5,
  waitMaxMs: 60_000,
  // A comparison of two numbers: cheap enough for 50 times a second.
  lookMs: 20,
  replanMs: 1_000,
  straySearchMs: 3_600_000,
};
