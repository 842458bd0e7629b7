/** Settings of the driver, and what they must satisfy. */

import { assert } from "../base/index.ts";
import { type Member, RAFT_DEFAULTS, type RaftOptions } from "../raft/index.ts";

/** With the settings of the core: src/raft/types.ts. */
export interface ReplicaOptions extends RaftOptions {
  /** The first members of a cluster that is not there yet; only an empty log takes them. Empty: waits to be added. */
  readonly bootstrap: readonly Member[];
  /** Length of a tick: the core counts its timeouts in ticks. */
  readonly tickMs: number;
  /** Bytes of entries applied in one piece: bounds how long the main thread is busy. */
  readonly applyMaxBytes: number;
  /** Bytes read from the log at once for applying. */
  readonly replayMaxBytes: number;
  /** Bytes of entries that may wait, applied and acknowledged, for the commit of the database transaction. */
  readonly commitMaxBytes: number;
  /** How long they may wait while nobody reads. */
  readonly commitMaxDelayMs: number;
  /** How long after a read every piece is committed at once, so that no read waits. */
  readonly eagerCommitMs: number;
  /** Reads that may wait for a read index. */
  readonly readsMax: number;
  /** Bytes of log after which a snapshot is taken. */
  readonly snapshotLogBytes: number;
  /** After a random time between one and two of these a snapshot is taken, too; 0: time takes none. */
  readonly snapshotIntervalMs: number;
  /** If at least so many entries were applied since the last one. */
  readonly snapshotThreshold: number;
  /** The pause after a snapshot, as a multiple of what it took; 0: none. */
  readonly snapshotRestRatio: number;
  /** Complete snapshots that are kept; one that is being read stays longer. At least 1. */
  readonly snapshotsRetain: number;
  /** Entries below a snapshot that stay in the log for slow peers. */
  readonly snapshotKeepEntries: number;
}

export const REPLICA_DEFAULTS = {
  bootstrap: [],
  // Elections after 0.5 to 1 s without a leader: many times a healthy disk write or round trip.
  tickMs: 50,
  ...RAFT_DEFAULTS,
  // About 1,700 entries of 600 B: 5-10 ms of apply. Smaller pieces cost throughput, larger ones the tail.
  applyMaxBytes: 1024 * 1024,
  replayMaxBytes: 1024 * 1024,
  // A commit then costs 5 % of what it commits.
  commitMaxBytes: 1024 * 1024,
  // What a read after a quiet time may find uncommitted is committed on its demand; this is for local reads. With 5 ms
  // a commit at 50k blocks/s held 250 of them and cost 3 us each; with 20 ms it is 1 us.
  commitMaxDelayMs: 20,
  eagerCommitMs: 100,
  readsMax: 10_000,
  snapshotLogBytes: 256 * 1024 * 1024,
  snapshotIntervalMs: 0,
  snapshotThreshold: 8_192,
  snapshotRestRatio: 0,
  // The one before the newest stays for a peer that is receiving it.
  snapshotsRetain: 2,
  snapshotKeepEntries: 10_000,
} as const;

export function assertReplicaOptions(options: ReplicaOptions, bodyMaxBytes: number): void {
  assert(options.nodeId.length > 0, "nodeId must not be empty");
  assert(options.tickMs > 0, "tickMs must be positive");
  assert(
    options.uncommittedMaxBytes >= bodyMaxBytes,
    `uncommittedMaxBytes ${options.uncommittedMaxBytes} is below the largest proposal, ${bodyMaxBytes}`,
  );
  assert(options.applyMaxBytes > 0, "applyMaxBytes must be positive");
  assert(options.replayMaxBytes > 0, "replayMaxBytes must be positive");
  assert(options.readsMax > 0, "readsMax must be positive");
  assert(options.snapshotIntervalMs >= 0, "snapshotIntervalMs must not be negative");
  assert(options.snapshotsRetain > 0, "snapshotsRetain must be positive");
}

/** The part of the settings that is the core's. */
export function raftOptionsOf(options: ReplicaOptions): RaftOptions {
  return {
    nodeId: options.nodeId,
    electionTicks: options.electionTicks,
    heartbeatTicks: options.heartbeatTicks,
    appendMaxBytes: options.appendMaxBytes,
    inflightMaxMessages: options.inflightMaxMessages,
    inflightMaxBytes: options.inflightMaxBytes,
    inflightMaxChunks: options.inflightMaxChunks,
    uncommittedMaxBytes: options.uncommittedMaxBytes,
    tailMaxBytes: options.tailMaxBytes,
    promoteMaxLag: options.promoteMaxLag,
  };
}
