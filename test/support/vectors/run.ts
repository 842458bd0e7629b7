/** Runs whole vector files, case by case, each against a fresh target. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { StepRunner } from "./steps.ts";
import type { Case, Step, VectorFile, VectorTargets } from "./types.ts";

export interface LoadedFile {
  /** File name without .json. */
  readonly name: string;
  readonly content: VectorFile;
}

export interface CaseOutcome {
  readonly file: string;
  readonly case: string;
  /** What went wrong, or null. */
  readonly failure: string | null;
}

/** Every vector file of a directory, by name. Errors: names the file that is not one. */
export function loadVectors(directory: string): LoadedFile[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(".json"));
  if (names.length === 0) throw new Error(`No vector files (*.json) in ${directory}`);
  return names.sort().map((name) => {
    const content = JSON.parse(readFileSync(join(directory, name), "utf8")) as VectorFile;
    if (content.format !== 1 || !Array.isArray(content.cases)) {
      throw new Error(`${join(directory, name)} is not a vector file of format 1`);
    }
    return { name: name.replace(/\.json$/, ""), content };
  });
}

/** Runs setup and steps of one case. Result: the first thing that went wrong, or null. */
export async function runCase(
  file: VectorFile,
  vectorCase: Case,
  targets: VectorTargets,
): Promise<string | null> {
  const steps = [...file.setup, ...vectorCase.steps];
  const target = await targets.create({ earliestAppendedAtMs: earliestAppendedAt(steps) });
  try {
    const runner = new StepRunner(target);
    for (const [i, step] of steps.entries()) {
      const problem = await runner.run(step);
      if (problem === null) continue;
      const inSetup = i < file.setup.length;
      const position = inSetup ? `setup step ${i + 1}` : `step ${i + 1 - file.setup.length}`;
      return `${position}, ${problem}`;
    }
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    await target.close();
  }
}

function earliestAppendedAt(steps: readonly Step[]): number | null {
  const times = steps.flatMap(({ log }) =>
    log?.appended_at === undefined ? [] : [Date.parse(log.appended_at)],
  );
  return times.length === 0 ? null : Math.min(...times);
}
