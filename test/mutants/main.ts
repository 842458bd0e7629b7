/**
 * `npm run mutants [-- --only id,id] [--canary] [--sample N] [--list] [--lanes N] [--seed N] [--timeout-s N]`
 *
 * Puts known bugs back, one at a time, and demands that the checks of this project find each of them, for the right
 * reason. The canary is the bug that everything must find: a run in which it survives tests nothing. `--sample` takes
 * the canary and N others, drawn by the seed: what every push can afford, with another choice each time.
 *
 * Progress goes to stderr, one JSON line to stdout. Exit status 1 when a mutant survives.
 */

import { parseArgs } from "node:util";
import { Prng } from "../../src/base/index.ts";
import { CANARY, MUTANTS } from "./catalog/index.ts";
import { endChildren } from "./killers.ts";
import { medianSeeds, runMutants } from "./run.ts";
import type { Mutant } from "./types.ts";
import { staleReason } from "./workshop.ts";

interface Settings {
  readonly only: string | undefined;
  readonly canary: boolean;
  readonly sample: string | undefined;
  readonly seed: number;
}

function choose({ only, canary, sample, seed }: Settings): Mutant[] {
  if (canary) return MUTANTS.filter(({ id }) => id === CANARY);
  if (sample !== undefined) return drawSample(Number(sample), seed);
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
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      canary: { type: "boolean", default: false },
      sample: { type: "string" },
      list: { type: "boolean", default: false },
      kinds: { type: "string" },
      lanes: { type: "string", default: "2" },
      seed: { type: "string", default: "1" },
      "timeout-s": { type: "string", default: "300" },
    },
  });
  const { only, canary: isCanaryOnly, sample } = values;
  const seed = Number(values.seed);
  const mutants = choose({ only, canary: isCanaryOnly, sample, seed }).map((mutant) =>
    values.kinds === undefined ? mutant : onlyKinds(mutant, values.kinds.split(",")),
  );
  if (values.list) {
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
    lanes: Math.min(Number(values.lanes), mutants.length),
    firstSeed: seed,
    timeoutMs: Number(values["timeout-s"]) * 1000,
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
