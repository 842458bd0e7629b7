/**
 * What the state machine did, as plain numbers that only grow. The metrics folder exposes them; nothing here depends
 * on it.
 */

/** Why an entry was refused. Closed: labels of a counter. Refused entries change nothing. */
export const REJECTIONS = [
  /** A command number or version this member does not know: it was written by a newer one. */
  "unknown_command",
  /** The payload is not what the command says: structure, lengths, counts. */
  "bad_payload",
  /** More blocks in one entry than allowed. */
  "too_many_blocks",
  /** A block whose numbers point outside of it, or that exceeds a limit of state/limits.ts. */
  "bad_block",
  /** A tenant name longer than a key may be. */
  "tenant_too_long",
  /** A name or id of a tombstone longer than a key may be. */
  "tombstone_too_long",
  /** The owner or partition would exceed what one record value may hold. */
  "index_full",
  /** No compaction policy was ever set. */
  "compaction_off",
  /** A compaction plan made in another term, or from jobs that have changed since. */
  "plan_outdated",
  /** The text of a compaction policy is none. */
  "bad_policy",
  /** The session is unknown (any more): whether the write was executed before cannot be said. */
  "session_expired",
  /** The client has acknowledged the answer to this write: it is not executed again. */
  "session_stale",
  /** Too many writes of the session without acknowledged answers. */
  "session_window_full",
  /** Session numbers that no client makes. */
  "session_invalid",
  /** The owner of a block is being deleted, or was a short while ago. */
  "tenant_deleted",
  /** More tenants are being deleted than may be at once. */
  "too_many_deletions",
  /** A tenant whose deletion is not verified cannot be opened. */
  "tenant_deletion_running",
] as const;

export type Rejection = (typeof REJECTIONS)[number];

export class StateMetrics {
  /** Entries applied, refused ones included. */
  entries = 0;
  /** Transactions that applied them. */
  transactions = 0;
  blocksAdded = 0;
  /** AddBlock for an id that was there already (W4: no change). */
  blocksDuplicate = 0;
  /** AddBlock for an id under a tombstone: acknowledged, not stored. */
  blocksTombstoned = 0;
  blocksRemoved = 0;
  shardsDeleted = 0;
  /** Truncations planned in another term. */
  truncationsIgnored = 0;
  /** Shards that retention took out, their blocks, and shards that it left because newer data came in between. */
  shardsRetired = 0;
  blocksRetired = 0;
  retirementsKept = 0;
  /** Results of compaction that were not taken because their tenant is deleted. */
  blocksOfDeletedTenants = 0;
  /** Parts of deletions decided in another term, or behind a rival's. */
  deletionStepsIgnored = 0;
  tombstonesRecorded = 0;
  tombstonesDeleted = 0;
  /** Tails moved to the postings, and runs written by that. */
  tailFlushes = 0;
  postingRuns = 0;
  /** Rows of deleted shards and dictionaries removed. */
  rowsSwept = 0;
  /** Writes of client sessions that had been executed already: answered from the session table. */
  sessionRepeats = 0;
  /** Blocks whose strings and keys were all in memory, and others. */
  dictionaryHits = 0;
  dictionaryMisses = 0;
  readonly rejected: Record<Rejection, number> = Object.fromEntries(
    REJECTIONS.map((reason) => [reason, 0]),
  ) as Record<Rejection, number>;
}
