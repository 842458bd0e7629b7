/** Metrics of the adaptive placement: the reference's names and labels, then ours. */
import type { MetricSpec } from "./types.ts";

const PLACEMENT = "pyroscope_adaptive_placement";

export const PLACEMENT_METRICS: readonly MetricSpec[] = [
  {
    kind: "gauge",
    name: `${PLACEMENT}_rules_last_update_time`,
    help: "Unix time in seconds at which this leader wrote the placement rules last; 0: it has not.",
  },
  {
    kind: "gauge",
    name: `${PLACEMENT}_rules`,
    help: "Datasets with a placement rule; 0 on members that do not lead.",
  },
  {
    kind: "gauge",
    name: `${PLACEMENT}_stats`,
    help: "Rates that the placement keeps, one for each dataset, shard and writer; 0 on members that do not lead.",
  },
  {
    kind: "gauge",
    name: `${PLACEMENT}_dataset_shard_limit`,
    help: "Shards of the busiest datasets by their placement rule; load_balancing is its number: 1 fingerprint, 2 round robin.",
    labels: ["tenant", "dataset", "load_balancing"],
  },
  {
    kind: "gauge",
    name: `${PLACEMENT}_dataset_shard_usage_bytes_per_second`,
    help: "Load of the busiest datasets.",
    labels: ["tenant", "dataset"],
  },
  {
    kind: "gauge",
    name: `${PLACEMENT}_dataset_shard_usage_per_shard_bytes_per_second`,
    help: "Load of the busiest datasets by shard and writer.",
    labels: ["tenant", "dataset", "shard_id", "shard_owner"],
  },
  {
    kind: "gauge",
    name: "hearth_placement_load_bytes_per_second",
    help: "Load of all datasets that the placement knows; 0 on members that do not lead.",
  },
  {
    kind: "counter",
    name: "hearth_placement_blocks_total",
    help: "Blocks that the placement looked at on this node, by what came of them: counted, old (added long after they were made), bad.",
    labels: ["result"],
  },
  {
    kind: "counter",
    name: "hearth_placement_refused_total",
    help: "What the placement had no room for on this node, by kind: sample, dataset.",
    labels: ["kind"],
  },
];
