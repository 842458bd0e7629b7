/**
 * The metrics of a node, as data. Names, labels and buckets of the reference stay exact (spec raft-and-cluster, 14);
 * ours begin with `hearth_` (ux, 5). The reference page, the tests and the registry read this one list. Names are a
 * contract with dashboards: new ones are appended, retired ones are listed as retired.
 */
import { CLUSTER } from "./catalog-cluster.ts";
import { REFERENCE } from "./catalog-reference.ts";
import { SNAPSHOTS } from "./catalog-snapshots.ts";
import { COMPACTION } from "./catalog-compaction.ts";
import { DUTIES } from "./catalog-duties.ts";
import { PLACEMENT_METRICS } from "./catalog-placement.ts";
import {
  COUNT_BUCKETS,
  DEFAULT_SECONDS_BUCKETS,
  FINE_SECONDS_BUCKETS,
  type MetricSpec,
  REQUEST_SECONDS_BUCKETS,
} from "./types.ts";

const REQUESTS: readonly MetricSpec[] = [
  {
    kind: "histogram",
    name: "pyroscope_request_duration_seconds",
    help: "Time from the last byte of a request to the last byte of its answer handed to the system, by route and outcome.",
    labels: ["method", "route", "status_code", "ws"],
    buckets: REQUEST_SECONDS_BUCKETS,
  },
  {
    kind: "counter",
    name: "hearth_requests_rejected_total",
    help: "Requests and frames refused before or while they ran, by protocol and reason.",
    labels: ["protocol", "reason"],
  },
  {
    kind: "gauge",
    name: "hearth_connections",
    help: "Open connections now.",
    labels: ["protocol"],
  },
  {
    kind: "gauge",
    name: "hearth_in_flight_requests",
    help: "Calls of gRPC that have no answer now.",
    labels: ["protocol"],
  },
  {
    kind: "counter",
    name: "hearth_connections_opened_total",
    help: "Connections accepted since the start.",
    labels: ["protocol"],
  },
  {
    kind: "counter",
    name: "hearth_requests_total",
    help: "Requests answered, by operation and code; ok is success.",
    labels: ["protocol", "route", "code"],
  },
  {
    kind: "counter",
    name: "hearth_request_bytes_total",
    help: "Bytes of frames and bodies, by direction.",
    labels: ["protocol", "direction"],
  },
  {
    kind: "counter",
    name: "hearth_query_engine_total",
    help: "What the query engines of the reader threads did, by the name of the step.",
    labels: ["what"],
  },
  {
    kind: "gauge",
    name: "hearth_waiting_reads",
    help: "Reads that wait for a grant or for the applied index.",
  },
  {
    kind: "counter",
    name: "hearth_read_rounds_total",
    help: "Questions of reader threads for a read index: answered by the leader over a connection of the thread, or put to main.",
    labels: ["way"],
  },
  {
    kind: "gauge",
    name: "hearth_pending_write_bytes",
    help: "Bytes of writes handed to the main thread and not answered yet.",
  },
  {
    kind: "gauge",
    name: "hearth_queued_answer_bytes",
    help: "Bytes of answers kept until the client grants credit.",
  },
  {
    kind: "counter",
    name: "hearth_write_batches_total",
    help: "Groups of writes that reader threads handed to the main thread.",
  },
];

