/**
 * Nodes that are cut off from a majority must not acknowledge a write nor answer a strong read that began after the
 * cut: both need a round over a majority.
 */

import type { LoadTarget } from "../load/load.ts";
import type { FaultContext } from "./types.ts";

export interface MinorityWatch {
  /** Before the links are mended: what is answered afterwards is right. */
  end(): void;
}

export function watchMinority(
  { load, count, noteViolation }: FaultContext,
  serverIds: readonly string[],
): MinorityWatch {
  const cutAtMs = performance.now();
  const isOurs = ({ serverId }: LoadTarget): boolean => serverIds.includes(serverId);
  const failuresBefore = failuresOf(load.failuresBy, serverIds);
  const forgetAcks = load.onAck((write, target) => {
    if (!isOurs(target) || write.invokedAtMs <= cutAtMs) return;
    const text = `${target.serverId} is cut off and acknowledged element ${write.key}/${write.element}`;
    noteViolation({ check: "minority-write", text });
  });
  const forgetReads = load.onRead((read, target) => {
    if (!isOurs(target) || read.invokedAtMs <= cutAtMs) return;
    const text = `${target.serverId} is cut off and answered a strong read of key ${read.key}`;
    noteViolation({ check: "minority-read", text });
  });
  return {
    end() {
      forgetAcks();
      forgetReads();
      count("minorityRefusals", failuresOf(load.failuresBy, serverIds) - failuresBefore);
    },
  };
}

function failuresOf(failuresBy: ReadonlyMap<string, number>, serverIds: readonly string[]): number {
  return serverIds.reduce((sum, serverId) => sum + (failuresBy.get(serverId) ?? 0), 0);
}
