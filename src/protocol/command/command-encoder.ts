/**
 * Payloads of the rarer commands, written through the generated builder: they are few and cold, so
 * clarity wins. Each returns an owned FlatBuffer for `appendEntry`. The payload of AddBlocks is a
 * batch (client/block-batch.ts).
 */

import { Builder, type Offset } from "flatbuffers";
import {
  AddTombstones,
  BlockBytes,
  BlockTombstones as BlockTombstonesTable,
  CompactedBlocks as CompactedBlocksTable,
  CompletedJob as CompletedJobTable,
  CompleteJobs,
  DeleteShard,
  ReplaceBlocks,
  ShardTombstone as ShardTombstoneTable,
  Tombstone as TombstoneTable,
  TruncateIndex as TruncateIndexTable,
} from "../gen/command.ts";
import { addText, addTexts } from "../bytes/flat-builder.ts";
import type {
  BlockTombstones,
  CompactedBlocks,
  CompletedJob,
  ShardTombstone,
  Tombstone,
  TruncateIndex,
} from "./types.ts";

/** Payload of ReplaceBlocks. */
export function encodeCompactedBlocks(compacted: CompactedBlocks): Uint8Array {
  const builder = new Builder(1024);
  const offset = addCompacted(builder, compacted);
  builder.finish(ReplaceBlocks.createReplaceBlocks(builder, offset));
  return builder.asUint8Array();
}

/** Payload of CompleteJobs. */
export function encodeCompletedJobs(jobs: readonly CompletedJob[]): Uint8Array {
  const builder = new Builder(1024);
  const offsets = jobs.map((job) => addJob(builder, job));
  const vector = CompleteJobs.createJobsVector(builder, offsets);
  builder.finish(CompleteJobs.createCompleteJobs(builder, vector));
  return builder.asUint8Array();
}

/** Payload of TruncateIndex. */
export function encodeTruncateIndex(truncate: TruncateIndex): Uint8Array {
  const builder = new Builder(1024);
  const offsets = truncate.tombstones.map((tombstone) => addTombstone(builder, tombstone));
  const vector = TruncateIndexTable.createTombstonesVector(builder, offsets);
  builder.finish(TruncateIndexTable.createTruncateIndex(builder, truncate.term, vector));
  return builder.asUint8Array();
}

/** Payload of DeleteShard; the name of the tombstone plays no part. */
export function encodeDeleteShard(shard: ShardTombstone): Uint8Array {
  const builder = new Builder(256);
  const offset = addShardTombstone(builder, shard);
  builder.finish(DeleteShard.createDeleteShard(builder, offset));
  return builder.asUint8Array();
}

/** Payload of AddTombstones and of DeleteTombstones, which are alike. */
export function encodeTombstones(tombstones: readonly Tombstone[]): Uint8Array {
  const builder = new Builder(1024);
  const offsets = tombstones.map((tombstone) => addTombstone(builder, tombstone));
  const vector = AddTombstones.createTombstonesVector(builder, offsets);
  builder.finish(AddTombstones.createAddTombstones(builder, vector));
  return builder.asUint8Array();
}

function addJob(builder: Builder, job: CompletedJob): Offset {
  const name = addText(builder, job.name);
  const compacted = job.compacted === null ? 0 : addCompacted(builder, job.compacted);
  CompletedJobTable.startCompletedJob(builder);
  CompletedJobTable.addName(builder, name);
  CompletedJobTable.addCompactionLevel(builder, job.compactionLevel);
  CompletedJobTable.addCompacted(builder, compacted);
  return CompletedJobTable.endCompletedJob(builder);
}

export function addCompacted(builder: Builder, compacted: CompactedBlocks): Offset {
  const blocks = compacted.newBlocks.map((block) => addBlock(builder, block));
  const newBlocks = CompactedBlocksTable.createNewBlocksVector(builder, blocks);
  const { source } = compacted;
  const tenant = source === null ? 0 : addText(builder, source.tenant);
  const sources =
    source === null
      ? 0
      : CompactedBlocksTable.createSourceBlocksVector(builder, addTexts(builder, source.blocks));
  CompactedBlocksTable.startCompactedBlocks(builder);
  CompactedBlocksTable.addHasSources(builder, source !== null);
  CompactedBlocksTable.addSourceTenant(builder, tenant);
  CompactedBlocksTable.addSourceShard(builder, source?.shard ?? 0);
  CompactedBlocksTable.addSourceBlocks(builder, sources);
  CompactedBlocksTable.addNewBlocks(builder, newBlocks);
  return CompactedBlocksTable.endCompactedBlocks(builder);
}

/** A wire Block, 8-aligned, so that it is read in place. */
function addBlock(builder: Builder, block: Uint8Array): Offset {
  builder.prep(8, block.length);
  return BlockBytes.createBlockBytes(builder, builder.createByteVector(block));
}

export function addTombstone(builder: Builder, tombstone: Tombstone): Offset {
  const blocks = tombstone.blocks === null ? 0 : addBlockTombstones(builder, tombstone.blocks);
  const shard = tombstone.shard === null ? 0 : addShardTombstone(builder, tombstone.shard);
  TombstoneTable.startTombstone(builder);
  TombstoneTable.addBlocks(builder, blocks);
  TombstoneTable.addShard(builder, shard);
  return TombstoneTable.endTombstone(builder);
}

function addBlockTombstones(builder: Builder, tombstones: BlockTombstones): Offset {
  const name = addText(builder, tombstones.name);
  const tenant = addText(builder, tombstones.tenant);
  const ids = addTexts(builder, tombstones.blocks);
  const blocks = BlockTombstonesTable.createBlocksVector(builder, ids);
  return BlockTombstonesTable.createBlockTombstones(
    builder,
    name,
    tombstones.shard,
    tenant,
    tombstones.compactionLevel,
    blocks,
  );
}

export function addShardTombstone(builder: Builder, shard: ShardTombstone): Offset {
  const name = addText(builder, shard.name);
  const tenant = addText(builder, shard.tenant);
  return ShardTombstoneTable.createShardTombstone(
    builder,
    name,
    shard.timestampNs,
    shard.durationNs,
    shard.shard,
    tenant,
  );
}
