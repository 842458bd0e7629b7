/** Steps that rounds of faults have in common. */

import { setTimeout as sleep } from "node:timers/promises";
import type { TestNode } from "../../support/cluster/index.ts";
import type { FaultContext } from "./types.ts";

/** Beyond any election: writes that take this long to go on have stopped. */
export const RECOVERY_LIMIT_MS = 30_000;
const READY_LIMIT_MS = 90_000;

/** Waits until somebody leads and writes are acknowledged; returns who leads. */
export async function settle({ cluster, load }: FaultContext): Promise<TestNode> {
  await cluster.waitForLeader();
  const ackedAtMs = await load.nextAck(performance.now(), RECOVERY_LIMIT_MS);
  if (ackedAtMs === null) {
    throw new Error(`Writes are not acknowledged:\n${await cluster.describe()}`);
  }
  return cluster.waitForLeader();
}

/**
 * Waits for the first acknowledged write that began after the fault and notes how long it took. No write in time is a
 * violation.
 */
export async function recover(context: FaultContext, brokenAtMs: number): Promise<void> {
  const ackedAtMs = await context.load.nextAck(brokenAtMs, RECOVERY_LIMIT_MS);
  if (ackedAtMs === null) {
    const text = `no write was acknowledged for ${RECOVERY_LIMIT_MS} ms:\n${await context.cluster.describe()}`;
    context.noteViolation({ check: "no-recovery", text });
    return;
  }
  context.noteRecovery(ackedAtMs - brokenAtMs);
}

/** Starts a node that is down and waits until it is ready. */
export async function restart({ count }: FaultContext, node: TestNode): Promise<void> {
  node.start();
  await node.waitUntilReady(READY_LIMIT_MS);
  count("restarts");
}

/** Lets clients work for a while: a random time from `leastMs` to `mostMs`. */
export async function work(
  { random }: FaultContext,
  leastMs: number,
  mostMs: number,
): Promise<void> {
  await sleep(random.nextBetween(leastMs, mostMs));
}

/** As many as may be lost: a majority is left. */
export function minoritySize(nodeCount: number): number {
  return Math.floor((nodeCount - 1) / 2);
}

export async function randomFollower(context: FaultContext, leader: TestNode): Promise<TestNode> {
  const followers = context.cluster.nodes.filter((node) => node !== leader && node.isRunning);
  return followers.length === 0 ? leader : context.random.pick(followers);
}
