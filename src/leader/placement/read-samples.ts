/** Finds what new blocks add to which dataset, in entries of the log as writers proposed them. */

import { isHearthError, ulidTimeMs } from "../../base/index.ts";
import {
  BlockReader,
  DATASET,
  HEAD,
  iterateAddedBatches,
  iterateBlockBatch,
} from "../../protocol/index.ts";
import type { PlacementSample } from "./statistics.ts";

/**
 * A block that is older than this says nothing about the load of today: somebody restores an index, or loads data of
 * the past. A segment is added within seconds of its creation.
 */
const BLOCK_MAX_AGE_MS = 15 * 60_000;

export interface SampleCounts {
  blocks: number;
  /** Not counted: created long ago. */
  oldBlocks: number;
  /** Bodies that could not be read to their end; a bug, since each has been checked. */
  badEntries: number;
}

export class SampleReader {
  readonly counts: SampleCounts = { blocks: 0, oldBlocks: 0, badEntries: 0 };
  readonly #block = new BlockReader();

  /** Calls `take` for each dataset of each block. Never throws for what is in the bytes. */
  read(body: Uint8Array, nowMs: number, take: (sample: PlacementSample) => void): void {
    try {
      iterateAddedBatches(body, body.length, (offset, length) =>
        this.#readBatch(body, { offset, length }, nowMs, take),
      );
    } catch (error) {
      if (!isHearthError(error)) throw error;
      this.counts.badEntries++;
    }
  }

  #readBatch(
    body: Uint8Array,
    { offset, length }: { readonly offset: number; readonly length: number },
    nowMs: number,
    take: (sample: PlacementSample) => void,
  ): void {
    iterateBlockBatch(body, offset, length, (start, bytes) => {
      const block = this.#block.reset(body, start, bytes);
      if (nowMs - ulidTimeMs(block.u8, block.headOffset + HEAD.id) > BLOCK_MAX_AGE_MS) {
        this.counts.oldBlocks++;
        return;
      }
      this.counts.blocks++;
      const { shard } = block;
      const owner = block.string(block.createdBy);
      for (let i = 0; i < block.datasetsCount; i++) {
        const tenant = block.string(block.datasetI32(i, DATASET.tenant));
        const dataset = block.string(block.datasetI32(i, DATASET.name));
        take({ tenant, dataset, shard, owner, sizeBytes: sizeOf(block, i) });
      }
    });
  }
}

/** As a double: exact up to 2^53, which every real dataset is below. */
function sizeOf(block: BlockReader, i: number): number {
  const low = block.datasetU32(i, DATASET.sizeBytes);
  return block.datasetU32(i, DATASET.sizeBytes + 4) * 0x1_0000_0000 + low;
}
