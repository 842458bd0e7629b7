/** What the driver needs of its neighbours, and what it promises to its callers. */

import type { HearthError } from "../base/index.ts";
import type { CommittedBatch } from "../protocol/index.ts";

/** What applying a range did; see state/apply.ts. */
export interface ApplyOutcome {
  /** One code per entry, in order: 0 applied, 1 nothing changed, 2 rejected. */
  readonly outcomes: Uint8Array;
  /** Why entries were rejected, by position in `outcomes`. */
  readonly rejections: ReadonlyMap<number, string>;
}

/** The replicated state, as far as the driver is concerned. */
export interface StateMachine {
  /** Log index of the last entry in the state; 0: none. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Applies a range in one transaction. Throws only when the database fails: then nothing of the range happened. */
  apply(batches: readonly CommittedBatch[]): ApplyOutcome;
  /** A bounded piece of cleaning up, for idle times; true while more is left. */
  sweep?(): boolean;
}

/** What reader threads may see of this member. */
export interface PublishedState {
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly isLeader: boolean;
}

/** Outcome of a proposal. */
export type ProposeResult =
  | {
      readonly ok: true;
      /** Log index of its first entry. */
      readonly firstIndex: number;
      readonly term: number;
      /** One code per entry. Borrowed until `done` returns. */
      readonly outcomes: Uint8Array;
      /** Why entries were rejected, by position in `outcomes`; mostly empty. */
      readonly rejections: ReadonlyMap<number, string>;
    }
  /** `sent` tells whether the entries may have been logged: "no" is certain, "maybe" is not. */
  | { readonly ok: false; readonly error: HearthError };

export type ProposeDone = (result: ProposeResult) => void;

export interface Proposal {
  /**
   * Log entries back to back (protocol, entry-body.ts), at a multiple of 8 in their ArrayBuffer. The driver keeps
   * them until `done`; they must not change before.
   */
  readonly body: Uint8Array;
  /** Used bytes of `body`. */
  readonly bodyBytes: number;
  /** Entries in the body. */
  readonly count: number;
  /** Log time of the entries, Unix ms, taken as it is; left out: now. For conformance runs only. */
  readonly appendedAtMs?: number | undefined;
}

export type ReadIndexResult =
  /** Reads that see everything up to `index` are linearizable. */
  | { readonly ok: true; readonly index: number; readonly term: number }
  | { readonly ok: false; readonly error: HearthError };

export type ReadIndexDone = (result: ReadIndexResult) => void;

export const PHASE = {
  opening: "opening",
  replaying: "replaying",
  ready: "ready",
  stopping: "stopping",
  stopped: "stopped",
  failed: "failed",
} as const;
export type Phase = (typeof PHASE)[keyof typeof PHASE];

/** How this member is doing; plain numbers for status pages and metrics. */
export interface ReplicaStatus {
  readonly phase: Phase;
  /** The phase in words: "replaying 812000 of 1204551". */
  readonly text: string;
  readonly role: "leader" | "follower";
  readonly term: number;
  readonly firstIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lastIndex: number;
  /** Replay: entries applied so far, and entries to apply. */
  readonly replayedEntries: number;
  readonly replayEntries: number;
  readonly pendingProposals: number;
  readonly uncommittedBytes: number;
  /** How long the log write in flight has been on its way, ms; 0: none. */
  readonly pendingWriteMs: number;
  /** Why the member stopped, when phase is "failed". */
  readonly failure: HearthError | null;
}

/** Counters for the metrics; they only grow, but for the last ones, which are of the latest range. */
export interface ReplicaStats {
  proposals: number;
  entries: number;
  /** Proposals refused, by reason. */
  readonly refused: Record<RefusalReason, number>;
  appliedRanges: number;
  appliedEntries: number;
  reads: number;
  lastApplyMs: number;
}

/** Why a proposal or a read was refused; a closed set, used as a metric label. */
export type RefusalReason =
  | "not_ready"
  | "shutting_down"
  | "failed"
  | "too_large"
  | "uncommitted_bytes"
  | "disk_full";

export function createReplicaStats(): ReplicaStats {
  return {
    proposals: 0,
    entries: 0,
    refused: {
      not_ready: 0,
      shutting_down: 0,
      failed: 0,
      too_large: 0,
      uncommitted_bytes: 0,
      disk_full: 0,
    },
    appliedRanges: 0,
    appliedEntries: 0,
    reads: 0,
    lastApplyMs: 0,
  };
}
