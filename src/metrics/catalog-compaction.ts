/** Metrics of compaction: the reference's names and labels (spec compaction, 15.3), then ours. */
import type { MetricSpec } from "./types.ts";

const QUEUE = "pyroscope_metastore_compaction_global_queue";
const SCHEDULER = "pyroscope_metastore_compaction_scheduler_queue";

export const COMPACTION: readonly MetricSpec[] = [
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
    name: "hearth_compaction_requeued_blocks_total",
    help: "Blocks queued again after their job ended without a result, or found in no queue.",
  },
];
