export {
  ACTIVITY_OUTCOME,
  type ActivityOutcome,
  type ActivityResult,
  type ActivityRun,
  type ActivityStatus,
  failedBy,
  type LeaderActivity,
  LeaderActivities,
  type Leadership,
  PeriodicActivity,
  type PeriodicModules,
  type PeriodicOptions,
} from "./activities/index.ts";
export { BUCKET_WATCH, watchBucket } from "./bucket-watch.ts";
export {
  CompactionCoordinator,
  COORDINATOR_DEFAULTS,
  type CoordinatorStats,
  ThreadPlanner,
} from "./compaction/index.ts";
