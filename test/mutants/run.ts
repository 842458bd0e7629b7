/** Runs mutants against their killers, several at a time, and adds up what survived. */

import { attempt } from "./killers.ts";
import type { Kill, Mutant, Survivor } from "./types.ts";
import { Workshop } from "./workshop.ts";

export interface RunOptions {
  readonly mutants: readonly Mutant[];
  /** Copies that work at the same time. */
  readonly lanes: number;
  readonly firstSeed: number;
  /** Per killer. */
  readonly timeoutMs: number;
  readonly onProgress: (text: string) => void;
}

export interface RunResult {
  readonly kills: readonly Kill[];
  readonly survivors: readonly Survivor[];
}

export async function runMutants(options: RunOptions): Promise<RunResult> {
  // One copy more stays as it is: a kill must not happen there.
  const [control, ...workshops] = Workshop.create(options.mutants, options.lanes + 1);
  if (control === undefined) throw new Error("No workshop");
  const waiting = [...options.mutants];
  const kills: Kill[] = [];
  const survivors: Survivor[] = [];
  const lane = async (workshop: Workshop): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      workshop.install(mutant);
      const result = await hunt(workshop, control, mutant, options);
      workshop.restore();
      if ("killedBy" in result) kills.push(result);
      else survivors.push(result);
      const done = `[${kills.length + survivors.length}/${options.mutants.length}]`;
      options.onProgress(`${done} ${describeResult(result)}`);
    }
  };
  try {
    await Promise.all(workshops.map(lane));
  } finally {
    for (const workshop of [control, ...workshops]) workshop.remove();
  }
  return { kills, survivors };
}

async function hunt(
  workshop: Workshop,
  control: Workshop,
  mutant: Mutant,
  options: RunOptions,
): Promise<Kill | Survivor> {
  const startedAtMs = Date.now();
  const because: string[] = [];
  for (const killer of mutant.killers) {
    const result = await attempt(workshop, killer, options, control);
    const seconds = Math.round((Date.now() - startedAtMs) / 100) / 10;
    if (result.isKilled) {
      const { by, reason, seeds } = result;
      return { id: mutant.id, killedBy: by, reason, seeds, seconds };
    }
    because.push(result.because);
  }
  return { id: mutant.id, because, seconds: Math.round((Date.now() - startedAtMs) / 100) / 10 };
}

function describeResult(result: Kill | Survivor): string {
  const time = `${result.seconds} s`;
  if ("because" in result)
    return `SURVIVED  ${result.id}  ${time}\n    ${result.because.join("\n    ")}`;
  const seeds = result.seeds > 0 ? `seed ${result.seeds}, ` : "";
  return `killed    ${result.id}  ${seeds}${time}  ${result.killedBy}\n    ${result.reason.slice(0, 300)}`;
}

/** Middle value of the kills that took seeds; null when there were none. */
export function medianSeeds(kills: readonly Kill[]): number | null {
  const seeds = kills.map((kill) => kill.seeds).filter((count) => count > 0);
  seeds.sort((a, b) => a - b);
  return seeds[Math.floor((seeds.length - 1) / 2)] ?? null;
}
