/** What operators ask of compaction, in types: the calls behind `hearth job` and `hearth compaction`. */
import type {
  CompactionOverview,
  ControlAction,
  ControlResult,
  JobDetails,
  JobPage,
  JobViewStatus,
  PauseWish,
  PlanView,
  PolicyResultView,
  QueuePage,
} from "../protocol/index.ts";
import type { CallOptions, JsonValue } from "./call-options.ts";

export interface JobListOptions extends CallOptions {
  readonly level?: number;
  /** "" = segments of many tenants. */
  readonly tenant?: string;
  readonly status?: JobViewStatus;
  /** Jobs at most, 1 to 1000. Default: 100. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly after?: string;
}

export interface QueueListOptions extends CallOptions {
  readonly level?: number;
  readonly tenant?: string;
  /** Sums over the shards of a tenant. Default: false. */
  readonly byTenant?: boolean;
  /** Queues at most, 1 to 1000. Default: 100. */
  readonly limit?: number;
}

export interface ControlOptions extends CallOptions {
  /** Kept with the jobs. Default: what a worker said stays. */
  readonly reason?: string;
  /** Says what would happen. Default: false. */
  readonly dryRun?: boolean;
}

export interface PolicyChangeOptions extends CallOptions {
  /** Merge patch of the policy; null goes back to the node's initial value. Default: nothing. */
  readonly set?: { readonly [name: string]: JsonValue };
  readonly pause?: Partial<PauseWish>;
  readonly resume?: Partial<PauseWish>;
  /** Says what the policy would be. Default: false. */
  readonly dryRun?: boolean;
}

/** Reads see every change acknowledged before; changes go through the log, from any member. */
export interface CompactionAdmin {
  /** Policy, levels, jobs by status, workers. */
  status(options?: CallOptions): Promise<CompactionOverview>;
  /** What waits, the longest waiting first. */
  queues(options?: QueueListOptions): Promise<QueuePage>;
  /** Jobs by name, page by page. */
  jobs(options?: JobListOptions): Promise<JobPage>;
  /** One job with its source blocks. Errors: `not_found`. */
  job(name: string, options?: CallOptions): Promise<JobDetails>;
  /** What would happen if a worker asked for `capacity` jobs (32) now. Errors: `failed_precondition` while it is off. */
  preview(options?: CallOptions & { readonly capacity?: number }): Promise<PlanView>;
  /**
   * retry: handed out anew, its failures forgotten; whoever has it loses it. quarantine: kept and not handed out.
   * cancel: ended without a result, its blocks wait and are queued again. Errors: `not_found` when there is none of them.
   */
  control(
    action: ControlAction,
    names: readonly string[],
    options?: ControlOptions,
  ): Promise<ControlResult>;
  /** Changes the policy, pauses, resumes. Errors: `invalid_argument` with every problem of what it would be. */
  changePolicy(options: PolicyChangeOptions): Promise<PolicyResultView>;
}
