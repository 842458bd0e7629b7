/**
 * Placement rules and statistics as the bytes of their objects (schemas/adaptive_placement.proto): fields in ascending
 * order, defaults left out, lists of integers packed, so that equal content is equal bytes everywhere.
 *
 * By hand: with 10,000 datasets the library's objects for 64-bit numbers and unfinished messages would take longer than
 * everything else in a cycle of the placement.
 */

import { createRequire } from "node:module";
import type { Reader } from "protobufjs/minimal.js";
import { HearthError } from "../../base/index.ts";
import type {
  DatasetPlacement,
  DatasetStats,
  DistributionStats,
  LoadBalancing,
  PlacementRules,
  ShardStats,
} from "./placement-types.ts";
import { ProtoWriter } from "./proto-writer.ts";

type Wire = { readonly Reader: typeof Reader };
let wire: Wire | null = null;

/** Loaded late, like everything of protobuf: most threads never need it. */
function loadWire(): Wire {
  wire ??= createRequire(import.meta.url)("protobufjs/minimal") as Wire;
  return wire;
}

/** Bytes of one dataset that an object begins with room for: most take less. */
const RULE_BYTES = 48;
const STATS_BYTES = 96;
const OTHER_BYTES = 4_096;

const VARINT = 0;
const LENGTH = 2;

/** The bytes of `adaptive_placement/placement_rules.binpb`. */
export function encodePlacementRules(rules: PlacementRules): Uint8Array {
  const writer = new ProtoWriter(OTHER_BYTES + RULE_BYTES * rules.datasets.length);
  for (const { tenantId } of rules.tenants) writeNamed(writer, 1, tenantId);
  for (const dataset of rules.datasets) {
    const start = writer.begin(2);
    writer.uint(1, dataset.tenant);
    writer.text(2, dataset.name);
    writer.uint(3, dataset.tenantShardLimit);
    writer.uint(4, dataset.datasetShardLimit);
    writer.uint(5, dataset.loadBalancing);
    writer.end(start);
  }
  writer.int64(3, rules.createdAtNs);
  return writer.finish();
}

/** The bytes of `adaptive_placement/placement_stats.binpb`. */
export function encodeDistributionStats(stats: DistributionStats): Uint8Array {
  const writer = new ProtoWriter(OTHER_BYTES + STATS_BYTES * stats.datasets.length);
  for (const { tenantId } of stats.tenants) writeNamed(writer, 1, tenantId);
  for (const dataset of stats.datasets) {
    const start = writer.begin(2);
    writer.uint(1, dataset.tenant);
    writer.text(2, dataset.name);
    writer.packed(3, dataset.shards);
    writer.packed(4, dataset.usage);
    writer.uint(5, dataset.stdDev);
    writer.end(start);
  }
  for (const { id, owner } of stats.shards) {
    const start = writer.begin(3);
    writer.uint(1, id);
    writer.text(2, owner);
    writer.end(start);
  }
  writer.int64(4, stats.createdAtNs);
  return writer.finish();
}

/** When rules were made, without looking at what they say. Errors: as `decodePlacementRules`, as far as they are seen. */
export function placementRulesCreatedAt(bytes: Uint8Array): bigint {
  let createdAtNs = 0n;
  decoding("placement rules", bytes, (reader) =>
    readFields(reader, (field, type) => {
      if (field !== 3 || type !== VARINT) return false;
      createdAtNs = readInstant(reader);
      return true;
    }),
  );
  return createdAtNs;
}

/**
 * Errors: HearthError data_loss, `bad_placement_object`, when the bytes are no PlacementRules message. Whether positions
 *   lead anywhere is for the caller to say.
 */
export function decodePlacementRules(bytes: Uint8Array): PlacementRules {
  const tenants: { tenantId: string }[] = [];
  const datasets: DatasetPlacement[] = [];
  let createdAtNs = 0n;
  decoding("placement rules", bytes, (reader) =>
    readFields(reader, (field, type) => {
      if (field === 1 && type === LENGTH) tenants.push({ tenantId: readNamed(reader) });
      else if (field === 2 && type === LENGTH) datasets.push(readDatasetPlacement(reader));
      else if (field === 3 && type === VARINT) createdAtNs = readInstant(reader);
      else return false;
      return true;
    }),
  );
  return { tenants, datasets, createdAtNs };
}

/** Errors: as `decodePlacementRules`, for DistributionStats. */
export function decodeDistributionStats(bytes: Uint8Array): DistributionStats {
  const tenants: { tenantId: string }[] = [];
  const datasets: DatasetStats[] = [];
  const shards: ShardStats[] = [];
  let createdAtNs = 0n;
  decoding("placement statistics", bytes, (reader) =>
    readFields(reader, (field, type) => {
      if (field === 1 && type === LENGTH) tenants.push({ tenantId: readNamed(reader) });
      else if (field === 2 && type === LENGTH) datasets.push(readDatasetStats(reader));
      else if (field === 3 && type === LENGTH) shards.push(readShardStats(reader));
      else if (field === 4 && type === VARINT) createdAtNs = readInstant(reader);
      else return false;
      return true;
    }),
  );
  return { tenants, datasets, shards, createdAtNs };
}

