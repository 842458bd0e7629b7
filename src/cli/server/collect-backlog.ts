/** What waits for compaction, and tombstones, by owner: bounded, whatever tenants there are. */
import type { MetricRegistry } from "../../metrics/index.ts";
import type { StateMachine } from "../../state/index.ts";
import { Increases } from "./increases.ts";

/** Owners and queues with series of their own; a metric may have 2,000 (ux: labels are bounded). */
const NAMED_MAX = 500;
/** Stands for all that have none, and for a tenant of that name: so what is equal is added up. */
const OTHER = "other";
const QUEUE = "pyroscope_metastore_compaction_block_queue";
const TOMBSTONES = "pyroscope_metastore_index_tombstones";
const OLDEST = "hearth_compaction_tenant_oldest_block_age_seconds";

export interface BacklogSources {
  readonly stateMachine: Pick<StateMachine, "compaction" | "countTombstones">;
  readonly nowMs: () => number;
}

export function collectBacklog(metrics: MetricRegistry, sources: BacklogSources): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    const { stateMachine, nowMs } = sources;
    const { compaction } = stateMachine;
    collectQueues(metrics, compaction, nowMs());
    collectTombstones(metrics, stateMachine.countTombstones());
    for (const [number, tally] of compaction.jobDurations) {
      const labels = { level: String(number) };
      increases.takeTally("hearth_compaction_job_duration_seconds", tally, labels);
    }
    for (const { level: number } of compaction.queueTotals()) {
      const labels = { tenant: OTHER, shard: OTHER, level: String(number) };
      metrics.add(`${QUEUE}_push_rejected_total`, labels, 0);
      metrics.add(`${QUEUE}_delete_missed_total`, labels, 0);
      increases.take(`${QUEUE}_delete_missed_total`, compaction.deleteMissed[number] ?? 0, labels);
    }
  });
}

/** Queues come and go: their gauges are set anew. */
function collectQueues(
  metrics: MetricRegistry,
  compaction: StateMachine["compaction"],
  nowMs: number,
): void {
  for (const name of [`${QUEUE}_blocks`, `${QUEUE}_batches`, OLDEST]) metrics.clear(name);
  const oldest = new Map<string, { tenant: string; level: string; atMs: number }>();
  for (const { queue, level: number, blocks, batches } of compaction.backlog(NAMED_MAX)) {
    const level = String(number);
    const tenant = queue?.tenant ?? OTHER;
    const labels = { tenant, shard: queue === null ? OTHER : String(queue.shard), level };
    metrics.add(`${QUEUE}_blocks`, labels, blocks);
    metrics.add(`${QUEUE}_batches`, labels, batches);
    if (queue === null) continue;
    const key = JSON.stringify([tenant, level]);
    const atMs = Math.min(queue.oldestAtMs, oldest.get(key)?.atMs ?? Number.POSITIVE_INFINITY);
    oldest.set(key, { tenant, level, atMs });
  }
  for (const { tenant, level, atMs } of oldest.values())
    metrics.set(OLDEST, Math.max(0, nowMs - atMs) / 1_000, { tenant, level });
}

function collectTombstones(
  metrics: MetricRegistry,
  counts: ReturnType<StateMachine["countTombstones"]>,
): void {
  metrics.clear(TOMBSTONES);
  if (counts === null) return;
  const largest = [...counts].sort((a, b) => b.blocks + b.shards - a.blocks - a.shards);
  const others = { tenant: OTHER, blocks: 0, shards: 0 };
  for (const { blocks, shards } of largest.slice(NAMED_MAX)) {
    others.blocks += blocks;
    others.shards += shards;
  }
  for (const { tenant, blocks, shards } of [...largest.slice(0, NAMED_MAX), others]) {
    if (blocks > 0) metrics.add(TOMBSTONES, { tenant, type: "blocks" }, blocks);
    if (shards > 0) metrics.add(TOMBSTONES, { tenant, type: "shard" }, shards);
  }
}
