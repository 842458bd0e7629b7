/**
 * A block's metadata as plain objects: what the client library, the proto codec and JSON speak. Hot
 * code never makes these; it reads the bytes through BlockReader and EntryReader.
 */

/** One dataset of a block: the part that belongs to one tenant and, normally, one service. */
export interface DatasetMeta {
  /** String reference: tenant the data belongs to. */
  readonly tenant: number;
  /** String reference: dataset name, normally the service name. */
  readonly name: number;
  /** Unix ms, inclusive, integral, |t| <= 2^53. */
  readonly minTimeMs: number;
  /** Unix ms, inclusive. */
  readonly maxTimeMs: number;
  /** Absolute offsets of the sections inside the object, bytes. */
  readonly tableOfContents: readonly bigint[];
  readonly sizeBytes: bigint;
  /** Label sets, each `n` and `n` pairs of string references: 2 k1 v1 k2 v2 1 k1 v3. */
  readonly labels: readonly number[];
  /** 0: ordinary dataset; 1: tenant-wide dataset index. */
  readonly format: number;
}

/** A block. Field names follow the proto messages, with units added. */
export interface BlockMeta {
  readonly formatVersion: number;
  /** Canonical upper-case ULID. Its time part is the creation time of the block. */
  readonly id: string;
  /** String reference: the owner; 0 = anonymous, the block holds data of several tenants. */
  readonly tenant: number;
  readonly shard: number;
  readonly compactionLevel: number;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** String reference: the process that wrote the block. */
  readonly createdBy: number;
  readonly sizeBytes: bigint;
  readonly datasets: readonly DatasetMeta[];
  /** Entry 0 is the empty string; an empty table means only that one. */
  readonly stringTable: readonly string[];
  /** Where the metadata copy starts inside the object, bytes. */
  readonly metadataOffset: bigint;
}
