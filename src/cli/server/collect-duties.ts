/** Metrics of the object store and of the leader's activities. */
import {
  ACTIVITY_OUTCOME,
  DLQ_STATUSES,
  type DlqRecovery,
  type LeaderActivities,
  type TenantDeleter,
} from "../../leader/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { StorageOutcome } from "../../storage/index.ts";
import type { IndexDatabase } from "../../db/index.ts";
import { DELETION_STATES } from "../../protocol/index.ts";
import { readDeletions, type StateMachine, type StateMetrics } from "../../state/index.ts";
import { Increases } from "./increases.ts";

/** The reference labels by bucket; there is one. */
const BUCKET = "hearth";

export function countStorage(metrics: MetricRegistry): (outcome: StorageOutcome) => void {
  return ({ operation, durationMs, failure }) => {
    metrics.add("objstore_bucket_operations_total", { operation, bucket: BUCKET });
    metrics.observe("hearth_storage_operation_duration_seconds", durationMs / 1_000, { operation });
    if (failure !== null)
      metrics.add("hearth_storage_failures_total", { operation, reason: failure });
  };
}

export function collectActivities(
  metrics: MetricRegistry,
  activities: Pick<LeaderActivities, "status">,
): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    for (const status of activities.status()) {
      const activity = status.name;
      metrics.set("hearth_activity_active", status.isActive ? 1 : 0, { activity });
      const startedAtMs = status.lastStartedAtMs ?? 0;
      metrics.set("hearth_activity_last_run_timestamp_seconds", startedAtMs / 1_000, { activity });
      const durationMs = status.lastDurationMs ?? 0;
      metrics.set("hearth_activity_last_duration_seconds", durationMs / 1_000, { activity });
      metrics.set("hearth_activity_failures_in_row", status.failuresInRow, { activity });
      for (const outcome of Object.values(ACTIVITY_OUTCOME)) {
        const total = status.runs[outcome];
        increases.take("hearth_activity_runs_total", total, { activity, outcome });
      }
    }
  });
}

export function collectRetention(
  metrics: MetricRegistry,
  state: Pick<StateMetrics, "shardsRetired" | "blocksRetired" | "retirementsKept">,
  lastGoodAtMs: () => number,
): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    metrics.set("hearth_retention_last_pass_timestamp_seconds", lastGoodAtMs() / 1_000);
    increases.take("hearth_retention_removed_shards_total", state.shardsRetired);
    increases.take("hearth_retention_removed_blocks_total", state.blocksRetired);
    increases.take("hearth_retention_kept_shards_total", state.retirementsKept);
  });
}

export function collectDeletions(
  metrics: MetricRegistry,
  modules: {
    readonly state: Pick<StateMachine, "hiddenCount" | "metrics">;
    readonly deleter: Pick<TenantDeleter, "status">;
    readonly db: IndexDatabase;
  },
): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    const { state, deleter, db } = modules;
    metrics.set("hearth_tenants_hidden", state.hiddenCount);
    const counts = countDeletions(db);
    for (const name of DELETION_STATES)
      metrics.set("hearth_tenant_deletions", counts.get(name) ?? 0, { state: name });
    const { objects, bytes } = deleter.status();
    increases.take("hearth_tenant_deleted_objects_total", objects);
    increases.take("hearth_tenant_deleted_bytes_total", bytes);
    increases.take("hearth_tenant_late_blocks_total", state.metrics.blocksOfDeletedTenants);
  });
}

function countDeletions(db: IndexDatabase): Map<string, number> {
  const counts = new Map<string, number>();
  const deletions = db.reading(() => readDeletions(db));
  for (const { state } of deletions) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

export function collectDlq(metrics: MetricRegistry, recovery: Pick<DlqRecovery, "status">): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    const { entries, oldestAgeMs, quarantined, attempts } = recovery.status();
    metrics.set("hearth_dlq_entries", entries ?? 0);
    metrics.set("hearth_dlq_oldest_age_seconds", oldestAgeMs / 1_000);
    metrics.set("hearth_dlq_quarantined_entries", quarantined ?? 0);
    for (const status of DLQ_STATUSES) {
      const name = "pyroscope_metastore_dlq_recovery_attempts_total";
      increases.take(name, attempts[status], { status });
    }
  });
}
