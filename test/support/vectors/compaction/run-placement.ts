/** Runs the cases of the placement, as the README of the vectors describes them. */

import {
  chooseBalancing,
  PinSet,
  PlacementPolicies,
  PlacementRuler,
  type PlacementSample,
  PlacementStatistics,
  RateTable,
  ShardAllocator,
  standardDeviation,
  tauOfHalfLife,
  tauOfLifetime,
} from "../../../../src/leader/index.ts";
import { LOAD_BALANCING } from "../../../../src/protocol/index.ts";
import {
  difference,
  limitsByTenant,
  type LimitsJson,
  limitsOf,
  type RulesJson,
  rulesOf,
  type StatsJson,
  statsOf,
} from "./placement-json.ts";
import type { NsText } from "./types.ts";

type CaseRunner = (vectorCase: never) => string | null;

/** By the kind of a file. Each returns null, or what came out differently. */
export const PLACEMENT_KINDS: Readonly<Record<string, CaseRunner>> = {
  ewma: runRate,
  shard_allocator: runAllocator,
  load_balancing: runBalancing,
  distribution_stats: runStatistics,
  ruler: runRuler,
  placement_policy: runPolicy,
};

/** The first step with another outcome. */
function firstFailure<Step>(
  steps: readonly Step[],
  run: (step: Step) => string | null,
): string | null {
  for (const [i, step] of steps.entries()) {
    const failure = run(step);
    if (failure !== null) return `step ${i + 1}: ${failure}`;
  }
  return null;
}

interface RateCase {
  readonly tolerance_relative: number;
  readonly half_life_ns?: NsText;
  readonly lifetime_ns?: NsText;
  readonly steps: readonly (
    | { readonly op: "update"; readonly t_ns: NsText; readonly v: number }
    | {
        readonly op: "update_every";
        readonly start_ns: NsText;
        readonly step_ns: NsText;
        readonly count: number;
        readonly v: number;
      }
    | { readonly op: "value"; readonly t_ns: NsText; readonly expect: number }
  )[];
}

function runRate(vectorCase: RateCase): string | null {
  const { half_life_ns: halfLife, lifetime_ns: lifetime, tolerance_relative } = vectorCase;
  const tau =
    halfLife === undefined ? tauOfLifetime(Number(lifetime)) : tauOfHalfLife(Number(halfLife));
  const rates = new RateTable(tau);
  const rate = rates.add();
  return firstFailure(vectorCase.steps, (step) => {
    if (step.op === "update") rates.update(rate, step.v, Number(step.t_ns));
    if (step.op === "update_every") {
      for (let i = 0; i < step.count; i++)
        rates.update(rate, step.v, Number(step.start_ns) + i * Number(step.step_ns));
    }
    if (step.op !== "value") return null;
    const value = rates.value(rate, Number(step.t_ns));
    const isNear = Math.abs(value - step.expect) <= tolerance_relative * Math.abs(step.expect);
    return isNear ? null : `expected ${step.expect}, got ${value}`;
  });
}

interface AllocatorCase {
  readonly limits: LimitsJson;
  readonly steps: readonly {
    readonly usage: number;
    readonly now_ns: NsText;
    readonly limits?: LimitsJson;
    readonly expect: number;
  }[];
}

function runAllocator(vectorCase: AllocatorCase): string | null {
  const allocator = new ShardAllocator();
  let limits = limitsOf(vectorCase.limits);
  return firstFailure(vectorCase.steps, (step) => {
    if (step.limits !== undefined) limits = limitsOf(step.limits);
    const shards = allocator.observe(step.usage, Number(step.now_ns), limits);
    return shards === step.expect ? null : `expected ${step.expect} shards, got ${shards}`;
  });
}

interface BalancingCase {
  readonly usage: readonly number[];
  readonly unit_size_bytes: number;
  readonly target: number;
  readonly std_dev?: number;
  readonly expect: { readonly strategy: string; readonly std_dev?: number };
}

function runBalancing(vectorCase: BalancingCase): string | null {
  const { usage, unit_size_bytes: unitSizeBytes, target } = vectorCase;
  const stdDev = vectorCase.std_dev ?? standardDeviation(usage);
  const chosen = chooseBalancing({ usage, stdDev, unitSizeBytes, target });
  const strategy = chosen === LOAD_BALANCING.roundRobin ? "round-robin" : "fingerprint";
  const computed = vectorCase.std_dev === undefined ? { std_dev: stdDev } : {};
  return difference(vectorCase.expect, { strategy, ...computed });
}

interface StatisticsCase {
  readonly window_ns: NsText;
  readonly steps: readonly (
    | {
        readonly op: "record";
        readonly t_ns: NsText;
        readonly samples: readonly (Omit<PlacementSample, "sizeBytes"> & {
          readonly size: number;
        })[];
      }
    | { readonly op: "expire"; readonly t_ns: NsText }
    | { readonly op: "build"; readonly t_ns: NsText; readonly expect: StatsJson }
  )[];
}

function runStatistics(vectorCase: StatisticsCase): string | null {
  const statistics = new PlacementStatistics(Number(vectorCase.window_ns));
  return firstFailure(vectorCase.steps, (step) => {
    const nowNs = Number(step.t_ns);
    if (step.op === "expire") statistics.expire(nowNs);
    if (step.op === "record") {
      for (const { size, ...sample } of step.samples)
        statistics.record({ ...sample, sizeBytes: size }, nowNs);
    }
    if (step.op !== "build") return null;
    const { stats } = statistics.build(nowNs, BigInt(step.t_ns));
    return difference(statsOf(step.expect), stats);
  });
}

interface RulerCase {
  readonly limits: Readonly<Record<string, LimitsJson>>;
  readonly steps: readonly (
    | { readonly op: "load"; readonly rules: RulesJson }
    | { readonly op: "build"; readonly stats: StatsJson; readonly expect: RulesJson }
    | { readonly op: "expire"; readonly t_ns: NsText }
  )[];
}

function runRuler(vectorCase: RulerCase): string | null {
  const ruler = new PlacementRuler({ deviation: "published" });
  const pins = new PinSet();
  return firstFailure(vectorCase.steps, (step) => {
    if (step.op === "load") ruler.load(rulesOf(step.rules), Number(step.rules.created_at_ns));
    if (step.op === "expire") ruler.expire(Number(step.t_ns), pins);
    if (step.op !== "build") return null;
    const stats = statsOf(step.stats);
    const rules = ruler.build({
      built: { stats, deviations: [] },
      nowNs: Number(stats.createdAtNs),
      createdAtNs: stats.createdAtNs,
      limitsOf: limitsByTenant(vectorCase.limits),
      pins,
    });
    return difference(rulesOf(step.expect), rules);
  });
}

interface PolicyCase {
  readonly limits: Readonly<Record<string, LimitsJson>>;
  readonly rules: RulesJson | null;
  readonly keys: readonly {
    readonly tenant: string;
    readonly dataset: string;
    readonly expect: {
      readonly tenant_shards: number;
      readonly dataset_shards: number;
      readonly strategy: string;
    };
  }[];
}

function runPolicy(vectorCase: PolicyCase): string | null {
  const rules = vectorCase.rules === null ? null : rulesOf(vectorCase.rules);
  const policies = new PlacementPolicies(rules, limitsByTenant(vectorCase.limits));
  return firstFailure(vectorCase.keys, ({ tenant, dataset, expect }) => {
    const { tenantShards, datasetShards, strategy } = policies.of(tenant, dataset);
    const found = { tenant_shards: tenantShards, dataset_shards: datasetShards, strategy };
    return difference(expect, found);
  });
}
