/** The compaction policy as a plain value: what replicas agree on. Checked and explained in src/state/compaction/policy.ts. */

export interface LevelPolicy {
  /** Blocks of a full batch, and of a job. */
  readonly maxBlocks: number;
  /** Age after which a batch is compacted as it is, ms; 0: never. */
  readonly maxAgeMs: number;
}

export interface CompactionPolicy {
  /** One per level from 0; blocks of higher levels are never queued. */
  readonly levels: readonly LevelPolicy[];
  /** Tombstones that a job carries at most. */
  readonly cleanupBatchSize: number;
  /** Tombstones are handed out once they are older, ms. */
  readonly cleanupDelayMs: number;
  /** Jobs of these levels carry tombstones, inclusive. */
  readonly cleanupMinLevel: number;
  readonly cleanupMaxLevel: number;
  /** Reassignments after which a job is not handed out any more; 0: no limit. */
  readonly failuresMax: number;
  readonly leaseMs: number;
  /** Jobs in any state; 0: no limit. */
  readonly jobsMax: number;
  /** Blocks of a job that ended without a result are queued again after this time, ms. */
  readonly requeueDelayMs: number;
  /** An exhausted job gives its blocks back once its lease has been over for so long, ms; 0: never by itself. */
  readonly exhaustedDelayMs: number;
  /** Levels for which no jobs are made or handed out. */
  readonly pausedLevels: readonly number[];
  /** Owners for which no jobs are made or handed out; "" stands for segments of many tenants. */
  readonly pausedTenants: readonly string[];
  /** What differs for single tenants, by name. */
  readonly tenants: Readonly<Record<string, TenantPolicy>>;
}

export interface TenantPolicy {
  /** Levels that are null, or not there, are the general ones. */
  readonly levels?: readonly (LevelPolicy | null)[];
  /** Jobs of the tenant in any state; 0, or not there: no limit of its own. */
  readonly jobsMax?: number;
}
