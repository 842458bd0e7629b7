/** Metrics of the object store and of what only a leader does. */
import { type MetricSpec, REQUEST_SECONDS_BUCKETS } from "./types.ts";

export const DUTIES: readonly MetricSpec[] = [
  {
    kind: "counter",
    name: "objstore_bucket_operations_total",
    help: "Operations on the object store, failed ones included; a page of a list is one.",
    labels: ["operation", "bucket"],
  },
  {
    kind: "counter",
    name: "hearth_storage_failures_total",
    help: "Operations on the object store that failed, by operation and reason.",
    labels: ["operation", "reason"],
  },
  {
    kind: "histogram",
    name: "hearth_storage_operation_duration_seconds",
    help: "Time of an operation on the object store, by operation.",
    labels: ["operation"],
    buckets: REQUEST_SECONDS_BUCKETS,
  },
  {
    kind: "gauge",
    name: "hearth_activity_active",
    help: "1 while this node leads and runs the activity, by activity.",
    labels: ["activity"],
  },
  {
    kind: "gauge",
    name: "hearth_activity_last_run_timestamp_seconds",
    help: "Unix time at which the newest run of the activity on this node began; 0: none.",
    labels: ["activity"],
  },
  {
    kind: "gauge",
    name: "hearth_activity_last_duration_seconds",
    help: "How long the newest run of the activity on this node took.",
    labels: ["activity"],
  },
  {
    kind: "gauge",
    name: "hearth_activity_failures_in_row",
    help: "Runs of the activity on this node that failed since the last one that went well.",
    labels: ["activity"],
  },
  {
    kind: "counter",
    name: "hearth_activity_runs_total",
    help: "Runs of the leader's activities on this node, by activity and outcome.",
    labels: ["activity", "outcome"],
  },
  {
    kind: "gauge",
    name: "hearth_retention_last_pass_timestamp_seconds",
    help: "Unix time of the newest retention pass on this node that went well; 0: none.",
  },
  {
    kind: "counter",
    name: "hearth_retention_removed_shards_total",
    help: "Shards that retention took out of the index of this node since the start.",
  },
  {
    kind: "counter",
    name: "hearth_retention_removed_blocks_total",
    help: "Blocks in the shards that retention took out of the index of this node since the start.",
  },
  {
    kind: "counter",
    name: "hearth_retention_kept_shards_total",
    help: "Shards that stayed, because newer data came in between the decision and its log entry.",
  },
  {
    kind: "counter",
    name: "pyroscope_metastore_dlq_recovery_attempts_total",
    help: "Dead letters looked at by this node, by what came of them; unsettled ones are too young to be judged, those of deleted tenants are deleted.",
    labels: ["status"],
  },
  {
    kind: "gauge",
    name: "hearth_tenants_hidden",
    help: "Tenants of which no answer shows anything, as their deletion was asked for and their name is not open again.",
  },
  {
    kind: "gauge",
    name: "hearth_tenant_deletions",
    help: "Deletions of tenants that are remembered, by state; open ones are over.",
    labels: ["state"],
  },
  {
    kind: "counter",
    name: "hearth_tenant_deleted_objects_total",
    help: "Objects of deleted tenants that this node has deleted from the bucket.",
  },
  {
    kind: "counter",
    name: "hearth_tenant_deleted_bytes_total",
    help: "Bytes of the objects of deleted tenants that this node has deleted from the bucket.",
  },
  {
    kind: "counter",
    name: "hearth_tenant_late_blocks_total",
    help: "Results of compaction that were not taken, as their tenant is deleted.",
  },
  {
    kind: "gauge",
    name: "hearth_dlq_entries",
    help: "Dead letters that the newest sweep of this node left.",
  },
  {
    kind: "gauge",
    name: "hearth_dlq_oldest_age_seconds",
    help: "How long the oldest dead letter that the newest sweep of this node left has been in the bucket.",
  },
  {
    kind: "gauge",
    name: "hearth_dlq_quarantined_entries",
    help: "Dead letters put aside below dlq-quarantine/, as far as this node has counted them.",
  },
];
