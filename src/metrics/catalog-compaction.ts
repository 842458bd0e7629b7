/** Metrics of compaction: the reference's names and labels (spec compaction, 15.3), then ours. */
import type { MetricSpec } from "./types.ts";

const QUEUE = "pyroscope_metastore_compaction_global_queue";
const SCHEDULER = "pyroscope_metastore_compaction_scheduler_queue";

const BLOCK_QUEUE = "pyroscope_metastore_compaction_block_queue";
const LARGEST = 'the largest queues by name, the others as tenant="other"';

/** From a job that a waiting worker does at once to one that waited for its third worker: half an hour. */
export const COMPACTION_JOB_BUCKETS: readonly number[] = [
  0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800,
];

export const COMPACTION: readonly MetricSpec[] = [
  {
    kind: "gauge",
    name: `${BLOCK_QUEUE}_blocks`,
    help: `Blocks that wait for compaction, by owner (empty: segments of many tenants), shard and level: ${LARGEST}.`,
    labels: ["tenant", "shard", "level"],
  },
  {
    kind: "gauge",
    name: `${BLOCK_QUEUE}_batches`,
    help: `Flushed batches that wait for a job, by owner, shard and level: ${LARGEST}.`,
    labels: ["tenant", "shard", "level"],
  },
  {
    kind: "counter",
    name: `${BLOCK_QUEUE}_push_rejected_total`,
    help: "Always 0: a block is queued when it is new in the index, so none is ever queued twice. One series per level.",
    labels: ["tenant", "shard", "level"],
  },
  {
    kind: "counter",
    name: `${BLOCK_QUEUE}_delete_missed_total`,
    help: "Source blocks of new jobs that were not queued any more; moves when blocks are removed while a plan is made.",
    labels: ["tenant", "shard", "level"],
  },
  {
    kind: "gauge",
    name: "pyroscope_metastore_index_tombstones",
    help: 'Tombstones by owner and type (blocks, shard): the largest owners by name, the others as tenant="other". Absent while they are counted after a start.',
    labels: ["tenant", "type"],
  },
  {
    kind: "gauge",
    name: "hearth_compaction_tenant_oldest_block_age_seconds",
    help: "Age of the oldest batch that waits, by owner (empty: segments of many tenants) and level: of the largest queues.",
    labels: ["tenant", "level"],
  },
  {
    kind: "histogram",
    name: "hearth_compaction_job_duration_seconds",
    help: "Time from the creation of a compaction job to its result, by level.",
    labels: ["level"],
    buckets: COMPACTION_JOB_BUCKETS,
  },
  {
    kind: "gauge",
    name: `${QUEUE}_blocks_current`,
    help: "Blocks that wait for compaction, by level.",
    labels: ["level"],
  },
  {
    kind: "gauge",
    name: `${QUEUE}_queues_current`,
    help: "Owners and shards with blocks that wait for compaction, by level.",
    labels: ["level"],
  },
  {
    kind: "gauge",
    name: `${QUEUE}_batches_current`,
    help: "Flushed batches that wait for a job, by level.",
    labels: ["level"],
  },
  {
    kind: "gauge",
    name: `${SCHEDULER}_jobs`,
    help: "Compaction jobs by level and status: unassigned, assigned, reassigned, failed (nobody gets them any more).",
    labels: ["level", "status"],
  },
  {
    kind: "counter",
    name: `${SCHEDULER}_added_jobs_total`,
    help: "Compaction jobs created since the start, by level.",
    labels: ["level"],
  },
  {
    kind: "counter",
    name: `${SCHEDULER}_completed_jobs_total`,
    help: "Compaction jobs completed since the start, by level.",
    labels: ["level"],
  },
  {
    kind: "counter",
    name: `${SCHEDULER}_assigned_jobs_total`,
    help: "Compaction jobs handed out for the first time since the start, by level.",
    labels: ["level"],
  },
  {
    kind: "counter",
    name: `${SCHEDULER}_reassigned_jobs_total`,
    help: "Compaction jobs handed out again since the start, by level.",
    labels: ["level"],
  },
  {
    kind: "counter",
    name: `${SCHEDULER}_evicted_jobs_total`,
    help: "Exhausted compaction jobs given up since the start, by level; their blocks are queued again.",
    labels: ["level"],
  },
  {
    kind: "gauge",
    name: "hearth_compaction_oldest_block_age_seconds",
    help: "Age of the oldest batch that waits for a job, by level; 0: nothing waits.",
    labels: ["level"],
  },
  {
    kind: "gauge",
    name: "hearth_compaction_enabled",
    help: "1 once a compaction policy is in force: the first worker's poll sets one.",
  },
  {
    kind: "gauge",
    name: "hearth_compaction_paused",
    help: "1 while an operator has paused a level or a tenant.",
  },
  {
    kind: "gauge",
    name: "hearth_compaction_waiting_polls",
    help: "Polls of compaction workers that wait on this member, for a plan or for a job.",
  },
  {
    kind: "gauge",
    name: "hearth_compaction_workers",
    help: "Compaction workers that asked this member within the last minute; workers ask the leader.",
  },
  {
    kind: "counter",
    name: "hearth_compaction_stale_reports_total",
    help: "Reports of workers on jobs that were gone or somebody else's; moves when workers are slower than their leases.",
  },
  {
    kind: "counter",
    name: "hearth_compaction_polls_total",
    help: "Polls of compaction workers that this member took, by result: taken, refused, failed, gone.",
    labels: ["result"],
  },
  {
    kind: "counter",
    name: "hearth_compaction_plans_total",
    help: "Compaction plans made on this member, by result: logged, empty, overtaken.",
    labels: ["result"],
  },
  {
    kind: "counter",
    name: "hearth_compaction_reports_total",
    help: "What workers said about their jobs, by what became of it: refreshed, completed, failed, released (the answer that assigned it reached nobody); unknown_job, wrong_token and unknown_status changed nothing.",
    labels: ["result"],
  },
  {
    kind: "counter",
    name: "hearth_compaction_requeued_blocks_total",
    help: "Blocks queued again after their job ended without a result, or found in no queue.",
  },
];
