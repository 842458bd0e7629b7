/**
 * What operators ask about the cluster and of it (spec raft-and-cluster, 9; ux, 2 and 7). Every question is answered
 * without a quorum, from what the asked node knows; every change goes to the leader, wherever it was asked for.
 */

import type { LeaderHint } from "../../base/index.ts";
import type { NodeAddresses } from "../../cluster/index.ts";

export type Suffrage = "voter" | "learner" | "leaving";

/** A member as the asked node sees it. Null is "unknown" or "does not apply". */
export interface MemberView {
  /** Name that operators know. */
  readonly serverId: string;
  /** Identity of the data directory, 16 hex digits. */
  readonly nodeId: string;
  readonly addresses: NodeAddresses;
  readonly suffrage: Suffrage;
  readonly isLeader: boolean;
  readonly isSelf: boolean;
  readonly isConnected: boolean;
  readonly lastContactMs: number | null;
  readonly roundTripMs: number | null;
  /** Newest log index known to be on that member: only the leader knows it of others. */
  readonly matchIndex: number | null;
  readonly lagEntries: number | null;
  /** How the leader feeds it: probe, replicate, snapshot. */
  readonly progress: string | null;
  readonly version: string | null;
  /** What is wrong with it or with the link to it, in words; null: nothing. */
  readonly problem: string | null;
}

/** What one node knows of the cluster at one moment; asks nobody. */
export interface ClusterView {
  readonly clusterId: string | null;
  readonly askedNode: string;
  readonly term: number;
  readonly leader: LeaderHint | null;
  /** Log index of the configuration, and whether it is committed. */
  readonly configurationIndex: number;
  /** A joint configuration is in force: a change is under way. */
  readonly isChanging: boolean;
  readonly voters: number;
  readonly reachableVoters: number;
  readonly members: readonly MemberView[];
}

/** A node's own word about itself, or why it gave none in time. */
export type MemberReport =
  | {
      readonly serverId: string;
      readonly ok: true;
      /** The body of GET /api/v1/status of that node. */
      readonly status: object;
      /** How old it is when it arrives here, ms. */
      readonly ageMs: number;
    }
  | { readonly serverId: string; readonly ok: false; readonly problem: string };

/** Optional guard of every change: refused with invalid_argument when the node's term is newer (spec 9). 0: none. */
export interface ChangeGuard {
  readonly currentTerm?: number | undefined;
  /** Runs every check, changes nothing, and answers what would be. */
  readonly dryRun?: boolean | undefined;
}

export interface ChangeResult {
  /** False when there was nothing to do: "already a voter" is success. */
  readonly changed: boolean;
  /** One sentence for people. */
  readonly text: string;
  /** The members afterwards, or as they would be. */
  readonly members: readonly { readonly serverId: string; readonly suffrage: Suffrage }[];
  readonly voters: number;
  /** How many voters the cluster can lose afterwards and go on. */
  readonly failureTolerance: number;
}

/**
 * Errors of every change: `unavailable` with the leader hint when no leader can be reached, `not_found` for an unknown
 * member, `failed_precondition` when the cluster's state forbids it, `invalid_argument` for a stale term.
 */
export interface ClusterControl {
  view(): ClusterView;
  /** Asks every member for its status, all at once, each for at most `timeoutMs`. Never rejects. */
  collect(timeoutMs: number): Promise<readonly MemberReport[]>;
  /** Adds a learner. The node at `address` is asked who it is; `serverId`, when given, must be its name. */
  addMember(
    wish: { readonly address: string; readonly serverId?: string | undefined } & ChangeGuard,
  ): Promise<ChangeResult>;
  /** Learner to voter; waits until it has caught up, at most `timeoutMs`. */
  promoteMember(
    wish: { readonly serverId: string; readonly timeoutMs: number } & ChangeGuard,
  ): Promise<ChangeResult>;
  /** Voter to learner. */
  demoteMember(wish: { readonly serverId: string } & ChangeGuard): Promise<ChangeResult>;
  removeMember(wish: { readonly serverId: string } & ChangeGuard): Promise<ChangeResult>;
  /** Hands the leadership to a member, or with null to the most up-to-date other voter; waits for the outcome. */
  transferLeadership(
    wish: { readonly serverId: string | null; readonly timeoutMs: number } & ChangeGuard,
  ): Promise<ChangeResult>;
}

// -- snapshots of this node ----------------------------------------------------------------------------------------

/** A complete, verified snapshot on the asked node's disk. */
export interface SnapshotView {
  /** Names this very file: two snapshots of one index differ. */
  readonly id: string;
  /** Last log index in it, and its term. */
  readonly index: number;
  readonly term: number;
  readonly sizeBytes: number;
  /** Unix ms; null where that is not known. */
  readonly takenAtMs: number | null;
}

export interface SnapshotTaken {
  /** False when the newest snapshot holds everything already: that is success. */
  readonly changed: boolean;
  /** One sentence for people. */
  readonly text: string;
  /** The newest one afterwards; null after a dry run on a node without any. */
  readonly snapshot: SnapshotView | null;
}

/** Snapshots that the asked node keeps; each node has its own. */
export interface SnapshotControl {
  /** Newest first. */
  list(): readonly SnapshotView[];
  /** Takes one now and waits until it was read back. With `dryRun`: says what would be done. */
  take(wish: { readonly dryRun: boolean; readonly signal: AbortSignal }): Promise<SnapshotTaken>;
}
