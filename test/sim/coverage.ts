/**
 * How often each fault, feature and interesting state was met. A run (all its seeds together) in which one of these
 * stayed at zero has not tested what it claims, and fails.
 */

/** Counters that every run of the default profile must raise. */
const COUNTERS = [
  // Faults.
  "crash",
  "powerLoss",
  "restart",
  "pause",
  "diskLoss",
  "messageLost",
  "messageDuplicated",
  "messageReordered",
  "linkClogged",
  "partition",
  "partitionOneWay",
  "connectionLost",
  "queueOverflow",
  "diskSlow",
  "diskStalled",
  "diskError",
  "diskFull",
  "tornWrite",
  "lostWrite",
  "bitFlip",
  "clockRate",
  "clockJump",
  "stall",
  // Features.
  "election",
  "commit",
  "transferAsked",
  "transferDone",
  "addLearner",
  "promote",
  "demote",
  "remove",
  "readdress",
  "jointEntered",
  "jointLeft",
  "leaderRemoved",
  "snapshotTaken",
  "snapshotInstalled",
  "logCut",
  "segmentReused",
  "writeInPlace",
  "writeQueued",
  "stagedAhead",
  "aheadAbandoned",
  "aheadTakenBack",
  "suffixCut",
  "indexRebuilt",
  "codecSampled",
  "proposalRefused",
  "stepDown",
  // Clients.
  "writeAcknowledged",
  "writeUnknown",
  "sessionRetry",
  "sessionDuplicate",
  "sessionOpened",
  "sessionRefused",
  "readLeader",
  "readFollower",
  "readOverLine",
  "readOverLineRound",
  "readLineFailed",
  "readParked",
  "readRefused",
  "readLeaderless",
  "blindChecked",
  // Checks that had something to look at.
  "promiseChecked",
  "recoveryChecked",
  "checksumCompared",
] as const;
export type Counter = (typeof COUNTERS)[number] | LivenessCounter;

/** Raised by the liveness phase alone. */
const LIVENESS_COUNTERS = ["livenessChecked", "livenessBrokenRest"] as const;
type LivenessCounter = (typeof LIVENESS_COUNTERS)[number];

export class Coverage {
  readonly counts: Record<Counter, number>;

  constructor() {
    const counts = {} as Record<Counter, number>;
    for (const name of [...COUNTERS, ...LIVENESS_COUNTERS]) counts[name] = 0;
    this.counts = counts;
  }

  hit(counter: Counter, times = 1): void {
    this.counts[counter] += times;
  }

  add(other: Readonly<Record<string, number>>): void {
    for (const name of Object.keys(this.counts) as Counter[]) this.counts[name] += other[name] ?? 0;
  }

  /** Names that were never met, of those that a run with or without a liveness phase is to meet. */
  missing(hasLiveness: boolean): string[] {
    const expected: readonly Counter[] = hasLiveness
      ? [...COUNTERS, ...LIVENESS_COUNTERS]
      : COUNTERS;
    return expected.filter((name) => this.counts[name] === 0);
  }
}
