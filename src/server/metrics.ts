/** What one reader thread counts and reports: requests of the binary protocol, and those of its edge. */

import { OPCODES } from "../protocol/index.ts";
import {
  type EdgeMetrics,
  type ReadRoundMetrics,
  RequestCounters,
  type RequestMetrics,
} from "../service/index.ts";

/** What a thread reports. Plain data: it crosses threads. Counts since the thread started. */
export interface ReaderMetrics extends RequestMetrics {
  readonly connectionsOpened: number;
  /** Now. */
  readonly connections: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly framesReceived: number;
  readonly framesSent: number;
  /** Groups of writes handed to main. */
  readonly writeBatches: number;
  readonly writeEntries: number;
  /** Now: bytes of writes that main has not answered. */
  readonly pendingWriteBytes: number;
  /** Now: reads that wait for a grant or for the applied index. */
  readonly waitingReads: number;
  /** Which ways questions for a read index took. */
  readonly readRounds: ReadRoundMetrics;
  /** Now: bytes of answers kept for askers without credit. */
  readonly queuedAnswerBytes: number;
  /** Counters of the query engine, by its own names. */
  readonly engine: Readonly<Record<string, number>>;
  /** Of the further protocol that the thread serves; null: it serves none. */
  readonly edge: EdgeMetrics | null;
}

/** Requests with an opcode that does not exist come first; opcodes without an operation count as such. */
const ROUTES = OPCODES.reduce<string[]>((names, { number, name }) => {
  while (names.length <= number) names.push("unknown");
  names[number] = name;
  return names;
}, []);

export class ThreadCounters extends RequestCounters {
  connectionsOpened = 0;
  connections = 0;
  receivedBytes = 0;
  sentBytes = 0;
  framesReceived = 0;
  framesSent = 0;
  queuedAnswerBytes = 0;

  constructor() {
    super(ROUTES);
  }
}
