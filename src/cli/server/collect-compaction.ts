/** Gauges and counters of compaction, read at a scrape. */
import type { CompactionCoordinator } from "../../leader/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { CompactionState } from "../../state/index.ts";
import { Increases } from "./increases.ts";

const QUEUE = "pyroscope_metastore_compaction_global_queue";
const SCHEDULER = "pyroscope_metastore_compaction_scheduler_queue";

export interface CompactionSources {
  readonly compaction: CompactionState;
  readonly coordinator: Pick<CompactionCoordinator, "stats" | "waitingCount" | "workerCount">;
  readonly nowMs: () => number;
}

export function collectCompaction(metrics: MetricRegistry, sources: CompactionSources): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    collectQueue(metrics, sources);
    collectJobs(metrics, increases, sources.compaction);
    const { stats, waitingCount } = sources.coordinator;
    metrics.set("hearth_compaction_waiting_polls", waitingCount);
    metrics.set("hearth_compaction_workers", sources.coordinator.workerCount);
    const { unknown_job: unknown, wrong_token: wrong } = stats.reports;
    increases.take("hearth_compaction_stale_reports_total", unknown + wrong);
    const polls = { refused: stats.refusedPolls, failed: stats.failedPolls, gone: stats.gonePolls };
    for (const [result, total] of Object.entries({ taken: stats.polls, ...polls })) {
      increases.take("hearth_compaction_polls_total", total, { result });
    }
    const plans = { logged: stats.plans, empty: stats.emptyPlans, overtaken: stats.overtakenPlans };
    for (const [result, total] of Object.entries(plans)) {
      increases.take("hearth_compaction_plans_total", total, { result });
    }
    for (const [result, total] of Object.entries(stats.reports)) {
      increases.take("hearth_compaction_reports_total", total, { result });
    }
    increases.take("hearth_compaction_requeued_blocks_total", sources.compaction.requeued);
  });
}

function collectQueue(metrics: MetricRegistry, { compaction, nowMs }: CompactionSources): void {
  const { policy } = compaction;
  metrics.set("hearth_compaction_enabled", policy === null ? 0 : 1);
  const paused = (policy?.pausedLevels.length ?? 0) + (policy?.pausedTenants.length ?? 0);
  metrics.set("hearth_compaction_paused", paused > 0 ? 1 : 0);
  for (const { level: number, blocks, queues, batches } of compaction.queueTotals()) {
    const level = String(number);
    metrics.set(`${QUEUE}_blocks_current`, blocks, { level });
    metrics.set(`${QUEUE}_queues_current`, queues, { level });
    metrics.set(`${QUEUE}_batches_current`, batches, { level });
    const sinceMs = compaction.oldestAtMs(number);
    const ageMs = sinceMs === null ? 0 : Math.max(0, nowMs() - sinceMs);
    metrics.set("hearth_compaction_oldest_block_age_seconds", ageMs / 1_000, { level });
  }
}

function collectJobs(
  metrics: MetricRegistry,
  increases: Increases,
  compaction: CompactionState,
): void {
  for (const totals of compaction.jobTotals()) {
    const level = String(totals.level);
    for (const status of ["unassigned", "assigned", "reassigned", "failed"] as const) {
      metrics.set(`${SCHEDULER}_jobs`, totals[status], { level, status });
    }
    const counters = {
      added: totals.added,
      completed: totals.completed,
      assigned: totals.newlyAssigned,
      reassigned: totals.newlyReassigned,
      evicted: totals.evicted,
    };
    for (const [what, total] of Object.entries(counters)) {
      increases.take(`${SCHEDULER}_${what}_jobs_total`, total, { level });
    }
  }
}
