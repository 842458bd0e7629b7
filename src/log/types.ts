/** What the log needs, whom it tells, and what it counts. */

import type { HearthError, Logger, Scheduler } from "../base/index.ts";
import type { FileSystem } from "../files/index.ts";
import type { HardState } from "../raft/index.ts";
import type { AppendBatch, GroupStart } from "./group-buffer.ts";

export interface LogModules {
  /** The log's own: it is closed with it. */
  readonly files: FileSystem;
  readonly logger: Logger;
  /** Left out: the event loop and its timers. */
  readonly scheduler?: Scheduler;
  /** Makes the 8 bytes that tell this log from every other one; left out: random ones. */
  readonly makeLogId?: () => Uint8Array;
  /** Whether the disk has room enough for files that are kept to be written again; left out: always. */
  readonly hasRoom?: () => boolean;
  /** Called per durable write of the log itself (not of the next segment's zeros): for a histogram. */
  readonly onWrite?: (durationMs: number, bytes: number) => void;
}

/** Who is told what became of the writes. Called from the event loop, or from inside `flush` of what is written in place. */
export interface LogOwner {
  /** Everything up to this write sequence number is durable. The next write has been started already. */
  onDurable(sequence: number): void;
  /** Durability failed for good. Called once; nothing is acknowledged afterwards. */
  onFailed(error: HearthError): void;
}

/** Counters for the metrics; they only grow. */
export interface LogStats {
  writes: number;
  /** Those of them that the calling thread waited for itself. */
  writesInPlace: number;
  /** Those of them that were at hand for the disk while it was at the one before. */
  writesQueued: number;
  writtenBytes: number;
  frames: number;
  /** Groups that had to wait for the next segment to be prepared. */
  stalls: number;
  rolls: number;
  /** Rolls into a file that was a segment before. */
  reuses: number;
  /** Time of the last write, ms. */
  lastWriteMs: number;
}

export function createLogStats(): LogStats {
  return {
    writes: 0,
    writesInPlace: 0,
    writesQueued: 0,
    writtenBytes: 0,
    frames: 0,
    stalls: 0,
    rolls: 0,
    reuses: 0,
    lastWriteMs: 0,
  };
}

/** One promise on its way to the disk; `commitIndex` is the one known when it was made. */
export type QueuedWrite = { readonly sequence: number; readonly commitIndex: number } & (
  | { readonly kind: "entries"; readonly batch: AppendBatch; readonly start: GroupStart | null }
  | {
      readonly kind: "hardState";
      readonly hardState: HardState;
      readonly start: GroupStart | null;
    }
);