function decoding(what: string, bytes: Uint8Array, read: (reader: Reader) => void): void {
  try {
    read(loadWire().Reader.create(bytes));
  } catch (error) {
    throw undecodable(what, bytes.length, error);
  }
}

function undecodable(what: string, bytes: number, cause: unknown): HearthError {
  const text = `Cannot decode ${what}: ${bytes} bytes are no such message (${String(cause)})`;
  return new HearthError("data_loss", text, { reason: "bad_placement_object", cause });
}

/** `take` returns false for a field that it does not know; that is skipped. */
function readFields(
  reader: Reader,
  take: (field: number, type: number) => boolean,
  end = reader.len,
): void {
  if (end > reader.len) throw new RangeError("a message ends behind its bytes");
  while (reader.pos < end) {
    const key = reader.uint32();
    if (key >>> 3 === 0) throw new RangeError("field number 0");
    if (!take(key >>> 3, key & 7)) reader.skipType(key & 7);
  }
  if (reader.pos !== end) throw new RangeError("a field ends behind its message");
}

function readMessage(reader: Reader, take: (field: number, type: number) => boolean): void {
  const bytes = reader.uint32();
  readFields(reader, take, reader.pos + bytes);
}

/** A message whose only field is a text with number 1. */
function readNamed(reader: Reader): string {
  let name = "";
  readMessage(reader, (field, type) => {
    if (field !== 1 || type !== LENGTH) return false;
    name = reader.string();
    return true;
  });
  return name;
}

function readDatasetPlacement(reader: Reader): DatasetPlacement {
  const found = { tenant: 0, name: "", tenantShardLimit: 0, datasetShardLimit: 0 };
  let loadBalancing = 0;
  readMessage(reader, (field, type) => {
    if (field === 1 && type === VARINT) found.tenant = reader.uint32();
    else if (field === 2 && type === LENGTH) found.name = reader.string();
    else if (field === 3 && type === VARINT) found.tenantShardLimit = readUint(reader);
    else if (field === 4 && type === VARINT) found.datasetShardLimit = readUint(reader);
    else if (field === 5 && type === VARINT) loadBalancing = reader.int32();
    else return false;
    return true;
  });
  // A strategy that we do not know is none: readers take anything but round robin for the fingerprint.
  const isKnown = loadBalancing === 1 || loadBalancing === 2;
  return { ...found, loadBalancing: (isKnown ? loadBalancing : 0) as LoadBalancing };
}

function readDatasetStats(reader: Reader): DatasetStats {
  const shards: number[] = [];
  const usage: number[] = [];
  const found = { tenant: 0, name: "", stdDev: 0 };
  readMessage(reader, (field, type) => {
    if (field === 1 && type === VARINT) found.tenant = reader.uint32();
    else if (field === 2 && type === LENGTH) found.name = reader.string();
    else if (field === 3) return readRepeated(reader, type, () => shards.push(reader.uint32()));
    else if (field === 4) return readRepeated(reader, type, () => usage.push(readUint(reader)));
    else if (field === 5 && type === VARINT) found.stdDev = readUint(reader);
    else return false;
    return true;
  });
  return { ...found, shards, usage };
}

function readShardStats(reader: Reader): ShardStats {
  const found = { id: 0, owner: "" };
  readMessage(reader, (field, type) => {
    if (field === 1 && type === VARINT) found.id = reader.uint32();
    else if (field === 2 && type === LENGTH) found.owner = reader.string();
    else return false;
    return true;
  });
  return found;
}

/** A list of integers, packed or not. */
function readRepeated(reader: Reader, type: number, readOne: () => void): boolean {
  if (type === VARINT) {
    readOne();
    return true;
  }
  if (type !== LENGTH) return false;
  const end = reader.uint32() + reader.pos;
  if (end > reader.len) throw new RangeError("a list ends behind its bytes");
  while (reader.pos < end) readOne();
  return true;
}

/** A 64-bit number as a double; beyond 2^53 it is rounded, and nothing here comes near. */
function readUint(reader: Reader): number {
  const { low, high } = reader.uint64() as unknown as LongBits;
  return (high >>> 0) * 0x1_0000_0000 + (low >>> 0);
}

function readInstant(reader: Reader): bigint {
  const { low, high } = reader.int64() as unknown as LongBits;
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

interface LongBits {
  readonly low: number;
  readonly high: number;
}

function writeNamed(writer: ProtoWriter, field: number, name: string): void {
  const start = writer.begin(field);
  writer.text(1, name);
  writer.end(start);
}
