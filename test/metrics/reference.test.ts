/** Metrics of the reference (spec raft-and-cluster, 14): each is there under its name, or docs/pyroscope.md says why not. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { METRIC_CATALOG, REQUEST_SECONDS_BUCKETS } from "../../src/metrics/index.ts";
import { inRoot } from "../support/project.ts";

const DEFAULT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const METASTORE = "pyroscope_metastore_";
const SCHEDULER = `${METASTORE}compaction_scheduler_queue`;

type Row = readonly [
  name: string,
  kind: string,
  labels: readonly string[],
  buckets?: readonly number[],
];

const PRESENT: readonly Row[] = [
  [`${METASTORE}raft_state`, "gauge", ["state"]],
  [`${METASTORE}raft_apply_command_duration_seconds`, "histogram", [], DEFAULT_BUCKETS],
  [`${METASTORE}raft_read_index_wait_duration_seconds`, "histogram", [], DEFAULT_BUCKETS],
  [`${METASTORE}raft_log_store_write_duration_seconds`, "histogram", [], DEFAULT_BUCKETS],
  [`${METASTORE}fsm_apply_command_duration_seconds`, "histogram", ["command"]],
  [`${METASTORE}fsm_apply_command_size_bytes`, "histogram", ["command"]],
  [`${METASTORE}fsm_restore_snapshot_duration_seconds`, "histogram", []],
  [`${METASTORE}boltdb_persist_snapshot_duration_seconds`, "histogram", []],
  [`${METASTORE}boltdb_persist_snapshot_size_bytes`, "gauge", []],
  [`${METASTORE}boltdb_restore_snapshot_duration_seconds`, "histogram", []],
  [`${METASTORE}index_tombstones`, "gauge", ["tenant", "type"]],
  [`${METASTORE}compaction_block_queue_blocks`, "gauge", ["tenant", "shard", "level"]],
  [`${METASTORE}compaction_block_queue_batches`, "gauge", ["tenant", "shard", "level"]],
  [
    `${METASTORE}compaction_block_queue_push_rejected_total`,
    "counter",
    ["tenant", "shard", "level"],
  ],
  [
    `${METASTORE}compaction_block_queue_delete_missed_total`,
    "counter",
    ["tenant", "shard", "level"],
  ],
  [`${METASTORE}compaction_global_queue_blocks_current`, "gauge", ["level"]],
  [`${METASTORE}compaction_global_queue_queues_current`, "gauge", ["level"]],
  [`${METASTORE}compaction_global_queue_batches_current`, "gauge", ["level"]],
  [`${SCHEDULER}_jobs`, "gauge", ["level", "status"]],
  [`${SCHEDULER}_added_jobs_total`, "counter", ["level"]],
  [`${SCHEDULER}_completed_jobs_total`, "counter", ["level"]],
  [`${SCHEDULER}_assigned_jobs_total`, "counter", ["level"]],
  [`${SCHEDULER}_reassigned_jobs_total`, "counter", ["level"]],
  [`${SCHEDULER}_evicted_jobs_total`, "counter", ["level"]],
  [`${METASTORE}dns_lookups_total`, "counter", []],
  [`${METASTORE}dns_failures_total`, "counter", []],
  [`${METASTORE}dns_provider_results`, "gauge", ["addr"]],
  [`${METASTORE}dlq_recovery_attempts_total`, "counter", ["status"]],
  [
    "pyroscope_adaptive_placement_dataset_shard_limit",
    "gauge",
    ["tenant", "dataset", "load_balancing"],
  ],
  ["pyroscope_adaptive_placement_rules", "gauge", []],
  ["pyroscope_adaptive_placement_stats", "gauge", []],
  ["pyroscope_adaptive_placement_rules_last_update_time", "gauge", []],
  [
    "pyroscope_request_duration_seconds",
    "histogram",
    ["method", "route", "status_code", "ws"],
    REQUEST_SECONDS_BUCKETS,
  ],
  ["pyroscope_request_message_bytes", "histogram", ["method", "route"]],
  ["pyroscope_response_message_bytes", "histogram", ["method", "route"]],
  ["pyroscope_tcp_connections", "gauge", ["protocol"]],
  ["pyroscope_build_info", "gauge", ["version", "revision", "branch", "goversion"]],
  ["pyroscope_panic_total", "counter", []],
  ["objstore_bucket_operations_total", "counter", ["operation", "bucket"]],
];

/** As the page writes them. */
const ABSENT = [
  "raft_log_store_write_timeouts_total",
  "index_cache_requests_total",
  "context_registry_size",
  "pyroscope_grpc_client_request_duration_seconds",
  "pyroscope_metastore_client_dns_",
  "pyroscope_inflight_requests",
  "go_*",
];

describe("metrics of the reference", () => {
  const byName = new Map(METRIC_CATALOG.map((spec) => [spec.name, spec]));

  for (const [name, kind, labels, buckets] of PRESENT) {
    it(`${name} has its kind, labels and buckets`, () => {
      const spec = byName.get(name);
      assert.ok(spec !== undefined, "is not in the catalog");
      assert.equal(spec.kind, kind);
      assert.deepEqual(spec.labels ?? [], labels);
      if (buckets !== undefined) assert.deepEqual(spec.buckets, buckets);
    });
  }

  it("that are not there are listed with what to look at instead", () => {
    const page = readFileSync(inRoot("docs", "pyroscope.md"), "utf8");
    for (const name of ABSENT) {
      assert.ok(page.includes(`\`${name}`), name);
      assert.ok(!byName.has(`${METASTORE}${name}`) && !byName.has(name), `${name} is there now`);
    }
  });
});
