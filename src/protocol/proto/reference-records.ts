/**
 * What the reference metastore keeps in its own log and key-value files: log entries, and the pairs of the buckets
 * `compaction_block_queue` and `tombstones`. For those who look into its files, or come from it.
 *
 * Every decoder takes whole bytes, borrowed, returns owned values, and throws HearthError data_loss,
 * `bad_reference_record`, for bytes that are no such record or are over a limit. Unknown fields are skipped, so that
 * encoding again tells whether there were any.
 * Source: the contract of compaction, 2.2, 3 and 15.1; of replication, 3.2. Numbers of keys and values are big-endian.
 */

import { HearthError, isHearthError } from "../../base/index.ts";
import { ByteSink } from "../bytes/sink.ts";
import { isValidUtf8, readText } from "../bytes/text.ts";
import type { BlockTombstones, ShardTombstone, Tombstone } from "../command/types.ts";
import { LIMITS } from "../limits.ts";
import { putTombstone } from "./replies.ts";
import { ProtoReader, tagOf, WIRE } from "./wire.ts";

const { varint, bytes } = WIRE;

export interface ReferenceLogEntry {
  /** 1: add a block; 2: prepare a compaction plan; 3: apply it; 4: truncate the index; 0 is none. */
  readonly command: number;
  /** The request as protobuf. */
  readonly payload: Uint8Array;
}

/** What a worker said about a job. */
export interface ReferenceJobUpdate {
  readonly name: string;
  /** Log index of the entry that handed the job out. */
  readonly token: number;
  /** 1: in progress; 2: success; 0: neither. */
  readonly status: number;
}

/** GetCompactionPlanUpdateRequest. */
export interface ReferencePrepareRequest {
  readonly statusUpdates: readonly ReferenceJobUpdate[];
  readonly assignJobsMax: number;
}

/** A pair of a bucket. */
export interface ReferencePair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A block that waits for its compaction. */
export interface ReferenceQueueEntry {
  /** Log index of the entry that added the block. */
  readonly index: number;
  readonly id: string;
  /** Unix ns. */
  readonly appendedAtNs: bigint;
  readonly level: number;
  readonly shard: number;
  /** "" = anonymous. */
  readonly tenant: string;
}

export interface ReferenceTombstone {
  /** Log index of the entry that added it. */
  readonly index: number;
  /** Unix ns. */
  readonly appendedAtNs: bigint;
  /** As the key has it; the tombstone is to be deleted under that. */
  readonly name: string;
  readonly tombstone: Tombstone;
}

const COMMAND_BYTES = 4;
const INDEX_BYTES = 8;
const INSTANT_BYTES = 8;
const TOMBSTONE_KEY_MIN_BYTES = INDEX_BYTES + INSTANT_BYTES;
/** Instant, level, shard. */
const QUEUE_VALUE_MIN_BYTES = INSTANT_BYTES + 4 + 4;

export function decodeReferenceLogEntry(entry: Uint8Array): ReferenceLogEntry {
  return decoding("log entry", () => {
    const buffer = longEnough(entry, COMMAND_BYTES, "the entry");
    return {
      command: buffer.readUInt32BE(0),
      payload: Uint8Array.prototype.slice.call(buffer, COMMAND_BYTES),
    };
  });
}

export function encodeReferenceLogEntry({ command, payload }: ReferenceLogEntry): Uint8Array {
  const entry = Buffer.alloc(COMMAND_BYTES + payload.length);
  entry.writeUInt32BE(command, 0);
  entry.set(payload, COMMAND_BYTES);
  return entry;
}

