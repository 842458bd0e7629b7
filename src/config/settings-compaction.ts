/**
 * What compaction begins with: the reference's flags; its keys without a flag are in planner-keys.ts. They count once, when the first policy of a cluster is proposed;
 * from then on the policy is data in the log (hearth compaction policy), so that members cannot differ by their flags.
 */
import type { Setting } from "./types.ts";

const DAY_MS = 86_400_000;

export const COMPACTION_SETTINGS = [
  {
    name: "metastore.compaction-max-failures",
    kind: "integer",
    default: 3,
    min: 0,
    max: 1_000,
    help: "Times a compaction job is handed out anew before nobody gets it any more; 0: no limit. Counts until a policy is set",
  },
  {
    name: "metastore.compaction-job-lease-duration",
    kind: "duration",
    default: 15_000,
    min: 1_000,
    max: DAY_MS,
    help: "Time a worker owns a compaction job without a sign of life. Counts until a policy is set",
  },
  {
    name: "metastore.compaction-max-job-queue-size",
    kind: "integer",
    default: 10_000,
    min: 0,
    max: 1_000_000,
    help: "Compaction jobs in any state; 0: no limit. Counts until a policy is set",
  },
] as const satisfies readonly Setting[];
