/**
 * What a reader thread asks of the main thread, which alone decides. The server implements it with messages, tests
 * with functions. Every callback runs exactly once, on the caller's thread.
 */

import { HearthError } from "../base/index.ts";
import type { NodeInfoProto } from "../protocol/index.ts";
import type { ProposeResult, ReadIndexResult } from "../replica/index.ts";

export interface MainLink {
  propose(proposal: Proposal, done: (result: ProposeResult) => void): void;
  /** One round for every read that waits; see ReadService. */
  readIndex(done: (result: ReadIndexResult) => void): void;
  /**
   * A poll of a compaction worker, checked, for the leader to plan. `payload` is the link's from here on. `waitMs`: keep
   * an empty answer back for so long. Returns how to say that nobody waits any more.
   */
  pollCompaction(
    payload: Uint8Array,
    waitMs: number,
    done: (result: PollResult) => void,
  ): () => void;
  /** What only the main thread knows of the member, as JSON text. */
  nodeInfo(about: NodeQuestion, done: (json: string) => void): void;
  /** A call of raft_node.RaftNodeService: about this member, or for a change that the leader makes. */
  memberCall(call: MemberCall, done: (result: MemberCallResult) => void): void;
}

/** Facts about the member, or what it does as the leader. */
export type NodeQuestion = "node" | "activities";

/** Changes name members by server id, which for `add` is also the address; `currentTerm` guards against old wishes. */
export type MemberCall =
  | { readonly kind: "info" }
  | {
      readonly kind: "add" | "remove" | "promote" | "demote";
      readonly serverId: string;
      readonly currentTerm: number;
    };

export type MemberCallResult =
  /** `node` answers "info". */
  | { readonly ok: true; readonly node: NodeInfoProto | null }
  | { readonly ok: false; readonly error: HearthError };

export type PollResult =
  /** The bytes of a PollReply. */
  | { readonly ok: true; readonly reply: Uint8Array }
  | { readonly ok: false; readonly error: HearthError };

export interface Proposal {
  /** Entries back to back, in the form the log keeps (src/protocol, "EntryBody"). *Transferred*: gone after the call. */
  readonly body: Uint8Array<ArrayBuffer>;
  readonly count: number;
  /** Propose only in this term or a later one; 0 = any. Only raw commands ask for it. */
  readonly termAtLeast: number;
  /** Instant recorded with the entries, Unix ms; 0 = the log's own. Only raw commands ask for it. */
  readonly appendedAtMs: number;
  /**
   * When nobody waits for an answer any more; monotonic ms of the thread that has the proposal, Infinity: always somebody.
   * Looked at before anything is logged, and never again: what is in the log does not depend on a clock.
   */
  readonly deadlineAtMs: number;
}

/** The answer to a proposal that came too late. Made once: under overload it is given by the thousand. */
export const NOT_PROPOSED = new HearthError(
  "deadline_exceeded",
  "The time was up before the write was proposed; it did not happen",
  { reason: "not_proposed", sent: "no" },
);

/** As the replica says it, from the thread that has it to the one that asked. Outcomes: see ENTRY_OUTCOMES. */
export type { ProposeResult as ProposalResult, ReadIndexResult };

/** What applying an entry did. */
export const ENTRY_OUTCOMES = {
  applied: 0,
  /** A repetition, or a block that was removed before: an acknowledged success. */
  unchanged: 1,
  /** Cannot be applied; recorded and counted, nothing changed. */
  rejected: 2,
} as const;