/** Older versions logged the whole poll of a worker: results of compactions in it are skipped. */
export function decodeReferencePrepareRequest(message: Uint8Array): ReferencePrepareRequest {
  return decoding("request for a compaction plan", () => {
    const reader = new ProtoReader().reset(message);
    const statusUpdates: ReferenceJobUpdate[] = [];
    let assignJobsMax = 0;
    while (reader.next()) {
      if (reader.tag === tagOf(1, bytes))
        push(statusUpdates, readJobUpdate(reader), LIMITS.jobsPerCommandMax);
      else if (reader.tag === tagOf(2, varint)) assignJobsMax = reader.uint32();
      else reader.skip();
    }
    return { statusUpdates, assignJobsMax };
  });
}

export function decodeReferenceQueueEntry({ key, value }: ReferencePair): ReferenceQueueEntry {
  return decoding("block queue entry", () => {
    const keyBytes = longEnough(key, INDEX_BYTES, "the key");
    const valueBytes = longEnough(value, QUEUE_VALUE_MIN_BYTES, "the value");
    return {
      index: readIndex(keyBytes),
      id: rest(keyBytes, INDEX_BYTES, LIMITS.idMaxBytes, "the block id"),
      appendedAtNs: valueBytes.readBigInt64BE(0),
      level: valueBytes.readUInt32BE(8),
      shard: valueBytes.readUInt32BE(12),
      tenant: rest(valueBytes, QUEUE_VALUE_MIN_BYTES, LIMITS.tenantMaxBytes, "the tenant"),
    };
  });
}

export function encodeReferenceQueueEntry(entry: ReferenceQueueEntry): ReferencePair {
  const value = Buffer.alloc(QUEUE_VALUE_MIN_BYTES);
  value.writeBigInt64BE(entry.appendedAtNs, 0);
  value.writeUInt32BE(entry.level, 8);
  value.writeUInt32BE(entry.shard, 12);
  return {
    key: Buffer.concat([u64(entry.index), Buffer.from(entry.id)]),
    value: Buffer.concat([value, Buffer.from(entry.tenant)]),
  };
}

export function decodeReferenceTombstone({ key, value }: ReferencePair): ReferenceTombstone {
  return decoding("tombstone", () => {
    const keyBytes = longEnough(key, TOMBSTONE_KEY_MIN_BYTES, "the key");
    return {
      index: readIndex(keyBytes),
      appendedAtNs: keyBytes.readBigInt64BE(INDEX_BYTES),
      name: rest(keyBytes, TOMBSTONE_KEY_MIN_BYTES, LIMITS.tombstoneNameMaxBytes, "the name"),
      tombstone: readTombstone(new ProtoReader().reset(value)),
    };
  });
}

export function encodeReferenceTombstone(stored: ReferenceTombstone): ReferencePair {
  const sink = new ByteSink();
  putTombstone(sink, stored.tombstone);
  const instant = Buffer.alloc(INSTANT_BYTES);
  instant.writeBigInt64BE(stored.appendedAtNs, 0);
  return {
    key: Buffer.concat([u64(stored.index), instant, Buffer.from(stored.name)]),
    value: Buffer.from(sink.view()),
  };
}

// -- messages ----------------------------------------------------------------------------------------------------------

function readJobUpdate(reader: ProtoReader): ReferenceJobUpdate {
  const found = { name: "", token: 0, status: 0 };
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes))
      found.name = reader.text(LIMITS.jobNameMaxBytes, "a job name");
    else if (reader.tag === tagOf(2, varint)) found.token = exact(reader.uint64(), "a token");
    else if (reader.tag === tagOf(3, varint)) found.status = statusOf(reader.int32());
    else reader.skip();
  }
  reader.leave(outer);
  return found;
}

/** Numbers that do not exist count as unspecified. */
function statusOf(number: number): number {
  return number === 1 || number === 2 ? number : 0;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A part that stands there several times is merged, as protobuf demands. */
function readTombstone(reader: ProtoReader): Tombstone {
  let blocks: (Mutable<BlockTombstones> & { blocks: string[] }) | null = null;
  let shard: Mutable<ShardTombstone> | null = null;
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes)) {
      blocks ??= { name: "", shard: 0, tenant: "", compactionLevel: 0, blocks: [] };
      readBlockTombstones(reader, blocks);
    } else if (reader.tag === tagOf(2, bytes)) {
      shard ??= { name: "", timestampNs: 0n, durationNs: 0n, shard: 0, tenant: "" };
      readShardTombstone(reader, shard);
    } else reader.skip();
  }
  return { blocks, shard };
}

