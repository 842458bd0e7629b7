/**
 * The tables of the index database, and how their keys are made. Layouts of the values: DESIGN.md.
 *
 * A key buffer is borrowed by the call it is passed to; KeyBuffer lets a caller reuse one allocation.
 */

/** Registry of tables. Names outlive code: append only; retired names stay listed here as retired. */
export const TABLES = [
  "meta",
  "tenants",
  "tenantIds",
  "owners",
  "partitions",
  "blocks",
  "tails",
  "postings",
  "directory",
  "strings",
  "stringIds",
  "keys",
  "keyIds",
  "pairs",
  "tombstones",
  "tombstoneNames",
  "tombstoneBlocks",
  "garbage",
  "tailKeys",
  "dictionaries",
  "sessions",
  "compactionKeys",
  "compactionBatches",
  "compactionOrder",
  "compactionAges",
  "compactionJobs",
  "compactionJobPlans",
  "compactionJobOrder",
  "compactionJobShards",
  "compactionParked",
  "compactionOrphans",
  "compactionWorkers",
  "compactionLeases",
  "tenantDeletions",
] as const;

export type TableName = (typeof TABLES)[number];

export const PARTITION_RECORD_BYTES = 56;
export const SHARD_RECORD_BYTES = 72;
export const ROW_BYTES = 40;
export const DIRECTORY_RECORD_BYTES = 32;
export const PAIR_BITMAP_BYTES = 32;

/** Strings per chunk of `strings`, keys per chunk of `keys`, keys per directory chunk and pair bitmap: powers of two. */
export const STRINGS_PER_CHUNK_SHIFT = 8;
export const KEYS_PER_CHUNK_SHIFT = 6;
export const KEYS_PER_DIRECTORY_SHIFT = 8;

/** A fixed-size key that is filled again and again: `u32(4, x)` writes big-endian at byte 4. */
export class KeyBuffer {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value);
    return this;
  }

  /** A non-negative safe integer as big-endian u64. */
  u64(offset: number, value: number): this {
    this.#view.setUint32(offset, Math.floor(value / 0x1_0000_0000));
    this.#view.setUint32(offset + 4, value >>> 0);
    return this;
  }

  /** A non-negative double as its bits: bytes order is the order of the numbers. */
  f64(offset: number, value: number): this {
    this.#view.setFloat64(offset, value);
    return this;
  }

  copy(offset: number, source: Uint8Array, start: number, end: number): this {
    for (let i = start; i < end; i++) this.bytes[offset + i - start] = source[i] as number;
    return this;
  }
}

/** Reads a big-endian u32 of a borrowed key. */
export function keyU32(key: Uint8Array, offset: number): number {
  return (
    (((key[offset] as number) << 24) |
      ((key[offset + 1] as number) << 16) |
      ((key[offset + 2] as number) << 8) |
      (key[offset + 3] as number)) >>>
    0
  );
}

/** Reads a big-endian double of a borrowed key. */
export function keyF64(key: Uint8Array, offset: number): number {
  return new DataView(key.buffer, key.byteOffset + offset, 8).getFloat64(0);
}

/** Reads a big-endian u64 of a borrowed key; exact up to 2^53. */
export function keyU64(key: Uint8Array, offset: number): number {
  return keyU32(key, offset) * 0x1_0000_0000 + keyU32(key, offset + 4);
}
