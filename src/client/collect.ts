/** From streamed batches to plain objects, for programs to which ease matters more than memory. */
import type { BlockMeta } from "../protocol/index.ts";
import type { LabelRow, LabelsBatch, PlanBatch } from "./types.ts";

/** All blocks of a streamed answer as owned plain objects. Cost: memory for the whole answer. */
export async function collectBlocks(batches: AsyncIterable<PlanBatch>): Promise<BlockMeta[]> {
  const blocks: BlockMeta[] = [];
  for await (const batch of batches) {
    for (const block of batch) blocks.push(block.toBlockMeta());
  }
  return blocks;
}

/** All rows of a streamed label answer, owned, in the order of the answer. */
export async function collectLabels(batches: AsyncIterable<LabelsBatch>): Promise<LabelRow[]> {
  const rows: LabelRow[] = [];
  for await (const batch of batches) rows.push(...batch);
  return rows;
}