function readBlockTombstones(
  reader: ProtoReader,
  found: Mutable<BlockTombstones> & { blocks: string[] },
): void {
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes)) found.name = readName(reader);
    else if (reader.tag === tagOf(2, varint)) found.shard = reader.uint32();
    else if (reader.tag === tagOf(3, bytes)) found.tenant = readTenant(reader);
    else if (reader.tag === tagOf(4, varint)) found.compactionLevel = reader.uint32();
    else if (reader.tag === tagOf(5, bytes))
      push(found.blocks, reader.text(LIMITS.idMaxBytes, "a block id"), LIMITS.idsPerListMax);
    else reader.skip();
  }
  reader.leave(outer);
}

function readShardTombstone(reader: ProtoReader, found: Mutable<ShardTombstone>): void {
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes)) found.name = readName(reader);
    else if (reader.tag === tagOf(2, varint)) found.timestampNs = readInt64(reader);
    else if (reader.tag === tagOf(3, varint)) found.durationNs = readInt64(reader);
    else if (reader.tag === tagOf(4, varint)) found.shard = reader.uint32();
    else if (reader.tag === tagOf(5, bytes)) found.tenant = readTenant(reader);
    else reader.skip();
  }
  reader.leave(outer);
}

function readName(reader: ProtoReader): string {
  return reader.text(LIMITS.tombstoneNameMaxBytes, "a name");
}

function readTenant(reader: ProtoReader): string {
  return reader.text(LIMITS.tenantMaxBytes, "a tenant");
}

function readInt64(reader: ProtoReader): bigint {
  reader.varint();
  return (BigInt(reader.high) << 32n) | BigInt(reader.low >>> 0);
}

// -- bytes -------------------------------------------------------------------------------------------------------------

function decoding<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw isHearthError(cause) ? undecodable(what, cause) : cause;
  }
}

function undecodable(what: string, cause: HearthError): HearthError {
  const message = `Cannot decode a ${what} of the reference: ${cause.message}`;
  return new HearthError("data_loss", message, { reason: "bad_reference_record", cause });
}

function longEnough(from: Uint8Array, bytesMin: number, what: string): Buffer {
  if (from.length >= bytesMin) return Buffer.from(from.buffer, from.byteOffset, from.length);
  throw bad(`${what} has ${from.length} bytes, at least ${bytesMin} are wanted`);
}

/** The text from `start` on. */
function rest(from: Buffer, start: number, bytesMax: number, what: string): string {
  const length = from.length - start;
  if (length > bytesMax) throw bad(`${what} has ${length} bytes, limit is ${bytesMax}`);
  if (!isValidUtf8(from, start, from.length)) throw bad(`${what} is not UTF-8`);
  return readText(from, start, from.length);
}

function readIndex(key: Buffer): number {
  const index = key.readBigUInt64BE(0);
  return exact(index <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(index) : Number.NaN, "the index");
}

function exact(number: number, what: string): number {
  if (Number.isNaN(number)) throw bad(`${what} is 2^53 or more, which no log reaches`);
  return number;
}

function u64(number: number): Buffer {
  const target = Buffer.alloc(8);
  target.writeBigUInt64BE(BigInt(number), 0);
  return target;
}

function push<T>(list: T[], item: T, countMax: number): void {
  if (list.length >= countMax) throw bad(`a list has more than ${countMax} elements`);
  list.push(item);
}

/** `decoding` puts what was decoded in front. */
function bad(what: string): HearthError {
  return new HearthError("data_loss", what, { reason: "bad_reference_record" });
}
