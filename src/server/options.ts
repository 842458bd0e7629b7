/** Settings of the server: reader threads, their sockets, and what one client may use. */

import { type CompactionPolicy, LIMITS } from "../protocol/index.ts";
import { COMPACTION_DEFAULTS } from "../state/index.ts";
import type { TransportChoice } from "./open-listener.ts";

/** Who answers; told to clients in HelloReply. */
export interface ServerIdentity {
  readonly nodeId: string;
  readonly clusterId: string;
  /** Version of the program. */
  readonly version: string;
}

/** What one connection may use. */
export interface SessionLimits {
  /** Largest frame taken, bytes; larger ones end the connection before memory is reserved. */
  readonly frameMaxBytes: number;
  /** Requests without an answer, per connection. */
  readonly inFlightMax: number;
  /** Budget of a request that names none, ms. */
  readonly defaultTimeoutMs: number;
  /** Bytes of streamed answers kept per connection until credit or the socket allows them. */
  readonly queuedAnswerMaxBytes: number;
  /** The same for all connections of a thread. */
  readonly queuedAnswersPerThreadMaxBytes: number;
  /** Cost of dictionary records that a peer may be made to keep; 0 = every answer is self-contained. */
  readonly dictionaryMaxBytes: number;
}

export interface ServerOptions {
  readonly host: string;
  /** 0 = any free one; the pool reports which. */
  readonly port: number;
  /** Reader threads; at least 1. */
  readonly readersCount: number;
  readonly transport: TransportChoice;
  readonly session: SessionLimits;
  /** Bytes that may wait for one slow peer in its socket before it is dropped. */
  readonly outboundMaxBytes: number;
  readonly connectionsPerThreadMax: number;
  /** A silent peer is pinged after this time and dropped after twice as long, ms; 0 = never. */
  readonly pingIntervalMs: number;
  /** Bytes of writes waiting for main, per thread, from which on more answer resource_exhausted; one of any size fits on top. */
  readonly pendingWriteMaxBytes: number;
  /** Writes that may wait for main, per thread, whatever their size; above it they are refused the same way. */
  readonly pendingWritesMax: number;
  /** Reads that may wait for a grant or the applied index, per thread. */
  readonly waitingReadsMax: number;
  /** Entries that a follower may be behind a read before the read fails instead of waiting; 0: it always waits. */
  readonly readIndexMaxDistance: number;
  /**
   * Takes raw log entries and questions about the state machine from any client: for conformance tests only, since
   * it lets a client write what no service would.
   */
  readonly allowRawCommands: boolean;
  /** What compaction begins with where no policy is in force; it counts from the entry on that carries it. */
  readonly initialPolicy: CompactionPolicy;
  /** How long the name of a tenant that is deleted from here stays closed, ms; 0: until somebody opens it. */
  readonly tenantClosedMs: number;
  /** Restarts of dead readers within a minute before the pool gives up. */
  readonly restartsPerMinuteMax: number;
  /** How long a reader may take to start and to stop, ms. */
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
}

const MIB = 1024 * 1024;

export const SERVER_DEFAULTS: ServerOptions = {
  host: "127.0.0.1",
  port: 4041,
  readersCount: 1,
  transport: "auto",
  session: {
    frameMaxBytes: LIMITS.frameMaxBytes,
    // Answers are a few KiB: a thousand in flight keeps a fast network busy, and bounds what one peer can demand.
    inFlightMax: 1024,
    defaultTimeoutMs: 10_000,
    // The engine answers in one go, so what exceeds the receiver's credit has to be kept: this is in effect the largest
    // plan (half a million datasets), and four such askers are what a thread bears.
    queuedAnswerMaxBytes: 64 * MIB,
    queuedAnswersPerThreadMaxBytes: 256 * MIB,
    // About 30,000 dataset keys with their strings: what a front end asks for in a day.
    dictionaryMaxBytes: 8 * MIB,
  },
  // Streams stop at half a MiB of backlog, so only a peer that sends requests and reads no answers gets here.
  outboundMaxBytes: 4 * MIB,
  // Front ends, segment writers and workers number in the hundreds.
  connectionsPerThreadMax: 2_000,
  pingIntervalMs: 30_000,
  // More would be answered no sooner, and its clients had better hear of it at once: this much is answered within half a second
  // by the threads' share of a busy leader, large blocks as well as small ones. What the leader does not take yet waits nowhere
  // else, so that these bytes count for each thread.
  pendingWriteMaxBytes: 4 * MIB,
  // A write that waits costs a kilobyte of memory beside its bytes.
  pendingWritesMax: 4_096,
  waitingReadsMax: 65_536,
  readIndexMaxDistance: 0,
  allowRawCommands: false,
  initialPolicy: COMPACTION_DEFAULTS,
  tenantClosedMs: 7 * 24 * 3_600_000,
  restartsPerMinuteMax: 3,
  startTimeoutMs: 30_000,
  stopTimeoutMs: 10_000,
};
