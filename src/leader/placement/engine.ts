/**
 * The state behind the placement, as its thread keeps it: rates, rules, and what was made of them last.
 *
 *   samples ──> rates ──┐
 *                       ├── cycle ──> rules and statistics as objects, a summary for metrics
 *   limits, pins ───────┘
 */

import {
  type DatasetPlacement,
  type DatasetStats,
  decodeDistributionStats,
  decodePlacementRules,
  encodeDistributionStats,
  encodePlacementRules,
  placementRulesCreatedAt,
  type PlacementRules,
} from "../../protocol/index.ts";
import { sumOf } from "./balancing.ts";
import type { PlacementLimits } from "./limits.ts";
import type {
  CycleSummary,
  DatasetSummary,
  EncodedObject,
  EngineOptions,
  LimitTable,
  PlacementCycle,
  PlacementPreview,
  PlacementRequest,
} from "./messages.ts";
import { readable } from "./objects.ts";
import { PinSet } from "./pins.ts";
import { previewChanges } from "./preview.ts";
import { SampleReader } from "./read-samples.ts";
import { PlacementRuler } from "./ruler.ts";
import { type BuiltStatistics, PlacementStatistics } from "./statistics.ts";
import { busiestFirst, shardLoads } from "./table.ts";

type Of<Kind extends PlacementRequest["kind"]> = Extract<PlacementRequest, { kind: Kind }>;

const NS_PER_MS = 1_000_000n;

interface Office {
  readonly term: number;
  readonly options: EngineOptions;
  readonly ruler: PlacementRuler;
  createdAtNs: bigint;
  last: { readonly built: BuiltStatistics; readonly rules: PlacementRules } | null;
}

export class PlacementEngine {
  readonly #samples = new SampleReader();
  /** Stays from office to office: what was measured here remains true. */
  #statistics: PlacementStatistics | null = null;
  #office: Office | null = null;

  /** Returns what is wrong with the objects, in words: what cannot be read counts as not there. */
  load({ term, nowMs, options, objects }: Of<"load">): string[] {
    const problems: string[] = [];
    const ruler = new PlacementRuler({ deviation: options.deviation });
    this.#statistics ??= new PlacementStatistics(options.halfLifeNs);
    const rules = readable(objects.rules, decodePlacementRules, problems);
    const stats = readable(objects.stats, decodeDistributionStats, problems);
    const nowNs = nowMs * 1e6;
    if (rules !== null) ruler.load(rules, nowNs);
    if (stats !== null) this.#statistics.seed(stats, nowNs);
    const createdAtNs = rules?.createdAtNs ?? 0n;
    this.#office = { term, options, ruler, createdAtNs, last: null };
    return problems;
  }

  record({ body, nowMs, weight }: Of<"samples">): void {
    const statistics = this.#statistics;
    if (statistics === null) return;
    const nowNs = nowMs * 1e6;
    this.#samples.read(body, nowMs, (sample) =>
      statistics.record({ ...sample, sizeBytes: sample.sizeBytes * weight }, nowNs),
    );
  }

  /** Null: this term was not loaded. */
  cycle(request: Of<"cycle">): PlacementCycle | null {
    const office = this.#office;
    const statistics = this.#statistics;
    if (office === null || statistics === null || office.term !== request.term) return null;
    const nowNs = request.nowMs * 1e6;
    const pins = new PinSet(request.pins);
    office.ruler.expire(nowNs - office.options.rulesRetentionNs, pins);
    statistics.expire(nowNs - office.options.statisticsRetentionNs);
    const createdAtNs = this.#createdAt(office, request);
    const built = statistics.build(nowNs, createdAtNs);
    const limitsOf = limitsFrom(request.limits);
    const rules = office.ruler.build({ built, nowNs, createdAtNs, limitsOf, pins });
    office.last = { built, rules };
    return {
      rules: encodeRules(rules),
      stats: encodeStats(built),
      summary: this.#summary(office, statistics, request.topMaxCount),
    };
  }

  /** Null: no cycle of this term has ended. */
  preview(request: Of<"preview">): PlacementPreview | null {
    const office = this.#office;
    if (office === null || office.term !== request.term || office.last === null) return null;
    const { built, rules } = office.last;
    const after = office.ruler.copy().build({
      built,
      nowNs: request.nowMs * 1e6,
      createdAtNs: rules.createdAtNs,
      limitsOf: limitsFrom(request.limits),
      pins: new PinSet(request.pins),
    });
    return previewChanges({ before: rules, after, stats: built.stats }, request.filter);
  }

  /** Readers ignore rules that are older than theirs, so a clock that is behind the last leader's must not count. */
  #createdAt(office: Office, { nowMs, stored }: Of<"cycle">): bigint {
    const found = readable(stored, placementRulesCreatedAt, []) ?? 0n;
    const now = BigInt(Math.round(nowMs)) * NS_PER_MS;
    for (const floor of [found, now]) if (floor > office.createdAtNs) office.createdAtNs = floor;
    return office.createdAtNs;
  }

  #summary(office: Office, statistics: PlacementStatistics, topMaxCount: number): CycleSummary {
    const { built, rules } = office.last as NonNullable<Office["last"]>;
    const { stats, loads } = built;
    return {
      rules: rules.datasets.length,
      datasets: stats.datasets.length,
      rates: statistics.rateCount,
      bytesPerSec: sumOf(loads),
      ...this.#samples.counts,
      refusedSamples: statistics.refusedSamples,
      refusedDatasets: office.ruler.refusedDatasets,
      top: topDatasets(built, rules, topMaxCount),
    };
  }
}

function topDatasets(
  { stats, loads }: BuiltStatistics,
  rules: PlacementRules,
  maxCount: number,
): DatasetSummary[] {
  // The rules begin with the datasets of the statistics, in their order, unless one got no rule.
  const isParallel = rules.datasets.length >= stats.datasets.length;
  if (!isParallel) return [];
  return busiestFirst(loads, maxCount).map((i) => {
    const dataset = stats.datasets[i] as DatasetStats;
    const { datasetShardLimit, loadBalancing } = rules.datasets[i] as DatasetPlacement;
    const tenant = stats.tenants[dataset.tenant]?.tenantId ?? "";
    const bytesPerSec = loads[i] as number;
    const shards = shardLoads(stats, dataset);
    return { tenant, dataset: dataset.name, datasetShardLimit, loadBalancing, bytesPerSec, shards };
  });
}

/** Limits of one tenant after another, each looked up once. */
export function limitsFrom({ global, own }: LimitTable): (tenant: string) => PlacementLimits {
  const byTenant = new Map(own);
  return (tenant) => byTenant.get(tenant) ?? global;
}

/** When it was made is the last field, so that what it says is a beginning of the bytes. */
function encodeRules(rules: PlacementRules): EncodedObject {
  const bytes = encodePlacementRules(rules);
  const { createdAtNs } = rules;
  const tail = encodePlacementRules({ tenants: [], datasets: [], createdAtNs });
  return { bytes, contentBytes: bytes.length - tail.length };
}

function encodeStats({ stats }: BuiltStatistics): EncodedObject {
  const bytes = encodeDistributionStats(stats);
  const { createdAtNs } = stats;
  const empty = { tenants: [], datasets: [], shards: [], createdAtNs };
  return { bytes, contentBytes: bytes.length - encodeDistributionStats(empty).length };
}
