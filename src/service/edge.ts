/**
 * A further protocol that a reader thread serves beside the binary one, over the same services. The server owns the
 * thread, the composition root chooses the protocol, and neither knows the other.
 */

import type { Logger } from "../base/index.ts";
import type { QueryEngine } from "../read/index.ts";
import type { MainLink } from "./main-link.ts";
import type { ReadService } from "./reads.ts";
import type { RequestMetrics } from "./request-counters.ts";
import type { WriteService } from "./writes.ts";

/** What an edge answers its requests with. */
export interface EdgeServices {
  readonly engine: QueryEngine;
  readonly reads: ReadService;
  readonly writes: WriteService;
  readonly main: MainLink;
  readonly logger: Logger;
}

export interface Edge {
  /** Opens the port, if this thread has one. Errors: `unavailable` when it cannot be had. */
  listen(): Promise<void>;
  /** Something that main tells the edges of all threads; plain data. */
  receive(message: unknown): void;
  /** The thread is about to end: takes no new connections and no new requests. */
  stopListening(): void;
  /** Tells all peers that this is the end; what they are owed still leaves. */
  closeConnections(): void;
  /** Ends everything at once. May be repeated; never throws. */
  close(): void;
  /** Connections that are open. */
  readonly connectionCount: number;
  metrics(): EdgeMetrics;
}

/** What an edge counted. Plain data: it crosses threads. */
export interface EdgeMetrics extends RequestMetrics {
  /** Label of the metrics. */
  readonly protocol: string;
  readonly connectionsOpened: number;
  /** Now. */
  readonly connections: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Now: requests without an answer. */
  readonly inFlight: number;
}
