/** Closed-loop load over many connections with one request in flight each, the same for every system under test. */

import { type Call, runLanes as runCalls, type Sample } from "../../harness/index.ts";
import { processCpuUs } from "../processes.ts";

/** One connection. A request is answered before the next one is sent. */
export interface Lane {
  /** Sends one request; `done` runs when its answer is there and was found right. Errors: throws, which ends the run. */
  send(done: () => void): void;
  close(): void;
}

/** Every lane works for `durationMs`; a request that is under way then is still waited for and counted. */
export async function runLanes(
  lanes: readonly Lane[],
  durationMs: number,
  pids: readonly number[],
): Promise<Sample> {
  const cpuBeforeUs = cpuUs(pids);
  const latenciesUs: number[] = [];
  const startedAtMs = performance.now();
  const endAtMs = startedAtMs + durationMs;
  const calls = lanes.map(
    (lane): Call =>
      (done) =>
        lane.send(done),
  );
  const goesOn = (_: number, nowMs: number): boolean => nowMs < endAtMs;
  await runCalls(calls, { goesOn, latencies: latenciesUs });
  return {
    operations: latenciesUs.length,
    wallMs: performance.now() - startedAtMs,
    cpuMs: (cpuUs(pids) - cpuBeforeUs) / 1_000,
    latenciesUs: Float64Array.from(latenciesUs),
  };
}

function cpuUs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + processCpuUs(pid), 0);
}
