/**
 * Replies to and from FlatBuffers tables. The same promises as in requests.ts: encoders append to
 * an 8-aligned sink and return the bytes they took, decoders trust nothing and throw HearthError
 * invalid_argument.
 */

import { FlatReader } from "../bytes/flat-reader.ts";
import { FlatWriter } from "../bytes/flat-writer.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { LIMITS } from "../limits.ts";
import type {
  HelloReply,
  LeaderNotice,
  TenantReply,
  TenantsReply,
  WriteReply,
} from "./messages.ts";

const WRITER = new FlatWriter();
const READER = new FlatReader();

export function encodeHelloReply(sink: ByteSink, reply: HelloReply): number {
  WRITER.begin(sink, 12);
  WRITER.u8(0, reply.protocol);
  WRITER.u32(4, reply.frameMaxBytes);
  WRITER.u32(5, reply.inFlightMax);
  WRITER.u32(6, reply.chunkMaxBytes);
  WRITER.u32(7, reply.dictionaryMaxBytes);
  WRITER.f64(10, reply.leader?.term ?? 0);
  WRITER.u32(11, reply.bundleMaxBytes);
  WRITER.text(1, reply.nodeId);
  WRITER.text(2, reply.clusterId);
  WRITER.text(3, reply.version);
  WRITER.text(8, reply.leader?.id ?? "");
  WRITER.text(9, reply.leader?.address ?? "");
  return WRITER.end();
}

export function decodeHelloReply(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): HelloReply {
  const table = READER.open(bytes, offset, length);
  return {
    protocol: table.u8(0),
    nodeId: table.text(1, LIMITS.peerNameMaxBytes, "node id"),
    clusterId: table.text(2, LIMITS.peerNameMaxBytes, "cluster id"),
    version: table.text(3, LIMITS.peerNameMaxBytes, "version"),
    frameMaxBytes: table.u32(4),
    inFlightMax: table.u32(5),
    chunkMaxBytes: table.u32(6),
    dictionaryMaxBytes: table.u32(7),
    leader: readLeader(table, 8),
    bundleMaxBytes: table.u32(11),
  };
}

export function encodeLeaderNotice(sink: ByteSink, leader: LeaderNotice): number {
  WRITER.begin(sink, 3);
  WRITER.f64(2, leader.term);
  WRITER.text(0, leader.id);
  WRITER.text(1, leader.address);
  return WRITER.end();
}

/** Null: the frame names no leader. */
export function decodeLeaderNotice(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): LeaderNotice | null {
  return readLeader(READER.open(bytes, offset, length), 0);
}

/** A hint that is not whole is none: whoever reads it gets on without. */
function readLeader(table: FlatReader, firstField: number): LeaderNotice | null {
  const id = table.text(firstField, LIMITS.peerNameMaxBytes, "leader id");
  const address = table.text(firstField + 1, LIMITS.peerNameMaxBytes, "leader address");
  const term = table.f64(firstField + 2);
  const isWhole = id !== "" && address !== "" && Number.isSafeInteger(term) && term > 0;
  return isWhole ? { id, address, term } : null;
}

export function encodeWriteReply(sink: ByteSink, reply: WriteReply): number {
  WRITER.begin(sink, 2);
  WRITER.f64(0, reply.logIndex);
  WRITER.f64(1, reply.term);
  return WRITER.end();
}

export function decodeWriteReply(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): WriteReply {
  const table = READER.open(bytes, offset, length);
  return { logIndex: table.f64(0), term: table.f64(1) };
}

export function encodeTenantReply(sink: ByteSink, reply: TenantReply): number {
  WRITER.begin(sink, 4);
  WRITER.u8(0, reply.dataIngested ? 1 : 0);
  WRITER.f64(1, reply.oldestProfileTimeMs);
  WRITER.f64(2, reply.newestProfileTimeMs);
  WRITER.f64(3, reply.appliedIndex);
  return WRITER.end();
}

export function decodeTenantReply(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): TenantReply {
  const table = READER.open(bytes, offset, length);
  return {
    dataIngested: table.u8(0) !== 0,
    oldestProfileTimeMs: table.f64(1),
    newestProfileTimeMs: table.f64(2),
    appliedIndex: table.f64(3),
  };
}

export function encodeTenantsReply(sink: ByteSink, reply: TenantsReply): number {
  WRITER.begin(sink, 3);
  WRITER.f64(2, reply.appliedIndex);
  WRITER.stringTable(0, 1, reply.tenants);
  return WRITER.end();
}

export function decodeTenantsReply(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): TenantsReply {
  const table = READER.open(bytes, offset, length);
  return { tenants: table.stringTable(0, 1, "tenants"), appliedIndex: table.f64(2) };
}

/** `json` is the text; what it must hold is for the operation to say. */
export function encodeJsonMessage(sink: ByteSink, json: string): number {
  WRITER.begin(sink, 1);
  WRITER.text(0, json);
  return WRITER.end();
}

export function decodeJsonMessage(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): string {
  return READER.open(bytes, offset, length).text(0, LIMITS.jsonMaxBytes, "JSON message");
}
