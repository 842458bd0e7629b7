/**
 * Commands of the replicated log as plain values (schemas/command.fbs), and the batch in which they
 * are applied.
 */

/** A range of committed log entries, as the driver loop hands it to the state machine. */
export interface CommittedBatch {
  /** Log index of the first entry; the others follow without a gap. */
  readonly firstIndex: number;
  /** Term of every entry of the batch. */
  readonly term: number;
  /** When the leader appended the batch, Unix ms: the only time that commands know. */
  readonly appendedAtMs: number;
  /** Entries in the body. */
  readonly count: number;
  /**
   * Entries back to back (entry-body.ts). Borrowed; starts at a multiple of 8 in its ArrayBuffer.
   */
  readonly body: Uint8Array;
  /** Used bytes of `body`. */
  readonly bodyBytes: number;
}

/** A removed set of blocks, which must not return while the tombstone lives (spec 10). */
export interface BlockTombstones {
  /** Identity of the tombstone. */
  readonly name: string;
  readonly shard: number;
  /** Owner; "" = anonymous. */
  readonly tenant: string;
  readonly compactionLevel: number;
  /** Ids; need not be ULIDs. */
  readonly blocks: readonly string[];
}

/**
 * A removed shard of one partition. Nanoseconds, as in the proto messages: a start that is off by
 * one matches none.
 */
export interface ShardTombstone {
  readonly name: string;
  /** Partition start, Unix ns. */
  readonly timestampNs: bigint;
  readonly durationNs: bigint;
  readonly shard: number;
  readonly tenant: string;
}

export interface Tombstone {
  readonly blocks: BlockTombstones | null;
  readonly shard: ShardTombstone | null;
}

/** Blocks that a compaction consumed. */
export interface SourceBlocks {
  readonly tenant: string;
  readonly shard: number;
  readonly blocks: readonly string[];
}

/** The result of a compaction: new blocks take the place of their sources. */
export interface CompactedBlocks {
  /** null: the message had none (spec 4.4 tells that from an empty list). */
  readonly source: SourceBlocks | null;
  /** Wire Blocks. Borrowed from the command when decoded. */
  readonly newBlocks: readonly Uint8Array[];
}

export interface CompletedJob {
  readonly name: string;
  readonly compactionLevel: number;
  readonly compacted: CompactedBlocks | null;
}

export interface TruncateIndex {
  /** Term in which the truncation was planned; ignored in any other. */
  readonly term: number;
  readonly tombstones: readonly Tombstone[];
}
