/** Whether a compaction result belongs to its job: the state machine trusts what the leader lets through. */

import { BlockReader, type CompactedBlocks, type JobPlan } from "../../protocol/index.ts";

const block = new BlockReader();

/** What is foreign about a result, in words, or null. Its blocks have passed the door. */
export function findForeign(plan: JobPlan, { source, newBlocks }: CompactedBlocks): string | null {
  // What a worker says that finds none of the blocks: nothing of it is applied.
  if (newBlocks.length === 0) return null;
  const where = `result of job ${JSON.stringify(plan.name)}`;
  if (source !== null) {
    if (source.tenant !== plan.tenant || source.shard !== plan.shard) {
      return `The ${where} has sources of ${place(source)}, the job has ${place(plan)}`;
    }
    const known = new Set(plan.sourceBlocks);
    const foreign = source.blocks.find((id) => !known.has(id));
    if (foreign !== undefined) return `The ${where} has source ${foreign}, which the job has not`;
  }
  for (const bytes of newBlocks) {
    block.reset(bytes, 0, bytes.length);
    const tenant = block.string(block.tenant);
    const isForeign = block.shard !== plan.shard || (plan.tenant !== "" && tenant !== plan.tenant);
    if (isForeign) {
      return `The ${where} has a block of ${place({ tenant, shard: block.shard })}, the job has ${place(plan)}`;
    }
    if (block.compactionLevel !== plan.level + 1) {
      return `The ${where} has a block of level ${block.compactionLevel}, the job makes level ${plan.level + 1}`;
    }
  }
  return null;
}

function place({ tenant, shard }: { readonly tenant: string; readonly shard: number }): string {
  return `owner ${JSON.stringify(tenant)} and shard ${shard}`;
}
