/** Ports that stay free while a node is down. */

import { createServer } from "node:net";

/**
 * Below the range that systems take the ports of outgoing connections from (32768 on Linux, 49152 elsewhere): there, a
 * client could sit on the port of a node that is being restarted.
 */
const FIRST_PORT = 18_000;
const LAST_PORT = 32_000;
const TRIES_MAX = 1_000;

/** Ports of 127.0.0.1 that nobody listens on right now, all different. */
export async function findStablePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries++) {
    if (tries > TRIES_MAX) throw new Error(`No ${count} free ports found`);
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