const RAFT: readonly MetricSpec[] = [
  {
    kind: "gauge",
    name: "pyroscope_metastore_raft_state",
    help: "1 for the state this node is in; exactly one series exists.",
    labels: ["state"],
  },
  {
    kind: "histogram",
    name: "pyroscope_metastore_raft_apply_command_duration_seconds",
    help: "Time from a proposal to its application on the leader.",
    buckets: DEFAULT_SECONDS_BUCKETS,
  },
  {
    kind: "histogram",
    name: "pyroscope_metastore_raft_log_store_write_duration_seconds",
    help: "Time of one durable append to the log.",
    buckets: DEFAULT_SECONDS_BUCKETS,
  },
  { kind: "gauge", name: "hearth_raft_term", help: "Term this node is in." },
  { kind: "gauge", name: "hearth_raft_has_leader", help: "1 while this node knows a leader." },
  { kind: "gauge", name: "hearth_raft_is_leader", help: "1 while this node leads." },
  { kind: "gauge", name: "hearth_raft_voters", help: "Members with a vote." },
  {
    kind: "gauge",
    name: "hearth_raft_reachable_voters",
    help: "Voters that answer, this node included.",
  },
  {
    kind: "gauge",
    name: "hearth_raft_failure_tolerance",
    help: "Voters that may still be lost before writes stop.",
  },
  {
    kind: "gauge",
    name: "hearth_raft_last_index",
    help: "Log index of the last entry written here.",
  },
  {
    kind: "gauge",
    name: "hearth_raft_commit_index",
    help: "Log index up to which a quorum has stored the log.",
  },
  {
    kind: "gauge",
    name: "hearth_raft_applied_index",
    help: "Log index up to which the index reflects the log.",
  },
  {
    kind: "gauge",
    name: "hearth_raft_proposals_pending",
    help: "Proposals waiting for their result.",
  },
  {
    kind: "counter",
    name: "hearth_raft_proposals_total",
    help: "Proposals answered, by result.",
    labels: ["result"],
  },
  {
    kind: "gauge",
    name: "hearth_raft_uncommitted_bytes",
    help: "Bytes of proposals accepted and not applied yet; above a bound new ones are refused.",
  },
];

const LOG_AND_STATE: readonly MetricSpec[] = [
  {
    kind: "histogram",
    name: "hearth_log_sync_duration_seconds",
    help: "Time until one write of the log was durable.",
    buckets: FINE_SECONDS_BUCKETS,
  },
  {
    kind: "gauge",
    name: "hearth_log_oldest_pending_write_seconds",
    help: "Age of the oldest log write that is not durable yet; 0 when none is pending.",
  },
  {
    kind: "gauge",
    name: "hearth_log_out_of_space",
    help: "1 while the next segment of the log cannot be made: a leader hands over, and refuses writes when the last is full.",
  },
  { kind: "gauge", name: "hearth_log_bytes", help: "Bytes of the log's files on disk." },
  {
    kind: "histogram",
    name: "hearth_apply_batch_duration_seconds",
    help: "Time to apply one range of committed entries in one transaction of the index.",
    buckets: FINE_SECONDS_BUCKETS,
  },
  {
    kind: "counter",
    name: "hearth_log_writes_total",
    help: "Durable writes of the log.",
  },
  {
    kind: "counter",
    name: "hearth_log_writes_in_place_total",
    help: "Those of them that the main thread waited for itself: lone ones, and groups that all callers wait for, while the disk is quick (hearth.log-in-place-max).",
  },
  {
    kind: "counter",
    name: "hearth_log_writes_queued_total",
    help: "Those of them that were handed to the disk's thread while it was at the one before: many under a high load.",
  },
  {
    kind: "counter",
    name: "hearth_log_written_bytes_total",
    help: "Bytes written to the log, headers and padding included.",
  },
  {
    kind: "counter",
    name: "hearth_log_segment_waits_total",
    help: "Writes that had to wait because the next file of the log was not prepared yet.",
  },
  {
    kind: "counter",
    name: "hearth_log_segments_total",
    labels: ["file"],
    help: "Files that the log went on in: new ones, filled with zeros first, and reused ones, which a snapshot had set free.",
  },
  {
    kind: "histogram",
    name: "hearth_apply_batch_entries",
    help: "Entries applied in one transaction; the more wait, the more go together.",
    buckets: COUNT_BUCKETS,
  },
  {
    kind: "counter",
    name: "hearth_apply_entries_total",
    help: "Entries applied to the index since the start, refused ones included.",
  },
  {
    kind: "counter",
    name: "hearth_apply_ahead_entries_total",
    help: "Those of them that were applied while the log still wrote them: on a node that is the only voter, under load.",
  },
  {
    kind: "counter",
    name: "hearth_apply_rejected_total",
    help: "Committed entries that could not apply and changed nothing, by reason.",
    labels: ["reason"],
  },
  {
    kind: "counter",
    name: "hearth_apply_transactions_total",
    help: "Transactions of the index that applied entries.",
  },
  {
    kind: "counter",
    name: "hearth_apply_blocks_total",
    help: "Blocks of applied entries, by what became of them: added, duplicate, tombstoned, removed.",
    labels: ["result"],
  },
  { kind: "gauge", name: "hearth_index_blocks", help: "Blocks in the index." },
  { kind: "gauge", name: "hearth_index_datasets", help: "Datasets of the blocks in the index." },
  {
    kind: "gauge",
    name: "hearth_index_block_bytes",
    help: "Sum of the sizes of the stored objects that the index knows.",
  },
  { kind: "gauge", name: "hearth_index_shards", help: "Shards in the index, over all partitions." },
  {
    kind: "gauge",
    name: "hearth_index_owners",
    help: "Owners with at least one shard, the anonymous one included.",
  },
  { kind: "gauge", name: "hearth_index_tombstones", help: "Tombstones recorded." },
  {
    kind: "gauge",
    name: "hearth_index_rows",
    help: "Rows per table of the index database.",
    labels: ["table"],
  },
  { kind: "gauge", name: "hearth_index_bytes", help: "Bytes of the index database's file." },
  {
    kind: "gauge",
    name: "hearth_index_disk_free_bytes",
    help: "Free bytes of the disk under the index; the node ends when a commit finds none.",
  },
  {
    kind: "gauge",
    name: "hearth_index_low_on_space",
    help: "1 while that is below hearth.index-min-free, or below 5 % of the disk where that is less, or while less than a tenth of hearth.index-map-size is free.",
  },
  {
    kind: "gauge",
    name: "hearth_index_full",
    help: "1 while a leader would take no more blocks: less than half of that is free, or less than 5 % of hearth.index-map-size.",
  },
  {
    kind: "gauge",
    name: "hearth_index_live_bytes",
    help: "Bytes of pages in use, per table.",
    labels: ["table"],
  },
];

