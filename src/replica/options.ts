/** Settings of the driver, and what they must satisfy. */

import { assert } from "../base/index.ts";

export interface ReplicaOptions {
  /** Identity of this member: it votes for itself under this name. At most 128 bytes of UTF-8. */
  readonly nodeId: string;
  /** Bytes of proposals accepted and not yet applied; above it new ones are refused, not queued. */
  readonly uncommittedMaxBytes: number;
  /** Bytes of entries per apply transaction: bounds how long the main thread is busy in one piece. */
  readonly applyMaxBytes: number;
  /** Bytes read from the log at once during replay. */
  readonly replayMaxBytes: number;
}

export const REPLICA_DEFAULTS = {
  // Twice what fits into the two buffers of the log; 100k entries of 600 B.
  uncommittedMaxBytes: 64 * 1024 * 1024,
  // About 1,700 entries of 600 B: 5-10 ms of apply. Fewer per transaction cost throughput, more cost the tail.
  applyMaxBytes: 1024 * 1024,
  replayMaxBytes: 1024 * 1024,
} as const;

export function assertReplicaOptions(options: ReplicaOptions, bodyMaxBytes: number): void {
  assert(options.nodeId.length > 0, "nodeId must not be empty");
  assert(
    options.uncommittedMaxBytes >= bodyMaxBytes,
    `uncommittedMaxBytes ${options.uncommittedMaxBytes} is below the largest proposal, ${bodyMaxBytes}`,
  );
  assert(options.applyMaxBytes > 0, "applyMaxBytes must be positive");
  assert(options.replayMaxBytes > 0, "replayMaxBytes must be positive");
}
