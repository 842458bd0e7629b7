/** One cycle of the placement: rates to statistics to rules to objects, as its thread does it every 15 seconds. */

import {
  PLACEMENT_DEFAULTS,
  PLACEMENT_LIMIT_DEFAULTS,
  PlacementEngine,
  type PlacementRequest,
} from "../../../src/leader/index.ts";
import { LOAD_BALANCING } from "../../../src/protocol/index.ts";
import {
  type DistributionStats,
  encodeDistributionStats,
  encodePlacementRules,
} from "../../../src/protocol/index.ts";
import { type BenchCase, type PreparedCase, repeat } from "../../harness/index.ts";

const DATASETS = 10_000;
const SHARDS = 8;
const TENANTS = 100;
const START_MS = Date.UTC(2026, 0, 1);

function statistics(): DistributionStats {
  const tenants = Array.from({ length: TENANTS }, (_, i) => ({ tenantId: `tenant-${i}` }));
  const shards = Array.from({ length: 64 }, (_, i) => ({ id: i + 1, owner: `writer-${i % 16}` }));
  const datasets = Array.from({ length: DATASETS }, (_, i) => ({
    tenant: i % TENANTS,
    name: `service-${i}`,
    shards: Array.from({ length: SHARDS }, (_, j) => (i + j) % 64),
    usage: Array.from({ length: SHARDS }, (_, j) => 10_000 + ((i * 7_919 + j * 104_729) % 400_000)),
    stdDev: 0,
  }));
  return { tenants, datasets, shards, createdAtNs: BigInt(START_MS) * 1_000_000n };
}

function prepare(): PreparedCase {
  const stats = statistics();
  const engine = new PlacementEngine();
  const { tenants, createdAtNs } = stats;
  const rules = encodePlacementRules({
    tenants,
    datasets: stats.datasets.map(({ tenant, name }) => ({
      tenant,
      name,
      tenantShardLimit: 0,
      datasetShardLimit: 4,
      loadBalancing: LOAD_BALANCING.fingerprint,
    })),
    createdAtNs,
  });
  const { deviation, aggregationWindowMs, statisticsRetentionMs, rulesRetentionMs } =
    PLACEMENT_DEFAULTS;
  engine.load({
    kind: "load",
    term: 1,
    nowMs: START_MS,
    objects: { rules, stats: encodeDistributionStats(stats), pins: null },
    options: {
      halfLifeNs: aggregationWindowMs * 1e6,
      statisticsRetentionNs: statisticsRetentionMs * 1e6,
      rulesRetentionNs: rulesRetentionMs * 1e6,
      deviation,
    },
  });
  let cycles = 0;
  const cycle = (): void => {
    cycles++;
    const request: Extract<PlacementRequest, { kind: "cycle" }> = {
      kind: "cycle",
      term: 1,
      // Milliseconds apart, so that no rate expires however often it runs.
      nowMs: START_MS + cycles,
      limits: { global: PLACEMENT_LIMIT_DEFAULTS, own: [] },
      pins: [],
      stored: rules,
      topMaxCount: 500,
    };
    const made = engine.cycle(request);
    const { rates = 0, rules: count = 0 } = made?.summary ?? {};
    if (rates !== DATASETS * SHARDS || count !== DATASETS)
      throw new Error(`The cycle made ${count} rules of ${rates} rates`);
  };
  cycle();
  return { ours: repeat(`cycle of ${DATASETS} datasets on ${SHARDS} shards`, cycle) };
}

export const cases: readonly BenchCase[] = [
  {
    name: "leader/placement/10k-datasets-8-shards",
    about: "One cycle of the placement with 80,000 rates, in its own thread in production.",
    goals: [{ metric: "cpuUs", form: "ours", atMost: 50_000 }],
    sampleMs: 300,
    prepare,
  },
];
