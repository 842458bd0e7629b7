/**
 * Compaction jobs and the plans that change them, as plain values (schemas/command.fbs). What they mean:
 * src/state/compaction/DESIGN.md.
 */

import type { CompactedBlocks, Tombstone } from "./types.ts";

/** Numbers of the contract; `quarantined` is ours: kept, but never handed out. */
export const JOB_STATUS = { unassigned: 0, inProgress: 1, success: 2, quarantined: 3 } as const;

/** How far a job is. */
export interface JobState {
  readonly name: string;
  readonly level: number;
  /** One of JOB_STATUS. */
  readonly status: number;
  /** Fencing token; only grows over the assignments of a job. */
  readonly token: number;
  /** Until when its owner keeps it without a word, Unix ms; 0: never assigned. */
  readonly leaseExpiresAtMs: number;
  readonly addedAtMs: number;
  /** How often it was taken from an owner. */
  readonly failures: number;
  /** The worker that has it or had it last; "". */
  readonly owner: string;
  /** Why it failed last, in the worker's words; "". */
  readonly reason: string;
}

/** What has to be done. Never changes. */
export interface JobPlan {
  readonly name: string;
  /** "" = segments of many tenants. */
  readonly tenant: string;
  readonly shard: number;
  readonly level: number;
  /** Ids in text form, in job order. */
  readonly sourceBlocks: readonly string[];
  readonly tombstones: readonly Tombstone[];
}

export interface NewJob {
  readonly state: JobState;
  readonly plan: JobPlan;
}

export interface FinishedJob {
  readonly state: JobState;
  /** null: the worker found nothing to do. */
  readonly compacted: CompactedBlocks | null;
}

/** A block by its place. */
export interface BlockRef {
  readonly tenant: string;
  readonly shard: number;
  readonly id: string;
  /** When a block that waits to be queued again is due, Unix ms; 0: it does not wait. */
  readonly dueAtMs: number;
}

/** What one poll of a worker got, by positions in the lists of the plan. */
export interface PollRecord {
  readonly worker: string;
  readonly requestId: number;
  /** In `updatedJobs`: of plans of version 1. */
  readonly updated: readonly number[];
  readonly assigned: readonly number[];
  readonly refreshed: readonly number[];
}

/** One change of queue and jobs, decided by the leader. */
export interface PlanUpdate {
  readonly term: number;
  readonly revision: number;
  /** Log time of the preparation, Unix ms: leases and ages count from it. */
  readonly nowMs: number;
  readonly newJobs: readonly NewJob[];
  readonly assignedJobs: readonly JobState[];
  readonly updatedJobs: readonly JobState[];
  readonly completedJobs: readonly FinishedJob[];
  readonly evictedJobs: readonly JobState[];
  readonly requeued: readonly BlockRef[];
  readonly orphans: readonly BlockRef[];
  readonly polls: readonly PollRecord[];
  /** Names of jobs in progress whose leases go on; nothing else about them changes. Empty in plans of version 1. */
  readonly refreshed: readonly string[];
  /** Until when, Unix ms. */
  readonly refreshedUntilMs: number;
}

export const CONTROL_ACTION = { retry: 1, quarantine: 2, cancel: 3 } as const;

export type ControlAction = keyof typeof CONTROL_ACTION;

export interface ControlJobs {
  readonly action: ControlAction;
  readonly names: readonly string[];
  readonly reason: string;
}
