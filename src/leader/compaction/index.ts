export {
  CompactionCoordinator,
  type CoordinatorModules,
  type CoordinatorStats,
  type PollDone,
  type PollResult,
} from "./coordinator.ts";
export type { DatabasePlace } from "./messages.ts";
export { COORDINATOR_DEFAULTS, type CoordinatorOptions } from "./options.ts";
export { type Planner, ThreadPlanner } from "./planner.ts";
