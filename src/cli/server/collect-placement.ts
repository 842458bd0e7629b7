/** Gauges and counters of the placement, read at a scrape from the summary of the newest cycle. */
import type { Config } from "../../config/index.ts";
import type { CycleSummary, PlacementManager } from "../../leader/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import { Increases } from "./increases.ts";

const PLACEMENT = "pyroscope_adaptive_placement";
const SHARD_LIMIT = `${PLACEMENT}_dataset_shard_limit`;
const USAGE = `${PLACEMENT}_dataset_shard_usage_bytes_per_second`;
const SHARD_USAGE = `${PLACEMENT}_dataset_shard_usage_per_shard_bytes_per_second`;
/** Of the one gauge whose series nothing else bounds. */
const BREAKDOWN_SERIES_MAX = 2_000;

export function collectPlacement(
  metrics: MetricRegistry,
  exported: Config["placement"]["exported"],
  manager: Pick<PlacementManager, "summary" | "writtenAtMs">,
): void {
  const increases = new Increases(metrics);
  metrics.onCollect(() => {
    const { summary } = manager;
    metrics.set(`${PLACEMENT}_rules_last_update_time`, manager.writtenAtMs / 1_000);
    metrics.set(`${PLACEMENT}_rules`, summary?.rules ?? 0);
    metrics.set(`${PLACEMENT}_stats`, summary?.rates ?? 0);
    metrics.set("hearth_placement_load_bytes_per_second", summary?.bytesPerSec ?? 0);
    for (const name of [SHARD_LIMIT, USAGE, SHARD_USAGE]) metrics.clear(name);
    if (summary === null) return;
    collectDatasets(metrics, exported, summary);
    const { blocks: counted, oldBlocks: old, badEntries: bad } = summary;
    for (const [result, total] of Object.entries({ counted, old, bad }))
      increases.take("hearth_placement_blocks_total", total, { result });
    const { refusedSamples: sample, refusedDatasets: dataset } = summary;
    for (const [kind, total] of Object.entries({ sample, dataset }))
      increases.take("hearth_placement_refused_total", total, { kind });
  });
}

function collectDatasets(
  metrics: MetricRegistry,
  exported: Config["placement"]["exported"],
  { top }: CycleSummary,
): void {
  let breakdown = 0;
  for (const { tenant, dataset, datasetShardLimit, loadBalancing, bytesPerSec, shards } of top) {
    if (exported.shardLimit) {
      const labels = { tenant, dataset, load_balancing: String(loadBalancing) };
      metrics.set(SHARD_LIMIT, datasetShardLimit, labels);
    }
    if (exported.shardUsage) metrics.set(USAGE, bytesPerSec, { tenant, dataset });
    if (!exported.shardUsageBreakdown) continue;
    for (const { id, owner, bytesPerSec: load } of shards) {
      if (++breakdown > BREAKDOWN_SERIES_MAX) break;
      const labels = { tenant, dataset, shard_id: String(id), shard_owner: owner };
      metrics.set(SHARD_USAGE, load, labels);
    }
  }
}
