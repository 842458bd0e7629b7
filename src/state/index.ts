export { type ApplyResult, StateMachine, type StateModules } from "./apply.ts";
export type { LevelTotals } from "./compaction/block-queue.ts";
export { CompactionState } from "./compaction/compaction-state.ts";
export {
  type ListedBatch,
  type ListedKey,
  listFlushed,
  listJobs,
  listKeys,
  listStaged,
} from "./compaction/inspect.ts";
export { jobName } from "./compaction/job-name.ts";
export { readJobPlan, readJobState } from "./compaction/job-rows.ts";
export type { JobTotals } from "./compaction/job-store.ts";
export { readPolicy, readPolicyText } from "./compaction/meta.ts";
export { workerOf } from "./compaction/owners.ts";
export { listOrphans, listParked } from "./compaction/parked.ts";
export {
  COMPACTION_DEFAULTS,
  type CompactionPolicy,
  parsePolicy,
  type PolicyResult,
} from "./compaction/policy.ts";
export {
  type Assignment,
  type Poll,
  type PollAnswer,
  prepare,
  type Prepared,
  type ReportCounts,
  type PrepareOptions,
} from "./compaction/prepare.ts";
export { changePolicy, type PolicyChangeResult } from "./compaction/policy-change.ts";
export { compactionOverview, listQueueViews } from "./compaction/views/backlog-views.ts";
export { listJobViews, readJobDetails } from "./compaction/views/job-views.ts";
export { planView } from "./compaction/views/plan-view.ts";
export { findStrays, type StrayCursor } from "./compaction/strays.ts";
export { listWorkers } from "./compaction/workers.ts";
export { OUTCOME } from "./commands.ts";
export { type CounterField, Counters } from "./counters.ts";
export {
  deletionView,
  readDeletion,
  readDeletions,
  type StoredDeletion,
} from "./deletions/rows.ts";
export { partitionStartOf } from "./index/block-index.ts";
export { PARTITION_SEC, STATE_LIMITS } from "./limits.ts";
export { REJECTIONS, type Rejection, StateMetrics } from "./metrics.ts";
export {
  STATE_CHECK_DEFAULTS,
  type StateCheckModules,
  StateChecks,
} from "./checks/state-checks.ts";
export type { Divergence } from "./checks/tally.ts";
export type { ImageErrorReason } from "./snapshot/errors.ts";
export {
  COMPRESSIONS,
  type Compression,
  IMAGE_DEFAULTS,
  type ImageOptions,
} from "./snapshot/options.ts";
export type { ImageSource } from "./snapshot/image-source.ts";
export { StateSnapshots, type StateSnapshotModules } from "./snapshot/state-snapshots.ts";
export { STATE_DEFAULTS, type StateOptions } from "./options.ts";
export { type ListedTombstone, listTombstones, tombstoneExists } from "./tombstones/read.ts";
export { type StoredTombstone, tombstoneName } from "./tombstones/rows.ts";
export { VERIFY_PROBLEMS_MAX } from "./verify/problems.ts";
export { verifyIndex, type VerifyReport } from "./verify/verify-index.ts";