const PROCESS: readonly MetricSpec[] = [
  {
    kind: "histogram",
    name: "hearth_event_loop_lag_seconds",
    help: "How much later than planned a timer of the thread ran; measured a few times per second.",
    labels: ["thread"],
    buckets: FINE_SECONDS_BUCKETS,
  },
  {
    kind: "gauge",
    name: "hearth_event_loop_utilization_ratio",
    help: "Share of the time since the last measurement that the thread was busy, 0 to 1.",
    labels: ["thread"],
  },
  {
    kind: "gauge",
    name: "hearth_reader_threads",
    help: "Reader threads by state.",
    labels: ["state"],
  },
  {
    kind: "gauge",
    name: "hearth_health_check",
    help: "1 while a check holds, 0 while it fails.",
    labels: ["type", "name"],
  },
  {
    kind: "gauge",
    name: "hearth_volatile_directory",
    help: "1 when the log is on a file system in memory.",
  },
  {
    kind: "gauge",
    name: "hearth_config_hash",
    help: "First 32 bits of a hash of the effective settings; nodes of one cluster should show the same.",
  },
  {
    kind: "gauge",
    name: "hearth_config_last_reload_successful",
    help: "1 when the newest configuration was read without a problem.",
  },
  {
    kind: "gauge",
    name: "hearth_build_info",
    help: "Always 1; the version of this program and what it runs on.",
    labels: ["version", "revision", "node"],
  },
  {
    kind: "gauge",
    name: "pyroscope_build_info",
    help: "Always 1; in the form that the reference's dashboards choose namespaces by.",
    labels: ["version", "revision", "branch", "goversion"],
  },
];

/** Every metric this version can move. */
export const METRIC_CATALOG: readonly MetricSpec[] = [
  ...REQUESTS,
  ...RAFT,
  ...REFERENCE,
  ...CLUSTER,
  ...SNAPSHOTS,
  ...COMPACTION,
  ...DUTIES,
  ...PLACEMENT_METRICS,
  ...LOG_AND_STATE,
  ...PROCESS,
];
