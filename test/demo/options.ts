/** The command line of `npm run demo:compaction`. */

import { parseCommandLine, wholeNumber } from "../support/command-line.ts";

export interface DemoOptions {
  /** How long segments are written. */
  readonly minutes: number;
  readonly segmentsPerMin: number;
  readonly shardCount: number;
  readonly workerCount: number;
  /** How long a job takes. */
  readonly workMs: number;
  /** Kill -9 of the node in the middle. */
  readonly kill: boolean;
  /** Workers ask at this interval instead of being told; 0: they are told. */
  readonly pollIntervalMs: number;
  /** How long a segment waits for others to be compacted with, ms; null: as nodes have it by themselves. */
  readonly segmentMaxAgeMs: number | null;
  /** Every block has an object in the bucket; at the end index and bucket are compared. */
  readonly objects: boolean;
  readonly seed: number;
  /** Where the plot goes; null: beside the results of the benchmarks. */
  readonly plot: string | null;
}

export const USAGE = `npm run demo:compaction -- [options]: a node, workers, and segments as writers send them
  --minutes N      how long segments are written, 3; parts of a minute are fine
  --rate N         segments per minute, 2000
  --shards N       shards they are of, 8
  --workers N      simulated compaction workers, 3
  --work-ms N      how long a job takes, 500
  --kill           kill -9 the node in the middle
  --poll-ms N      workers ask every N ms instead of being told when jobs are there
  --max-age-ms N   how long a segment waits for others to be compacted with; as nodes have it
  --objects        blocks have objects, which tombstones delete; at the end an index is made from them and compared
  --seed N         what is drawn, 1
  --plot FILE      the plot, bench/results/compaction-demo.svg`;

/** Errors: throws with a sentence for a value that makes no sense. */
export function parseOptions(argv: readonly string[]): DemoOptions | null {
  const parsed = parseCommandLine(
    {
      minutes: { type: "string", default: "3" },
      rate: { type: "string", default: "2000" },
      shards: { type: "string", default: "8" },
      workers: { type: "string", default: "3" },
      "work-ms": { type: "string", default: "500" },
      kill: { type: "boolean", default: false },
      "poll-ms": { type: "string", default: "0" },
      "max-age-ms": { type: "string" },
      objects: { type: "boolean", default: false },
      seed: { type: "string", default: "1" },
      plot: { type: "string" },
    },
    argv,
  );
  if (parsed === null) return null;
  const { values } = parsed;
  const minutes = Number(values.minutes);
  // Tombstones tell what was compacted, and leave the store after a quarter of an hour.
  if (!(minutes > 0 && minutes <= 10))
    throw new Error(`--minutes is "${values.minutes}", must be more than 0 and at most 10`);
  return {
    minutes,
    segmentsPerMin: wholeNumber("rate", values.rate, 1, 100_000),
    shardCount: wholeNumber("shards", values.shards, 1, 64),
    workerCount: wholeNumber("workers", values.workers, 1, 16),
    workMs: wholeNumber("work-ms", values["work-ms"], 0, 10_000),
    kill: values.kill,
    pollIntervalMs: wholeNumber("poll-ms", values["poll-ms"], 0, 60_000),
    segmentMaxAgeMs:
      values["max-age-ms"] === undefined
        ? null
        : wholeNumber("max-age-ms", values["max-age-ms"], 1, 60_000),
    objects: values.objects,
    seed: wholeNumber("seed", values.seed, 0, 2 ** 31),
    plot: values.plot ?? null,
  };
}
