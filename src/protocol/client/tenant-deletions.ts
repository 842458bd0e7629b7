/**
 * What operators see of the deletion of a tenant: JSON of the operations 30 and 31, and what the state keeps of one
 * (src/state/deletions/DESIGN.md has the picture of its states).
 */

/**
 * `hidden`: no answer shows anything of it; its entries are leaving the index. `unindexed`: they have; its objects are
 * being deleted. `emptied`: the bucket was gone through once; it is gone through again. `verified`: nothing was found, and
 * no segment from before the request holds its data. `open`: the name may be used again; what is left is this report.
 */
export const DELETION_STATES = ["hidden", "unindexed", "emptied", "verified", "open"] as const;
export type DeletionState = (typeof DELETION_STATES)[number];

/** Instants are Unix ms of the log; null: not yet. */
export interface TenantDeletion {
  /** Log index of the request. */
  readonly id: number;
  readonly tenant: string;
  readonly state: DeletionState;
  readonly requestedAtMs: number;
  readonly unindexedAtMs: number | null;
  readonly emptiedAtMs: number | null;
  readonly verifiedAtMs: number | null;
  readonly openedAtMs: number | null;
  /** How long the name stays closed once all is gone; 0: until somebody opens it. */
  readonly closedForMs: number;
  /** Taken out of the index: shards, their blocks, and what these took in the bucket. */
  readonly shards: number;
  readonly blocks: number;
  readonly bytes: number;
  /** Segments with data of this tenant alone, taken out of the index. */
  readonly segments: number;
  /** Segments from before the request with data of others as well, when last counted: hidden until compaction drops them. */
  readonly segmentsLeft: number;
  /** Deleted from the bucket, as far as it was noted: what a leader deleted right before it died is not in it. */
  readonly objects: number;
  readonly objectBytes: number;
  /** How often the bucket was gone through to its end. */
  readonly passes: number;
  /** Blocks of the tenant that compaction brought after the request: not taken, and their objects deleted. */
  readonly lateBlocks: number;
}

export interface DeletionsQuestion {
  /** null: all. */
  readonly tenant: string | null;
}

export interface DeletionList {
  /** Newest first. */
  readonly deletions: readonly TenantDeletion[];
}

export interface OpenTenantResult {
  readonly deletion: TenantDeletion;
  /** False: it was open already. */
  readonly changed: boolean;
  readonly logIndex: number | null;
  readonly term: number | null;
}
