/** Settings of the core and what they must satisfy. The unit of time is the tick. */

import { assert } from "../base/index.ts";
import type { RaftOptions } from "./types.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

export const RAFT_DEFAULTS = {
  // With ticks of 50 ms: campaigns after 0.5 to 1 s of silence, heartbeats every 100 ms. Good enough for one site.
  electionTicks: 10,
  heartbeatTicks: 2,
  // Large enough to fill a gigabit link between two heartbeats with a few messages.
  appendMaxBytes: 1 * MIB,
  inflightMaxMessages: 64,
  inflightMaxBytes: 32 * MIB,
  // A chunk is at most 1 MiB: four hide a round trip without filling the receiver's memory.
  inflightMaxChunks: 4,
  // Nearly twice the largest proposal, and more than a busy leader commits in a second: what waits longer is better refused.
  uncommittedMaxBytes: 32 * MIB,
  tailMaxBytes: 32 * MIB,
  // A learner this close catches up within one message.
  promoteMaxLag: 1_000,
} as const;

export function assertRaftOptions(options: RaftOptions): void {
  const { nodeId, electionTicks, heartbeatTicks } = options;
  assert(nodeId !== "", "nodeId must not be empty");
  for (const [name, value] of Object.entries(options)) {
    if (name === "nodeId") continue;
    assert(
      Number.isSafeInteger(value) &&
        (value > 0 || name === "promoteMaxLag" || name === "tailMaxBytes"),
      `${name} ${value} must be a positive integer`,
    );
  }
  assert(
    heartbeatTicks * 2 < electionTicks,
    `heartbeatTicks ${heartbeatTicks} must be below half of electionTicks ${electionTicks}`,
  );
}
