/**
 * What operators see of compaction, and what they ask for: JSON of the operations 21 to 27. Every field is always there,
 * with its unit in its name; times are Unix ms of the log, durations ms.
 */

import type { ControlAction } from "../command/plan-types.ts";
import type { CompactionPolicy } from "../command/policy-types.ts";

/** `exhausted` and `quarantined` are not handed out: the metric counts both as failed. */
export const JOB_VIEW_STATUSES = [
  "unassigned",
  "assigned",
  "reassigned",
  "exhausted",
  "quarantined",
] as const;
export type JobViewStatus = (typeof JOB_VIEW_STATUSES)[number];

export interface JobView {
  readonly name: string;
  /** Owner of the blocks; "" = segments of many tenants. */
  readonly tenant: string;
  readonly shard: number;
  readonly level: number;
  readonly status: JobViewStatus;
  /** Source blocks. */
  readonly blocks: number;
  readonly tombstones: number;
  /** Fencing token. */
  readonly token: number;
  /** What is left of the lease, ms; 0: it is over; null: there is none. */
  readonly leaseMs: number | null;
  /** How often it was taken from a worker. */
  readonly failures: number;
  /** Who has it, or had it last; null: nobody yet. */
  readonly worker: string | null;
  /** The last line of why it failed, or was set aside; null: nothing was said. */
  readonly reason: string | null;
  readonly addedAtMs: number;
}

export interface JobDetails extends JobView {
  /** Why it failed each time, numbered, and what operators said: the last four lines, oldest first. */
  readonly reasons: readonly string[];
  readonly sourceBlocks: readonly string[];
  /** Tombstones that it carries out, by name. */
  readonly tombstoneNames: readonly string[];
}

export interface JobFilter {
  readonly level: number | null;
  readonly tenant: string | null;
  readonly status: JobViewStatus | null;
  /** Jobs at most. */
  readonly limit: number;
  /** Go on after this name; "": from the beginning. */
  readonly after: string;
}

export interface JobPage {
  /** By name. */
  readonly jobs: readonly JobView[];
  /** Name to go on after; null: these were the last. */
  readonly next: string | null;
  /** Jobs in any state. */
  readonly total: number;
}

export interface LevelView {
  readonly level: number;
  readonly maxBlocks: number;
  /** 0: never by age. */
  readonly maxAgeMs: number;
  readonly isPaused: boolean;
  /** Blocks that wait, in batches or not yet in one. */
  readonly queuedBlocks: number;
  /** Owners and shards that they belong to. */
  readonly queues: number;
  /** Full or old batches, which the next plans make jobs of. */
  readonly batches: number;
  /** Since when the oldest batch has a block; null: nothing waits. */
  readonly oldestAtMs: number | null;
  /** Jobs by status; those that are quarantined are of no level here. */
  readonly unassigned: number;
  readonly assigned: number;
  readonly reassigned: number;
  readonly exhausted: number;
}

export interface CompactionOverview {
  /** Null: compaction is off; the first poll of a worker turns it on. */
  readonly policy: CompactionPolicy | null;
  readonly levels: readonly LevelView[];
  readonly jobs: number;
  readonly quarantined: number;
  /** Blocks that wait to be queued again after their job ended without a result. */
  readonly parkedBlocks: number;
  /** Results known to be in the object store only. */
  readonly orphans: number;
  /** Heard of last, newest first. */
  readonly workers: readonly WorkerView[];
  /** There is more than was counted. */
  readonly isCut: boolean;
}

export interface WorkerView {
  readonly name: string;
  /** When its last poll that changed something was planned. */
  readonly seenAtMs: number;
}

export interface QueueView {
  readonly tenant: string;
  /** Null: all of the tenant's. */
  readonly shard: number | null;
  readonly level: number;
  readonly blocks: number;
  readonly batches: number;
  /** Since when its oldest batch has a block. */
  readonly oldestAtMs: number;
  /** When that batch is old enough to be a job whatever its size; null: only its size counts. */
  readonly dueAtMs: number | null;
  readonly isPaused: boolean;
}

export interface QueueFilter {
  readonly level: number | null;
  readonly tenant: string | null;
  /** Sum over the shards of a tenant. */
  readonly byTenant: boolean;
  readonly limit: number;
}

export interface QueuePage {
  /** Longest waiting first. */
  readonly queues: readonly QueueView[];
  /** Queues that the filter lets through. */
  readonly total: number;
  readonly isCut: boolean;
}

export interface PlannedJobView {
  readonly name: string;
  readonly tenant: string;
  readonly shard: number;
  readonly level: number;
  readonly sourceBlocks: readonly string[];
  readonly tombstones: number;
}

export interface HandedOutView {
  readonly name: string;
  readonly tenant: string;
  readonly level: number;
  /** After this assignment. */
  readonly failures: number;
  /** Who lost it; null: nobody has had it. */
  readonly takenFrom: string | null;
}

export interface PlanView {
  /** Jobs that exist and would be handed out. */
  readonly assigned: readonly HandedOutView[];
  /** Jobs that would be made; a later plan hands them out. */
  readonly created: readonly PlannedJobView[];
  /** Exhausted jobs that would be given up, by name; their blocks are queued again. */
  readonly evicted: readonly string[];
  /** Blocks that would be queued again after their job ended without a result. */
  readonly requeuedBlocks: number;
}

/** What is asked of jobs. */
export interface ControlWish {
  readonly action: ControlAction;
  /** One to a thousand. */
  readonly names: readonly string[];
  /** Kept with the jobs, in words; "": what a worker said stays. */
  readonly reason: string;
  /** Says what would happen, and changes nothing. */
  readonly dryRun: boolean;
}

export interface ControlResult {
  readonly dryRun: boolean;
  /** Something was changed, or would be. */
  readonly changed: boolean;
  /** Where the change stands in the log; null: there is none. */
  readonly logIndex: number | null;
  readonly term: number | null;
  /** As they were before. */
  readonly jobs: readonly JobView[];
  /** Names that no job has. */
  readonly missing: readonly string[];
}

/** A change of the policy: what it says and where it may be null is in src/state/compaction/policy-change.ts. */
export interface PolicyWish {
  readonly set: Readonly<Record<string, unknown>>;
  readonly pause: PauseWish;
  readonly resume: PauseWish;
  readonly dryRun: boolean;
}

export interface PauseWish {
  readonly levels: readonly number[];
  /** "" stands for segments of many tenants. */
  readonly tenants: readonly string[];
}

export interface PolicyResultView {
  readonly dryRun: boolean;
  readonly changed: boolean;
  readonly logIndex: number | null;
  readonly term: number | null;
  /** Null: there was none. */
  readonly before: CompactionPolicy | null;
  readonly after: CompactionPolicy;
}
