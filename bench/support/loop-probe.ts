/**
 * Loaded into a server under test with `--import`: measures the delay of its main thread's event loop, and prints what
 * was measured since the last time as one line of JSON when asked by SIGUSR2.
 */

import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

/** How often the loop is looked at. A look that comes in time counts as this long. */
const RESOLUTION_MS = 5;

if (isMainThread) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  const ms = (ns: number): number => Math.max(0, ns / 1e6 - RESOLUTION_MS);
  process.on("SIGUSR2", () => {
    const line = { p50Ms: ms(delays.percentile(50)), p99Ms: ms(delays.percentile(99)) };
    process.stdout.write(`loop delay ${JSON.stringify(line)}\n`);
    delays.reset();
  });
}
