export { LeaderActivities, type Leadership } from "./activities.ts";
export {
  failedBy,
  PeriodicActivity,
  type PeriodicModules,
  type PeriodicOptions,
} from "./periodic.ts";
export {
  ACTIVITY_OUTCOME,
  type ActivityOutcome,
  type ActivityResult,
  type ActivityRun,
  type ActivityStatus,
  type LeaderActivity,
} from "./types.ts";
