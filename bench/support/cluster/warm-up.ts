/**
 * Warming up by the number of requests. A cluster that has served one client for some seconds still runs most of its code
 * as baseline code, since a function is optimized only after a thousand calls or more. No process that serves anybody stays
 * in that state for long.
 */

import { type Lane, runLanes } from "./lane.ts";

/** Lanes that warm up at once; their numbers begin above those that are measured. */
export const WARM_UP_LANES = 64;
/** Measured on a busy machine: CPU of a write by one client 9.9-14.5 ms without, 5.1-5.9 ms after 30,000. */
const REQUESTS = 30_000;
/** And so many one at a time, which take other ways: a log group of one entry, written in place, and a batch of one answer. */
const LONE_REQUESTS = 8_000;
const PIECE_MS = 1_000;
/** A machine that does not get there in that time is measured as it is. */
const LIMIT_MS = 60_000;

/** `open` makes one lane of the kind that is to be measured. */
export async function warmUpByCount(open: (lane: number) => Promise<Lane>): Promise<void> {
  const lanes = await Promise.all(
    Array.from({ length: WARM_UP_LANES }, (_, i) => open(WARM_UP_LANES + i)),
  );
  const endAtMs = performance.now() + LIMIT_MS;
  await run(lanes, REQUESTS, endAtMs);
  await run(lanes.slice(0, 1), LONE_REQUESTS, endAtMs);
  for (const lane of lanes) lane.close();
}

async function run(lanes: readonly Lane[], requests: number, endAtMs: number): Promise<void> {
  for (let done = 0; done < requests && performance.now() < endAtMs; ) {
    done += (await runLanes(lanes, PIECE_MS, [])).operations;
  }
}
