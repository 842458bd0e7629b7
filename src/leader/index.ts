export {
  CompactionCoordinator,
  COORDINATOR_DEFAULTS,
  type CoordinatorStats,
  ThreadPlanner,
} from "./compaction/index.ts";
