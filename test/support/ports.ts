/** Ports that are free, and stay free until their server listens, and while it is down. */

import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/**
 * Below the range that systems take the ports of outgoing connections from (32768 on Linux, 49152 elsewhere): there, a
 * client could sit on the port of a server that is about to start.
 */
const FIRST_PORT = 18_000;
const LAST_PORT = 32_000;
const TRIES_MAX = 1_000;

/** The runner has two test files under way at once, and tells each its half. */
const [first, last] = halfOf(process.env.TEST_LANE);

/** Each process walks on from a place of its own: what another was given a moment ago may not listen yet. */
let nextPort = randomInt(first, last);

function halfOf(lane: string | undefined): readonly [number, number] {
  const middle = (FIRST_PORT + LAST_PORT) / 2;
  if (lane === "0") return [FIRST_PORT, middle - 1];
  return lane === "1" ? [middle, LAST_PORT] : [FIRST_PORT, LAST_PORT];
}

/** Ports of 127.0.0.1 that nobody listens on right now, all different. */
export async function findFreePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries > TRIES_MAX) throw new Error(`No ${count} free ports found`);
    const port = nextPort;
    nextPort = port < last ? port + 1 : first;
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
