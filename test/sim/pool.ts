/** Runs seeds in several processes; stops handing out more after the first one that fails. */

import { type ChildProcess, fork } from "node:child_process";
import type { SimOptions, SimResult } from "./simulate.ts";

export interface SeedRange {
  readonly firstSeed: number;
  readonly seeds: number;
  readonly workers: number;
  readonly options: SimOptions;
}

export interface PoolOptions {
  /** Without the compiler of hot code: another way to execute, the same trace. */
  readonly isJitless: boolean;
}

/** As it goes over the channel. */
export interface SeedOrder {
  readonly seed: number;
  readonly options: Omit<SimOptions, "without"> & { readonly without: readonly string[] };
}

/** Beside this file, compiled or not. */
const CHILD = new URL(
  import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js",
  import.meta.url,
);

/** Results in order of the seeds; up to the first failing one all of them are there. */
export async function runSeeds(
  range: SeedRange,
  pool: PoolOptions,
  onResult: (result: SimResult) => void,
): Promise<SimResult[]> {
  const results: SimResult[] = [];
  let next = range.firstSeed;
  const end = range.firstSeed + range.seeds;
  let hasFailed = false;
  const lane = async (): Promise<void> => {
    const child = start(pool);
    try {
      while (next < end && !hasFailed) {
        const seed = next;
        next += 1;
        const result = await ask(child, seed, range.options);
        results.push(result);
        onResult(result);
        if (result.violation !== null) hasFailed = true;
      }
    } finally {
      if (child.connected) child.disconnect();
    }
  };
  await Promise.all(Array.from({ length: Math.min(range.workers, range.seeds) }, lane));
  return results.sort((a, b) => a.seed - b.seed);
}

function start({ isJitless }: PoolOptions): ChildProcess {
  // Running from sources needs WebAssembly, which is not there without the compiler: then only the optimizer is off.
  const isCompiled = CHILD.pathname.endsWith(".js");
  const slower = isCompiled ? "--jitless" : "--no-opt";
  const execArgv = [...process.execArgv, ...(isJitless ? [slower] : [])];
  return fork(CHILD, [], { execArgv, stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

function ask(child: ChildProcess, seed: number, options: SimOptions): Promise<SimResult> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      reject(new Error(`The process of seed ${seed} ended with ${code}`));
    };
    child.once("exit", onExit);
    child.once("message", (message) => {
      child.off("exit", onExit);
      resolve(message as SimResult);
    });
    const order: SeedOrder = { seed, options: { ...options, without: [...options.without] } };
    child.send(order);
  });
}
