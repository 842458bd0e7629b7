/** The one line that a run ends with. Nothing that was not exercised may pass. */

import type { Fault } from "./faults/types.ts";
import { OUTCOME, type Violation } from "./history.ts";
import type { Load } from "./load/load.ts";
import { type ChaosOptions, replayLine } from "./options.ts";

/** What a run collects on its way. */
export interface RunFacts {
  /** What has really happened, by name. */
  readonly counters: Map<string, number>;
  readonly recoveriesMs: number[];
  readonly violations: Violation[];
  /** Entries of writes in the logs that were read. */
  logEntries: number;
  /** Keys whose operations were checked blindly and of which reads saw something. */
  keysChecked: number;
}

export interface Verdict {
  readonly command: "chaos";
  readonly verdict: "pass" | "fail";
  readonly [fact: string]: unknown;
}

export interface VerdictInput {
  readonly options: ChaosOptions;
  readonly fault: Fault;
  /** Null when the cluster did not even start. */
  readonly load: Load | null;
  readonly facts: RunFacts;
  readonly elapsedMs: number;
}

const VIOLATIONS_SHOWN = 10;

export function verdictOf({ options, fault, load, facts, elapsedMs }: VerdictInput): Verdict {
  const violations = [...facts.violations, ...(load?.violations ?? [])];
  const coverage = coverageOf(options, fault, load, facts);
  const uncovered = Object.keys(coverage).filter((name) => coverage[name] === 0);
  const recovery = recoveryOf(facts.recoveriesMs);
  // Alone, a node is back when it has started: that is no election.
  const isRecoveryJudged = hasRecoveryLimit(fault) && options.nodeCount > 1;
  const isSlow = isRecoveryJudged && isOverLimit(fault, recovery, options.recoveryFactor);
  const isPassed = violations.length === 0 && uncovered.length === 0 && !isSlow;
  const count = (check: string): number => violations.filter((v) => v.check === check).length;
  return {
    command: "chaos",
    fault: fault.name,
    workload: options.workload,
    seed: options.seed,
    nodes: options.nodeCount,
    clients: options.clientCount,
    operations: operationsOf(load),
    failures: Object.fromEntries([...(load?.failures ?? [])].sort()),
    lost: count("lost"),
    appliedTwice: count("applied-twice"),
    stale: count("stale"),
    nonMonotonic: count("non-monotonic"),
    nonLinearizable: count("linearizable"),
    recovery: { ...recovery, isWithinTarget: isRecoveryJudged ? !isSlow : null },
    coverage,
    uncovered,
    violations: violations.length,
    firstViolations: violations.slice(0, VIOLATIONS_SHOWN),
    replay: replayLine(options),
    seconds: Math.round(elapsedMs / 1_000),
    verdict: isPassed ? "pass" : "fail",
  };
}

function hasRecoveryLimit({ recoveryMaxMs, recoveryP99MaxMs }: Fault): boolean {
  return recoveryMaxMs !== undefined || recoveryP99MaxMs !== undefined;
}

function isOverLimit(fault: Fault, { maxMs, p99Ms }: Recovery, factor: number): boolean {
  const { recoveryMaxMs = Number.POSITIVE_INFINITY, recoveryP99MaxMs = Number.POSITIVE_INFINITY } =
    fault;
  return (maxMs ?? 0) > factor * recoveryMaxMs || (p99Ms ?? 0) > factor * recoveryP99MaxMs;
}

function operationsOf(load: Load | null): object {
  const writes = load?.writes ?? [];
  const countOf = (outcome: string): number =>
    writes.filter((write) => write.outcome === outcome).length;
  return {
    writesAcked: countOf(OUTCOME.acked),
    writesRefused: countOf(OUTCOME.refused),
    writesUnknown: countOf(OUTCOME.unknown),
    reads: load?.reads.length ?? 0,
    byNode: Object.fromEntries(load?.answeredBy ?? []),
  };
}

/** Everything here must be above zero. */
function coverageOf(
  options: ChaosOptions,
  fault: Fault,
  load: Load | null,
  facts: RunFacts,
): Record<string, number> {
  const coverage: Record<string, number> = {
    ackedWrites: load?.writes.filter(({ outcome }) => outcome === OUTCOME.acked).length ?? 0,
    readsWithIndex: load?.reads.filter(({ appliedIndex }) => appliedIndex > 0).length ?? 0,
    nodesThatAnsweredWrites: [...(load?.answeredBy.values() ?? [])].filter((c) => c.writes > 0)
      .length,
    nodesThatAnsweredReads: [...(load?.answeredBy.values() ?? [])].filter((c) => c.reads > 0)
      .length,
    logEntriesAudited: facts.logEntries,
    keysCheckedBlindly: facts.keysChecked,
  };
  const wanted = options.times === 0 ? [] : fault.coverage;
  for (const name of wanted) coverage[name] = 0;
  for (const [name, value] of facts.counters) coverage[name] = value;
  return coverage;
}

interface Recovery {
  readonly samples: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
}

function recoveryOf(durationsMs: readonly number[]): Recovery {
  const sorted = [...durationsMs].sort((a, b) => a - b);
  const at = (quantile: number): number | null => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))];
    return value === undefined ? null : Math.round(value);
  };
  return { samples: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
