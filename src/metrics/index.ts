export { METRIC_CATALOG } from "./catalog.ts";
export { COMMAND_BYTES_BUCKETS, STATE_SECONDS_BUCKETS } from "./catalog-reference.ts";
export { SERIES_MAX_COUNT } from "./family.ts";
export {
  type CollectCallback,
  type Exposition,
  MetricRegistry,
  type MetricRegistryOptions,
} from "./registry.ts";
export { COMPACTION_JOB_BUCKETS } from "./catalog-compaction.ts";
export { Tally } from "./tally.ts";
export {
  COUNT_BUCKETS,
  DEFAULT_SECONDS_BUCKETS,
  FINE_SECONDS_BUCKETS,
  type Labels,
  type MetricSpec,
  REQUEST_SECONDS_BUCKETS,
  type ThreadSeries,
} from "./types.ts";
