/**
 * `npm run mutants`
 *
 * Puts known bugs back, one at a time, and demands that the checks of this project find each of them, for the right
 * reason. The canary is the bug that everything must find: a run in which it survives tests nothing. `--sample` takes
 * the canary and N others, drawn by the seed: what every push can afford, with another choice each time.
 *
 * Progress goes to stderr, one JSON line to stdout. Exit status 1 when a mutant survives.
 */

import { Prng } from "../../src/base/index.ts";
import { parseCommandLine, readCommandLine, wholeNumber } from "../support/command-line.ts";
import { CANARY, MUTANTS } from "./catalog/index.ts";
import { endChildren } from "./killers.ts";
import { medianSeeds, runMutants } from "./run.ts";
import type { Mutant } from "./types.ts";
import { staleReason } from "./workshop.ts";

const LANES_MAX = 64;
const TIMEOUT_MAX_S = 86_400;

const USAGE = `npm run mutants -- [options]: puts known bugs back and demands that the checks find each of them
  --only ID,ID    these; see --list
  --canary        the one that everything must find
  --sample N      the canary and N others, drawn by the seed
  --kinds K,K     what these killers alone can do: sim, explore, crashpoints, test
  --lanes N       at a time, 2
  --seed N        first seed of the simulator, and of --sample, 1
  --timeout-s N   a killer that takes longer has not found it, 300
  --list          names them and what they do`;

interface Settings {
  readonly only: string | undefined;
  readonly canary: boolean;
  /** Mutants beside the canary; null: not asked for. */
  readonly sample: number | null;
  readonly kinds: readonly string[] | null;
  readonly list: boolean;
  readonly lanes: number;
  readonly seed: number;
  readonly timeoutMs: number;
}

function readSettings(argv: readonly string[]): Settings | null {
  const parsed = parseCommandLine(
    {
      only: { type: "string" },
      canary: { type: "boolean", default: false },
      sample: { type: "string" },
      list: { type: "boolean", default: false },
      kinds: { type: "string" },
      lanes: { type: "string", default: "2" },
      seed: { type: "string", default: "1" },
      "timeout-s": { type: "string", default: "300" },
    },
    argv,
  );
  if (parsed === null) return null;
  const { only, canary, list, ...texts } = parsed.values;
  return {
    only,
    canary,
    list,
    sample:
      texts.sample === undefined ? null : wholeNumber("sample", texts.sample, 0, MUTANTS.length),
    kinds: texts.kinds?.split(",") ?? null,
    lanes: wholeNumber("lanes", texts.lanes, 1, LANES_MAX),
    seed: wholeNumber("seed", texts.seed, 0, Number.MAX_SAFE_INTEGER),
    timeoutMs: wholeNumber("timeout-s", texts["timeout-s"], 1, TIMEOUT_MAX_S) * 1000,
  };
}

function choose({ only, canary, sample, seed }: Settings): Mutant[] {
  if (canary) return MUTANTS.filter(({ id }) => id === CANARY);
  if (sample !== null) return drawSample(sample, seed);
  if (only === undefined) return [...MUTANTS];
  return only.split(",").map((id) => {
    const found = MUTANTS.find((mutant) => mutant.id === id);
    if (found === undefined) throw new Error(`There is no mutant "${id}"; see --list`);
    return found;
  });
}

function drawSample(count: number, seed: number): Mutant[] {
  const prng = new Prng(seed);
  const others = MUTANTS.filter(({ id }) => id !== CANARY);
  const drawn = MUTANTS.filter(({ id }) => id === CANARY);
  while (drawn.length <= count && others.length > 0) {
    drawn.push(...others.splice(prng.nextInt(others.length), 1));
  }
  return drawn;
}

/** With `--kinds explore,test`: what those killers alone can do. */
function onlyKinds(mutant: Mutant, kinds: readonly string[]): Mutant {
  return { ...mutant, killers: mutant.killers.filter(({ kind }) => kinds.includes(kind)) };
}

async function main(): Promise<number> {
  const settings = readCommandLine(USAGE, readSettings);
  const { kinds, seed } = settings;
  const mutants = choose(settings).map((mutant) =>
    kinds === null ? mutant : onlyKinds(mutant, kinds),
  );
  if (settings.list) {
    for (const { id, reference, does } of mutants) {
      process.stdout.write(`${id}\n    ${does} [${reference}]\n`);
    }
    return 0;
  }
  const stale = mutants.flatMap(({ id, edits }) =>
    edits.map(staleReason).flatMap((reason) => (reason === null ? [] : [`${id}: ${reason}`])),
  );
  if (stale.length > 0) throw new Error(`Stale mutants:\n  ${stale.join("\n  ")}`);
  const startedAtMs = Date.now();
  const { kills, survivors } = await runMutants({
    mutants,
    lanes: Math.min(settings.lanes, mutants.length),
    firstSeed: seed,
    timeoutMs: settings.timeoutMs,
    onProgress: (text) => process.stderr.write(`${text}\n`),
  });
  const canary = kills.find(({ id }) => id === CANARY);
  const isCanaryAsked = mutants.some(({ id }) => id === CANARY);
  const isPassed = survivors.length === 0 && (canary !== undefined || !isCanaryAsked);
  const report = {
    command: ["mutants", ...process.argv.slice(2)].join(" "),
    seed,
    mutants: mutants.length,
    killed: kills.length,
    survivors,
    medianSeedsToKill: medianSeeds(kills),
    canary: canary ?? (isCanaryAsked ? "survived" : "not run"),
    kills: kills.map(({ id, killedBy, seeds, seconds }) => ({ id, killedBy, seeds, seconds })),
    seconds: Math.round((Date.now() - startedAtMs) / 1000),
    verdict: isPassed ? "pass" : "fail",
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return isPassed ? 0 : 1;
}

process.on("SIGINT", () => {
  endChildren();
  process.exit(130);
});

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(`mutants: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
