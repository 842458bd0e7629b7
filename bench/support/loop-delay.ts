/** Asks the probe in a server under test (loop-probe.ts). */

import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { ServerProcess } from "../../test/support/server-process.ts";

/** For the command line of the server's Node.js. */
export const LOOP_PROBE: string = `--import=${fileURLToPath(new URL("./loop-probe.js", import.meta.url))}`;

const WAIT_MS = 5;
const WAITS_MAX = 1_000;

export interface LoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** The delay of the main thread's event loop since the last question. Errors: the server does not answer. */
export async function takeLoopDelay(server: ServerProcess): Promise<LoopDelay> {
  const before = linesOf(server).length;
  process.kill(server.pid, "SIGUSR2");
  for (let i = 0; i < WAITS_MAX; i++) {
    const lines = linesOf(server);
    if (lines.length > before) return JSON.parse(lines.at(-1) as string) as LoopDelay;
    await sleep(WAIT_MS);
  }
  throw new Error("The server does not say how late its event loop was");
}

function linesOf(server: ServerProcess): string[] {
  return [...server.output().matchAll(/^loop delay (\{.*\})$/gm)].map(([, json]) => json as string);
}
