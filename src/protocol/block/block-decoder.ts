/** A wire Block as a plain object. Cold: for tools, the HTTP API and tests. */

import type { BlockMeta, DatasetMeta } from "../block-meta.ts";
import { DATASET, HEAD } from "../layout.ts";
import { refusalError } from "../refusals.ts";
import { BlockReader } from "./block-reader.ts";
import { validateBlock } from "./block-validator.ts";

const READER = new BlockReader();

/**
 * Decodes the Block in bytes[offset, offset + length).
 *
 * Errors: HearthError invalid_argument with the reason of `validateBlock`: a plain object is only
 *   made of a block that the index would accept, so that runs and references need no further care.
 * Cost: allocates everything.
 */
export function decodeBlock(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): BlockMeta {
  const failure = validateBlock(bytes, offset, length);
  if (failure !== null) throw refusalError(failure);
  return readBlockMeta(READER.reset(bytes, offset, length));
}

/** The validated block a reader points at, as a plain object. */
export function readBlockMeta(reader: BlockReader): BlockMeta {
  const stringTable: string[] = [];
  for (let i = 0; i < reader.stringsCount; i++) stringTable.push(reader.string(i));
  const datasets: DatasetMeta[] = [];
  for (let i = 0; i < reader.datasetsCount; i++) datasets.push(readDatasetMeta(reader, i));
  return {
    formatVersion: reader.formatVersion,
    id: reader.id,
    tenant: reader.tenant,
    shard: reader.shard,
    compactionLevel: reader.compactionLevel,
    minTimeMs: reader.minTimeMs,
    maxTimeMs: reader.maxTimeMs,
    createdBy: reader.createdBy,
    sizeBytes: reader.u8.readBigUInt64LE(reader.headOffset + HEAD.sizeBytes),
    datasets,
    stringTable,
    metadataOffset: reader.u8.readBigUInt64LE(reader.headOffset + HEAD.metadataOffset),
  };
}

function readDatasetMeta(reader: BlockReader, i: number): DatasetMeta {
  const tableOfContents: bigint[] = [];
  const toc = reader.tocOffset + 8 * reader.datasetU32(i, DATASET.tocStart);
  const tocCount = reader.datasetU32(i, DATASET.tocCount);
  for (let k = 0; k < tocCount; k++) tableOfContents.push(reader.u8.readBigUInt64LE(toc + 8 * k));
  const labelsStart = (reader.labelsOffset >>> 2) + reader.datasetU32(i, DATASET.labelsStart);
  const labelsCount = reader.datasetU32(i, DATASET.labelsCount);
  return {
    tenant: reader.datasetI32(i, DATASET.tenant),
    name: reader.datasetI32(i, DATASET.name),
    minTimeMs: reader.datasetF64(i, DATASET.minTimeMs),
    maxTimeMs: reader.datasetF64(i, DATASET.maxTimeMs),
    tableOfContents,
    sizeBytes: reader.u8.readBigUInt64LE(reader.datasetOffset(i) + DATASET.sizeBytes),
    labels: Array.from(reader.i32.subarray(labelsStart, labelsStart + labelsCount)),
    format: reader.datasetU32(i, DATASET.format),
  };
}
