/**
 * `npm run sim`: runs seeds, prints one JSON line, and exits with 1 on a violation, on a run that has not met what it
 * claims to test, or on two runs of one seed that differ.
 */

import { availableParallelism } from "node:os";
import { oneOf, parseCommandLine, readCommandLine, wholeNumber } from "../support/command-line.ts";
import { Coverage } from "./coverage.ts";
import { runSeeds } from "./pool.ts";
import { FAULT_CLASSES, PROFILES, TERM_FAULTS } from "./plan.ts";
import { replayLine, shrink } from "./shrink.ts";
import { PHASES, type SimOptions, type SimResult } from "./simulate.ts";

/** Below so many seeds a zero counter is chance, not a hole in the simulator. */
const COVERAGE_SEEDS_MIN = 200;
const EVENTS_DEFAULT = 50_000;
const WORKERS_MAX = 256;
const EVENTS_MAX = 1_000_000_000;

const USAGE = `npm run sim -- [options]: random faults on simulated clusters of the production code, every promise checked
  --seeds N      so many seeds, one after the other, 1
  --seed S       the first of them; without it fresh ones, told in the line that is printed. Alone: replays one
  --events N     per seed, ${EVENTS_DEFAULT}
  --phase NAME   ${PHASES.join(", ")}; all
  --profile NAME ${PROFILES.join(", ")}; default
  --without A,B  leaves faults out: ${[...FAULT_CLASSES, ...TERM_FAULTS].join(", ")}
  --workers N    processes at a time; one per core
  --twice        every seed again, in other processes: the traces must be the same
  --no-shrink    does not look for a shorter run that fails, too`;

interface Arguments {
  readonly firstSeed: number;
  readonly seeds: number;
  readonly workers: number;
  readonly isTwice: boolean;
  readonly mayShrink: boolean;
  readonly options: SimOptions;
}

async function main(): Promise<void> {
  const args = readCommandLine(USAGE, readArguments);
  const startedAtMs = performance.now();
  const progress = new Progress(args.seeds);
  const results = await runSeeds(args, { isJitless: false }, (result) => progress.note(result));
  const seconds = (performance.now() - startedAtMs) / 1000;
  const again =
    args.isTwice && failedOf(results) === null
      ? await runSeeds(args, { isJitless: true }, () => {})
      : [];
  await report(args, { results, again, seconds });
}

interface Outcome {
  readonly results: readonly SimResult[];
  /** The same seeds a second time, in other processes; empty when not asked for. */
  readonly again: readonly SimResult[];
  readonly seconds: number;
}

async function report(args: Arguments, { results, again, seconds }: Outcome): Promise<void> {
  const coverage = new Coverage();
  for (const result of results) coverage.add(result.coverage);
  const events = results.reduce((sum, result) => sum + result.events, 0);
  const failed = failedOf(results);
  const differing = again
    .filter(
      (other) => results.find(({ seed }) => seed === other.seed)?.traceHash !== other.traceHash,
    )
    .map(({ seed }) => seed);
  const isWide =
    args.seeds >= COVERAGE_SEEDS_MIN &&
    args.options.profile === "default" &&
    args.options.without.size === 0;
  const missing =
    isWide && failed === null ? coverage.missing(args.options.phase !== "safety") : [];
  const isGood = failed === null && differing.length === 0 && missing.length === 0;
  let shrunk: string | null = null;
  if (failed !== null) shrunk = await explain(args, failed);
  const line = {
    command: "sim",
    firstSeed: args.firstSeed,
    seeds: results.length,
    profile: args.options.profile,
    phase: args.options.phase,
    events,
    eventsPerSecond: Math.round(events / seconds),
    eventsPerCpuSecond: Math.round(
      (events * 1000) / results.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    ),
    violations: results.filter(({ violation }) => violation !== null).length,
    firstViolation:
      failed === null
        ? null
        : {
            seed: failed.seed,
            invariant: failed.violation?.invariant,
            message: failed.violation?.message.slice(0, 2000),
          },
    replay: failed === null ? null : replayLine(failed.seed, args.options),
    shrunk,
    missingCoverage: missing,
    differingSeeds: differing,
    coverage: coverage.counts,
    traceHash: combinedHash(results),
    verdict: isGood ? "pass" : "fail",
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
  if (!isGood) process.exitCode = 1;
}

/** Tells what failed and how to see it again; returns the shortest line that still fails. */
async function explain(args: Arguments, failed: SimResult): Promise<string | null> {
  const { violation, seed } = failed;
  process.stderr.write(`\nseed ${seed}: ${violation?.message ?? ""}\n`);
  for (const line of violation?.recent.slice(-24) ?? []) process.stderr.write(`  ${line}\n`);
  process.stderr.write(`replay: ${replayLine(seed, args.options)}\n`);
  if (!args.mayShrink) return null;
  const smaller = await shrink(seed, args.options, failed);
  const line = replayLine(seed, smaller);
  process.stderr.write(`shrunk: ${line}\n`);
  return line;
}

/** The first failing seed, in order of the seeds. */
function failedOf(results: readonly SimResult[]): SimResult | null {
  return results.find(({ violation }) => violation !== null) ?? null;
}

function combinedHash(results: readonly SimResult[]): string {
  let hash = 0;
  for (const { traceHash } of results) hash = (Math.imul(hash, 31) + traceHash) | 0;
  return (hash >>> 0).toString(16).padStart(8, "0");
}

function readArguments(argv: readonly string[]): Arguments | null {
  const parsed = parseCommandLine(
    {
      seeds: { type: "string", default: "1" },
      seed: { type: "string" },
      events: { type: "string", default: String(EVENTS_DEFAULT) },
      phase: { type: "string", default: "all" },
      profile: { type: "string", default: "default" },
      without: { type: "string", default: "" },
      workers: { type: "string", default: String(availableParallelism()) },
      twice: { type: "boolean", default: false },
      "no-shrink": { type: "boolean", default: false },
    },
    argv,
  );
  if (parsed === null) return null;
  const { values } = parsed;
  const freshSeed = String(Date.now() % 1_000_000_000);
  const without = values.without.split(",").filter((name) => name !== "");
  return {
    firstSeed: wholeNumber("seed", values.seed ?? freshSeed, 0, Number.MAX_SAFE_INTEGER),
    seeds: wholeNumber("seeds", values.seeds, 1, 1_000_000_000),
    workers: wholeNumber("workers", values.workers, 1, WORKERS_MAX),
    isTwice: values.twice,
    mayShrink: !values["no-shrink"],
    options: {
      events: wholeNumber("events", values.events, 1, EVENTS_MAX),
      phase: oneOf("phase", values.phase, PHASES),
      profile: oneOf("profile", values.profile, PROFILES),
      without: new Set(
        without.map((name) => oneOf("without", name, [...FAULT_CLASSES, ...TERM_FAULTS])),
      ),
    },
  };
}

class Progress {
  readonly #seeds: number;
  #done = 0;
  #events = 0;
  readonly #startedAtMs = performance.now();
  #toldAtMs = 0;

  constructor(seeds: number) {
    this.#seeds = seeds;
  }

  note({ events }: SimResult): void {
    this.#done += 1;
    this.#events += events;
    const nowMs = performance.now();
    if (nowMs - this.#toldAtMs < 5_000) return;
    this.#toldAtMs = nowMs;
    const rate = Math.round(this.#events / ((nowMs - this.#startedAtMs) / 1000));
    process.stderr.write(`${this.#done}/${this.#seeds} seeds, ${rate} events/s\n`);
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(
    `sim: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exitCode = 2;
}
