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
export {
  type DueShard,
  type DueTotals,
  type PartitionTimes,
  RetentionCleaner,
  type RetentionForecast,
  type RetentionOptions,
  RetentionPass,
  type RetentionPeriods,
  RetentionPolicy,
  type ShardContent,
  shardTombstone,
  SteadyClock,
} from "./retention/index.ts";
