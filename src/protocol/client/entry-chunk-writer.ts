/**
 * Builds an entry chunk: stored entries as they are, for a peer that holds the dictionary records they refer to.
 *
 * ```
 *  0 f64 applied index | 8 u32 blocks | 12 u32 0
 * 16 per block: u32 bytes, a multiple of 8 | u32 dictionary | hearth.stored.BlockEntry, zeros to a multiple of 8
 * ```
 */

import { ByteSink } from "../bytes/sink.ts";
import { CHUNK_HEADROOM_BYTES } from "./chunk-columns.ts";

export const ENTRY_CHUNK_HEADER_BYTES = 16;
export const ENTRY_CHUNK_BLOCK_BYTES = 8;

const START = CHUNK_HEADROOM_BYTES + ENTRY_CHUNK_HEADER_BYTES;

/** One per thread. */
export class EntryChunkWriter {
  /** The chunk so far; entries stand in it at multiples of 8. Borrowed. */
  readonly sink = new ByteSink();
  blockCount = 0;

  constructor() {
    this.reset();
  }

  reset(): void {
    this.sink.length = START;
    this.blockCount = 0;
  }

  get byteLength(): number {
    return this.sink.length - CHUNK_HEADROOM_BYTES;
  }

  /** Copies an entry to the end of the chunk; returns where it begins in the sink. */
  addEntry(dictionary: number, entry: Uint8Array): number {
    const { sink } = this;
    const bytes = entry.length;
    const padded = (bytes + 7) & ~7;
    sink.reserve(ENTRY_CHUNK_BLOCK_BYTES + padded);
    sink.appendWords(padded, dictionary);
    const offset = sink.length;
    sink.u8.set(entry, offset);
    if (padded > bytes) sink.u8.fill(0, offset + bytes, offset + padded);
    sink.length = offset + padded;
    this.blockCount++;
    return offset;
  }

  /** Takes the last block back, which begins at `offset`. */
  removeLast(offset: number): void {
    this.sink.length = offset - ENTRY_CHUNK_BLOCK_BYTES;
    this.blockCount--;
  }

  /**
   * The sink, which holds CHUNK_HEADROOM_BYTES for the frame header, then the chunk. Does not reset. Borrowed until
   * something is added.
   */
  finish(appliedIndex: number): ByteSink {
    const { sink, blockCount } = this;
    sink.f64[CHUNK_HEADROOM_BYTES >>> 3] = appliedIndex;
    sink.u32[(CHUNK_HEADROOM_BYTES + 8) >>> 2] = blockCount;
    sink.u32[(CHUNK_HEADROOM_BYTES + 12) >>> 2] = 0;
    return sink;
  }
}
