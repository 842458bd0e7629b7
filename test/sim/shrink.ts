/** Makes a failing run smaller: fewer fault classes, fewer events, while the same invariant still fails. */

import { FAULT_CLASSES, TERM_FAULTS } from "./plan.ts";
import { simulate, type SimOptions, type SimResult } from "./simulate.ts";

/** Runs that a shrink may cost. */
const RUNS_MAX = 40;

export async function shrink(
  seed: number,
  options: SimOptions,
  failed: SimResult,
): Promise<SimOptions> {
  const invariant = failed.violation?.invariant ?? "";
  let smallest: SimOptions = { ...options, events: Math.min(options.events, failed.events + 1) };
  let runs = 0;
  const attempt = async (candidate: SimOptions): Promise<boolean> => {
    runs += 1;
    if (runs > RUNS_MAX) return false;
    const result = await simulate(seed, candidate);
    if (result.violation?.invariant !== invariant) return false;
    smallest = { ...candidate, events: Math.min(candidate.events, result.events + 1) };
    return true;
  };
  if (!(await attempt(smallest))) return options;
  for (const name of [...FAULT_CLASSES, ...TERM_FAULTS]) {
    if (smallest.without.has(name)) continue;
    await attempt({ ...smallest, without: new Set([...smallest.without, name]) });
  }
  for (
    let events = Math.floor(smallest.events / 2);
    events > 100;
    events = Math.floor(events / 2)
  ) {
    if (!(await attempt({ ...smallest, events }))) break;
  }
  return smallest;
}

/** The one line that shows the failure again. */
export function replayLine(seed: number, options: SimOptions): string {
  const parts = [`npm run sim -- --seed ${seed} --seeds 1 --events ${options.events}`];
  if (options.phase !== "all") parts.push(`--phase ${options.phase}`);
  if (options.profile !== "default") parts.push(`--profile ${options.profile}`);
  if (options.without.size > 0) parts.push(`--without ${[...options.without].join(",")}`);
  return parts.join(" ");
}
