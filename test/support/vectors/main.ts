/**
 * `npm run vectors`
 *
 * Runs every case of every vector file in the directory, prints one line per case and the totals, and exits with 1
 * when a case fails. `--via ws` starts a real server per case and talks to it as a client would; with `--via grpc` that
 * is a client of another make, for everything that the gRPC contract has. `--every N` runs each Nth case of the index,
 * beginning with the one at K: a server takes seconds to start, and a CI run need not start one for every case twice.
 */

import { oneOf, parseCommandLine, readCommandLine, wholeNumber } from "../command-line.ts";
import { createEngineTargets } from "./engine-target.ts";
import { startGrpcTarget } from "./grpc-target.ts";
import {
  type CompactionOutcome,
  loadCompactionVectors,
  type LoadedCompactionFile,
  runCompactionCase,
} from "./compaction/run.ts";
import { type CaseOutcome, loadVectors, runCase } from "./run.ts";
import { createServerTargets } from "./server-target.ts";
import type { VectorTargets } from "./types.ts";

/** Cases at a time: most of the time goes into starting servers, and CI has two cores. */
const LANES = 2;

const VIA = ["engine", "ws", "grpc"] as const;

const USAGE = `npm run vectors -- DIRECTORY [options]: every case of every vector file in the directory
  --via NAME  ${VIA.join(", ")}; engine. The other two start a server per case and talk to it
  --every N   each Nth case alone, 1
  --from K    beginning with the one at K, 0
  --json      one JSON document instead of a line per case`;

interface Settings {
  readonly directory: string;
  readonly via: (typeof VIA)[number];
  readonly share: { readonly every: number; readonly from: number };
  readonly isJson: boolean;
}

function readSettings(argv: readonly string[]): Settings | null {
  const options = {
    via: { type: "string", default: "engine" },
    every: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
  } as const;
  const parsed = parseCommandLine(options, argv, 1);
  if (parsed === null) return null;
  const { values, positionals } = parsed;
  const directory = positionals[0];
  if (directory === undefined) throw new Error("The directory is missing");
  return {
    directory,
    via: oneOf("via", values.via, VIA),
    share: {
      every: wholeNumber("every", values.every, 1, Number.MAX_SAFE_INTEGER),
      from: wholeNumber("from", values.from, 0, Number.MAX_SAFE_INTEGER),
    },
    isJson: values.json,
  };
}

function createTargets(via: Settings["via"]): VectorTargets {
  if (via === "engine") return createEngineTargets();
  return via === "ws" ? createServerTargets() : createServerTargets(startGrpcTarget);
}

async function main(): Promise<void> {
  const { directory, via, share, isJson } = readCommandLine(USAGE, readSettings);
  const compaction = loadCompactionVectors(directory);
  if (compaction.length > 0) {
    await runCompaction(compaction, isJson);
    return;
  }
  const targets = createTargets(via);
  const outcomes = await runAll(directory, share, targets, (outcome) => {
    if (!isJson) print(outcome);
  }).finally(() => targets.close());
  report(outcomes, via, isJson);
}

async function runAll(
  directory: string,
  { every, from }: Settings["share"],
  targets: VectorTargets,
  onOutcome: (outcome: CaseOutcome) => void,
): Promise<CaseOutcome[]> {
  const waiting = loadVectors(directory)
    .flatMap(({ name, content }) =>
      content.cases.map((vectorCase) => ({ name, content, vectorCase })),
    )
    .filter((_, i) => i % every === from % every);
  const outcomes: CaseOutcome[] = [];
  const lane = async (): Promise<void> => {
    try {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        const failure = await runCase(job.content, job.vectorCase, targets);
        const outcome = { file: job.name, case: job.vectorCase.name, failure };
        outcomes.push(outcome);
        onOutcome(outcome);
      }
    } catch (error) {
      // Nobody begins another case: its target would be made while all targets are closed, and stay for ever.
      waiting.length = 0;
      throw error;
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane));
  for (const ended of lanes) if (ended.status === "rejected") throw ended.reason;
  return outcomes;
}

const MARKS: Readonly<Record<CompactionOutcome["kind"], string>> = {
  passed: "ok   ",
  failed: "FAIL ",
  deviates: "other",
};

/** Compaction vectors are run on the engine alone: they name log positions. */
async function runCompaction(
  files: readonly LoadedCompactionFile[],
  isJson: boolean,
): Promise<void> {
  const outcomes: (CompactionOutcome & { file: string; case: string; class: string })[] = [];
  for (const { name, content } of files) {
    for (const vectorCase of content.cases) {
      const outcome = await runCompactionCase(content, vectorCase);
      outcomes.push({ file: name, case: vectorCase.id, class: vectorCase.class, ...outcome });
      const note = "reason" in outcome ? ` (${outcome.reason})` : "";
      if (!isJson) console.log(`${MARKS[outcome.kind]} ${name}: ${vectorCase.id}${note}`);
      if (!isJson && outcome.kind === "failed")
        console.log(outcome.failure.replace(/^/gm, "      "));
    }
  }
  const count = (kind: string): number => outcomes.filter((o) => o.kind === kind).length;
  const [passed, failed] = [count("passed"), count("failed")];
  const deviating = count("deviates");
  const summary = { schema: "hearth/vectors/v1", via: "engine", passed, failed, deviating };
  const text = `${passed} passed, ${failed} failed, ${deviating} other on purpose`;
  console.log(isJson ? JSON.stringify({ ...summary, cases: outcomes }) : text);
  if (failed > 0) process.exitCode = 1;
}

function print({ file, case: name, failure }: CaseOutcome): void {
  console.log(`${failure === null ? "ok   " : "FAIL "} ${file}: ${name}`);
  if (failure !== null) console.log(failure.replace(/^/gm, "      "));
}

function report(outcomes: readonly CaseOutcome[], via: string, isJson: boolean): void {
  const failed = outcomes.filter(({ failure }) => failure !== null).length;
  const passed = outcomes.length - failed;
  const summary = { schema: "hearth/vectors/v1", via, passed, failed, cases: outcomes };
  console.log(isJson ? JSON.stringify(summary) : `${passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`vectors: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
