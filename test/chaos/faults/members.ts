/** Membership changes as an operator makes them: over HTTP, on any node, repeated until one says that it is done. */

import { setTimeout as sleep } from "node:timers/promises";
import type { TestNode } from "../../support/cluster/index.ts";
import type { FaultContext } from "./types.ts";

const CHANGE_LIMIT_MS = 60_000;
const CALL_LIMIT_MS = 12_000;
const RETRY_PAUSE_MS = 200;

/** Asks nodes in random order. Errors: rejects when none has done it in time, with the last word of each. */
export async function change(
  context: FaultContext,
  what: string,
  call: (node: TestNode) => Promise<unknown>,
): Promise<void> {
  const endAtMs = performance.now() + CHANGE_LIMIT_MS;
  for (;;) {
    const node = context.random.pick(context.cluster.nodes.filter(({ isRunning }) => isRunning));
    try {
      await call(node);
      return;
    } catch (error) {
      if (performance.now() > endAtMs) {
        const state = await context.cluster.describe();
        throw new Error(`Cannot ${what}: ${(error as Error).message}\n${state}`, { cause: error });
      }
      await sleep(RETRY_PAUSE_MS);
    }
  }
}

export function addMember(context: FaultContext, node: TestNode): Promise<void> {
  const { serverId } = node;
  const address = node.peerAddress;
  return change(context, `add ${serverId}`, (asked) =>
    asked.postJson("/api/v1/members", { address, serverId }, CALL_LIMIT_MS),
  );
}

export function promoteMember(context: FaultContext, { serverId }: TestNode): Promise<void> {
  return change(context, `promote ${serverId}`, (asked) =>
    asked.postJson(`/api/v1/members/${serverId}/promote`, {}, CALL_LIMIT_MS),
  );
}

export function demoteMember(context: FaultContext, { serverId }: TestNode): Promise<void> {
  return change(context, `demote ${serverId}`, (asked) =>
    asked.postJson(`/api/v1/members/${serverId}/demote`, {}, CALL_LIMIT_MS),
  );
}

/** A leader is not removed: it has to hand over first, as the refusal says. */
export function removeMember(context: FaultContext, { serverId }: TestNode): Promise<void> {
  return change(context, `remove ${serverId}`, async (asked) => {
    try {
      await asked.deleteJson(`/api/v1/members/${serverId}`, CALL_LIMIT_MS);
    } catch (error) {
      const { message } = error as Error;
      // A repeat after an answer that was lost: who is gone is gone.
      if (message.includes("answers 404")) return;
      if (!message.includes("leads")) throw error;
      await asked.postJson("/api/v1/leader/transfer", {}, CALL_LIMIT_MS);
      context.count("handedOver");
      throw error;
    }
  });
}
