/**
 * `npm run explore`
 *
 * Every state that a small cluster of production cores can reach within bounds, each checked. Progress and the way to
 * a violation go to stderr, one JSON line to stdout. Exit status 1 on a violation, or when fewer distinct states were
 * seen than the bounds promise.
 */

import { MUTANTS } from "../mutants/catalog/index.ts";
import { runMutants } from "../mutants/run.ts";
import { parseCommandLine, readCommandLine, wholeNumber } from "../support/command-line.ts";
import { type ExploreResult, Explorer } from "./explorer.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";
import { PrefixViolation } from "./script.ts";

/** Distinct states over all scenarios that a full run has to see. */
const STATES_MIN = 1_000_000;
/** More fit into no memory. */
const STATES_MAX = 1_000_000_000;

const USAGE = `npm run explore -- [options]: every state that a small cluster can reach within bounds, each checked
  --scenario NAME  this one alone; see --list
  --states N       at most so many per scenario, 1000000
  --list           names them and what they are about`;

interface Settings {
  readonly scenario: string | undefined;
  readonly statesMax: number;
  readonly list: boolean;
}

function readSettings(argv: readonly string[]): Settings | null {
  const parsed = parseCommandLine(
    {
      scenario: { type: "string" },
      states: { type: "string", default: "1000000" },
      list: { type: "boolean", default: false },
    },
    argv,
  );
  if (parsed === null) return null;
  const { scenario, states, list } = parsed.values;
  return { scenario, list, statesMax: wholeNumber("states", states, 1, STATES_MAX) };
}

interface Row extends ExploreResult {
  readonly name: string;
  readonly seconds: number;
}

function runScenario(scenario: Scenario, statesMax: number): Row {
  const startedAtMs = Date.now();
  const result = search(scenario, statesMax);
  const seconds = Math.round((Date.now() - startedAtMs) / 100) / 10;
  const end = result.isComplete ? "complete" : "stopped at the bound on states";
  process.stderr.write(
    `${scenario.name}: ${result.states} states, depth ${result.depth}, ` +
      `${result.memberStates} member states, core ran ${result.coreRuns} times, ${seconds} s, ${end}\n`,
  );
  if (result.violation !== null) {
    process.stderr.write(`${result.violation.problem}\n`);
    result.violation.story.forEach((line, i) => {
      process.stderr.write(`  ${i + 1}. ${line}\n`);
    });
  }
  return { name: scenario.name, seconds, ...result };
}

function search(scenario: Scenario, statesMax: number): ExploreResult {
  const onProgress = (states: number, depth: number): void => {
    process.stderr.write(`  ${scenario.name}: ${states} states, depth ${depth}\n`);
  };
  try {
    return new Explorer(scenario).run({ statesMax, onProgress });
  } catch (error) {
    if (!(error instanceof PrefixViolation)) throw error;
    const violation = { problem: error.message, story: ["on the way to the start of the search"] };
    const nothing = { states: 0, transitions: 0, depth: 0, coreRuns: 0, memberStates: 0 };
    return { ...nothing, isComplete: false, violation };
  }
}

/** The two bugs that a search of this kind has to find: a full run proves on itself that it can. */
const MUTANTS_TO_FIND = ["single-server-change", "commit-prior-term"];

async function huntMutants(): Promise<{ found: Record<string, string>; isComplete: boolean }> {
  const mutants = MUTANTS.filter(({ id }) => MUTANTS_TO_FIND.includes(id)).map((mutant) => ({
    ...mutant,
    killers: mutant.killers.filter(({ kind }) => kind === "explore"),
  }));
  const { kills, survivors } = await runMutants({
    mutants,
    lanes: 1,
    firstSeed: 1,
    timeoutMs: 120_000,
    onProgress: (text) => process.stderr.write(`${text}\n`),
  });
  const found: Record<string, string> = {};
  for (const { id, reason } of kills) found[id] = reason;
  for (const { id } of survivors) found[id] = "not found";
  return { found, isComplete: kills.length === MUTANTS_TO_FIND.length };
}

async function main(): Promise<number> {
  const settings = readCommandLine(USAGE, readSettings);
  if (settings.list) {
    for (const { name, about } of SCENARIOS) process.stdout.write(`${name}  ${about}\n`);
    return 0;
  }
  const chosen = SCENARIOS.filter(({ name, isFocused }) =>
    settings.scenario === undefined ? !isFocused : name === settings.scenario,
  );
  if (chosen.length === 0) throw new Error(`No scenario "${settings.scenario}"; see --list`);
  const startedAtMs = Date.now();
  const rows: Row[] = [];
  for (const scenario of chosen) {
    const row = runScenario(scenario, settings.statesMax);
    rows.push(row);
    if (row.violation !== null) break;
  }
  const sum = (pick: (row: Row) => number): number =>
    rows.reduce((total, row) => total + pick(row), 0);
  const violated = rows.find((row) => row.violation !== null);
  const states = sum((row) => row.states);
  const isEnough = settings.scenario !== undefined || states >= STATES_MIN;
  // A single scenario is what the mutants themselves are hunted with.
  const hunt = settings.scenario === undefined ? await huntMutants() : null;
  const isPassed = violated === undefined && isEnough && hunt?.isComplete !== false;
  const [invariant, message] = splitProblem(violated?.violation?.problem ?? "");
  const report = {
    command: ["explore", ...process.argv.slice(2)].join(" "),
    states,
    transitions: sum((row) => row.transitions),
    depth: Math.max(...rows.map((row) => row.depth)),
    seconds: Math.round((Date.now() - startedAtMs) / 100) / 10,
    coreRuns: sum((row) => row.coreRuns),
    scenarios: rows.map(({ name, states: count, depth, seconds, isComplete }) => {
      return { name, states: count, depth, seconds, isComplete };
    }),
    violations: violated === undefined ? 0 : 1,
    firstViolation: violated === undefined ? null : { invariant, message, scenario: violated.name },
    ...(hunt === null ? {} : { mutants: hunt.found }),
    verdict: isPassed ? "pass" : "fail",
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return isPassed ? 0 : 1;
}

function splitProblem(problem: string): [string, string] {
  const at = problem.indexOf(": ");
  return at < 0 ? [problem, ""] : [problem.slice(0, at), problem.slice(at + 2)];
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(`explore: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
