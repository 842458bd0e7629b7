export {
  RetentionCleaner,
  type RetentionForecast,
  type RetentionModules,
  type RetentionOptions,
} from "./cleaner.ts";
export {
  type DueShard,
  type DueTotals,
  type PartitionTimes,
  RetentionPass,
  type ShardContent,
} from "./pass.ts";
export { type RetentionPeriods, RetentionPolicy } from "./policy.ts";
export { shardTombstone } from "./shard-name.ts";
export { SteadyClock } from "./steady-clock.ts";
