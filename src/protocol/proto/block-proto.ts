/** metastore.v1.BlockMeta in protobuf encoding, to and from plain objects. */

import { HearthError } from "../../base/index.ts";
import type { BlockMeta, DatasetMeta } from "../block-meta.ts";
import { TIME_MAX_MS } from "../limits.ts";
import { blockMetaProtoType } from "./schema.ts";

/** 64-bit integers as the protobuf library hands them out. */
interface LongBits {
  readonly low: number;
  readonly high: number;
  readonly unsigned?: boolean;
}

/** A decoded message: absent fields read as their defaults through the prototype. */
interface ProtoDataset {
  tenant: number;
  name: number;
  minTime: LongBits | number;
  maxTime: LongBits | number;
  tableOfContents: (LongBits | number)[];
  size: LongBits | number;
  labels: number[];
  format: number;
}

interface ProtoBlockMeta {
  formatVersion: number;
  id: string;
  tenant: number;
  shard: number;
  compactionLevel: number;
  minTime: LongBits | number;
  maxTime: LongBits | number;
  createdBy: number;
  size: LongBits | number;
  datasets: ProtoDataset[];
  stringTable: string[];
  metadataOffset: LongBits | number;
}

/**
 * Decodes a bare BlockMeta message.
 *
 * Errors: HearthError invalid_argument: `bad_protobuf` when the bytes are no such message,
 *   `bad_time` for times beyond +-2^53 ms. Whether the index accepts the block is for
 *   `validateBlock` to say.
 */
export function parseBlockMetaProto(bytes: Uint8Array): BlockMeta {
  const message = decode(bytes);
  return {
    formatVersion: message.formatVersion,
    id: message.id,
    tenant: message.tenant,
    shard: message.shard,
    compactionLevel: message.compactionLevel,
    minTimeMs: toTime(message.minTime),
    maxTimeMs: toTime(message.maxTime),
    createdBy: message.createdBy,
    sizeBytes: toUnsigned(message.size),
    datasets: message.datasets.map(toDataset),
    stringTable: message.stringTable,
    metadataOffset: toUnsigned(message.metadataOffset),
  };
}

/** Encodes a bare BlockMeta message: fields in ascending order, defaults left out. */
export function encodeBlockMetaProto(meta: BlockMeta): Uint8Array {
  const message = withoutDefaults({
    formatVersion: meta.formatVersion,
    id: meta.id,
    tenant: meta.tenant,
    shard: meta.shard,
    compactionLevel: meta.compactionLevel,
    minTime: BigInt(meta.minTimeMs),
    maxTime: BigInt(meta.maxTimeMs),
    createdBy: meta.createdBy,
    size: meta.sizeBytes,
    datasets: meta.datasets.map(fromDataset),
    stringTable: meta.stringTable,
    metadataOffset: meta.metadataOffset,
  });
  return blockMetaProtoType().encode(message).finish();
}

function decode(bytes: Uint8Array): ProtoBlockMeta {
  const type = blockMetaProtoType();
  try {
    return type.decode(bytes) as ProtoBlockMeta;
  } catch (error) {
    throw protobufError(bytes.length, error);
  }
}

function protobufError(bytes: number, cause: unknown): HearthError {
  return new HearthError(
    "invalid_argument",
    `Cannot decode block metadata: ${bytes} bytes are no BlockMeta message (${String(cause)})`,
    { reason: "bad_protobuf", cause },
  );
}

function toDataset(dataset: ProtoDataset): DatasetMeta {
  return {
    tenant: dataset.tenant,
    name: dataset.name,
    minTimeMs: toTime(dataset.minTime),
    maxTimeMs: toTime(dataset.maxTime),
    tableOfContents: dataset.tableOfContents.map(toUnsigned),
    sizeBytes: toUnsigned(dataset.size),
    labels: dataset.labels,
    format: dataset.format,
  };
}

function fromDataset(dataset: DatasetMeta): object {
  return withoutDefaults({
    tenant: dataset.tenant,
    name: dataset.name,
    minTime: BigInt(dataset.minTimeMs),
    maxTime: BigInt(dataset.maxTimeMs),
    tableOfContents: dataset.tableOfContents.map(toLong),
    size: dataset.sizeBytes,
    labels: dataset.labels,
    format: dataset.format,
  });
}

/** The library writes every property it finds, so the proto3 defaults must go first. */
function withoutDefaults(fields: Readonly<Record<string, unknown>>): object {
  const message: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === 0 || value === "" || value === 0n) continue;
    message[name] = typeof value === "bigint" ? toLong(value) : value;
  }
  return message;
}

function toLong(value: bigint): LongBits {
  return {
    low: Number(BigInt.asIntN(32, value)),
    high: Number(BigInt.asIntN(32, value >> 32n)),
    unsigned: false,
  };
}

function toUnsigned(value: LongBits | number): bigint {
  if (typeof value === "number") return BigInt.asUintN(64, BigInt(value));
  return (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
}

function toTime(value: LongBits | number): number {
  const timeMs = BigInt.asIntN(64, toUnsigned(value));
  if (timeMs <= BigInt(TIME_MAX_MS) && timeMs >= -BigInt(TIME_MAX_MS)) return Number(timeMs);
  throw new HearthError(
    "invalid_argument",
    `Cannot decode block metadata: time ${timeMs} ms, allowed is +-${TIME_MAX_MS}`,
    { reason: "bad_time" },
  );
}
