/**
 * Answers of the gRPC services (schemas/metastore.proto, raft_node.proto, health.proto, status.proto), appended to a
 * sink. Blocks have a writer of their own: block-to-proto.ts.
 */

import type { PollReply } from "../client/compaction-polls.ts";
import type { JobPlan } from "../command/plan-types.ts";
import type { BlockTombstones, ShardTombstone, Tombstone } from "../command/types.ts";
import type { ByteSink } from "../bytes/sink.ts";
import {
  beginField,
  beginLength,
  endLength,
  putNumber,
  putText,
  putTextElement,
  putU32,
  putU64,
  tagOf,
  VARINT_MAX_BYTES,
  WIRE,
} from "./wire.ts";

/** Tag of the blocks in QueryMetadataResponse and GetBlockMetadataResponse. */
export const BLOCKS_FIELD_TAG = tagOf(1, WIRE.bytes);

const TAG_NAME = tagOf(1, WIRE.bytes);
const TAG_VALUE = tagOf(2, WIRE.bytes);
const TAG_PAIR = tagOf(1, WIRE.bytes);
const TAG_ROW = tagOf(1, WIRE.bytes);

/**
 * One row of QueryMetadataLabelsResponse: a types.v1.Labels with a pair per name. `valueAt` gives the value of a column;
 * borrowed until the next call.
 */
export function putLabelsRow(
  sink: ByteSink,
  names: readonly Buffer[],
  valueAt: (column: number) => Buffer,
): void {
  sink.reserve(2 * VARINT_MAX_BYTES);
  putU32(sink, TAG_ROW);
  const row = beginLength(sink);
  for (const [column, name] of names.entries()) {
    const value = valueAt(column);
    sink.reserve(name.length + value.length + 6 * VARINT_MAX_BYTES);
    putU32(sink, TAG_PAIR);
    const pair = beginLength(sink);
    putBytes(sink, TAG_NAME, name);
    putBytes(sink, TAG_VALUE, value);
    endLength(sink, pair);
  }
  endLength(sink, row);
}

/** The sink has room for it. */
function putBytes(sink: ByteSink, tag: number, bytes: Buffer): void {
  if (bytes.length === 0) return;
  putU32(sink, tag);
  putU32(sink, bytes.length);
  bytes.copy(sink.u8, sink.length);
  sink.length += bytes.length;
}

/** GetTenantsResponse. */
export function putTenants(sink: ByteSink, tenants: readonly string[]): void {
  for (const tenant of tenants) putTextElement(sink, 1, tenant);
}

/** GetTenantResponse: `stats` is there also when all of it is zero. */
export function putTenantStats(
  sink: ByteSink,
  stats: {
    readonly dataIngested: boolean;
    readonly oldestProfileTimeMs: number;
    readonly newestProfileTimeMs: number;
  },
): void {
  const start = beginField(sink, 1);
  putNumber(sink, 1, stats.dataIngested ? 1 : 0);
  putNumber(sink, 2, stats.oldestProfileTimeMs);
  putNumber(sink, 3, stats.newestProfileTimeMs);
  endLength(sink, start);
}

/** PollCompactionJobsResponse; leases count from `nowMs`, Unix ms. */
export function putPollReply(sink: ByteSink, reply: PollReply, nowMs: number): void {
  for (const job of reply.jobs) {
    const start = beginField(sink, 1);
    putJob(sink, job);
    endLength(sink, start);
  }
  for (const { name, token, leaseMs } of reply.assignments) {
    const start = beginField(sink, 2);
    putText(sink, 1, name);
    putNumber(sink, 2, token);
    putInt64Field(sink, 3, BigInt(Math.round(nowMs + leaseMs)) * 1_000_000n);
    endLength(sink, start);
  }
}

function putJob(sink: ByteSink, job: JobPlan): void {
  putText(sink, 1, job.name);
  putNumber(sink, 2, job.shard);
  putText(sink, 3, job.tenant);
  putNumber(sink, 4, job.level);
  for (const id of job.sourceBlocks) putTextElement(sink, 5, id);
  for (const tombstone of job.tombstones) {
    const start = beginField(sink, 6);
    putTombstone(sink, tombstone);
    endLength(sink, start);
  }
}

/** Tombstones. */
export function putTombstone(sink: ByteSink, { blocks, shard }: Tombstone): void {
  if (blocks !== null) {
    const start = beginField(sink, 1);
    putBlockTombstones(sink, blocks);
    endLength(sink, start);
  }
  if (shard === null) return;
  const start = beginField(sink, 2);
  putShardTombstone(sink, shard);
  endLength(sink, start);
}

function putBlockTombstones(sink: ByteSink, tombstones: BlockTombstones): void {
  putText(sink, 1, tombstones.name);
  putNumber(sink, 2, tombstones.shard);
  putText(sink, 3, tombstones.tenant);
  putNumber(sink, 4, tombstones.compactionLevel);
  for (const id of tombstones.blocks) putTextElement(sink, 5, id);
}

function putShardTombstone(sink: ByteSink, tombstone: ShardTombstone): void {
  putText(sink, 1, tombstone.name);
  putInt64Field(sink, 2, tombstone.timestampNs);
  putInt64Field(sink, 3, tombstone.durationNs);
  putNumber(sink, 4, tombstone.shard);
  putText(sink, 5, tombstone.tenant);
}

function putInt64Field(sink: ByteSink, field: number, value: bigint): void {
  if (value === 0n) return;
  sink.reserve(2 * VARINT_MAX_BYTES);
  putU32(sink, tagOf(field, WIRE.varint));
  putU64(sink, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}

/** ReadIndexResponse. */
export function putReadIndex(sink: ByteSink, commitIndex: number, term: number): void {
  putNumber(sink, 1, commitIndex);
  putNumber(sink, 2, term);
}

/** raft_node.NodeInfo. */
export interface NodeInfoProto {
  readonly serverId: string;
  readonly advertisedAddress: string;
  /** Follower, Candidate, Leader or Shutdown. */
  readonly state: string;
  /** Empty: unknown. */
  readonly leaderId: string;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lastIndex: number;
  /** Name and value, sorted by name. */
  readonly stats: readonly (readonly [name: string, value: string])[];
  readonly peers: readonly {
    readonly serverId: string;
    readonly serverAddress: string;
    /** Voter, Nonvoter or Staging. */
    readonly suffrage: string;
  }[];
  readonly configurationIndex: number;
  readonly currentTerm: number;
  readonly buildVersion: string;
  readonly buildRevision: string;
}

/** NodeInfoResponse. */
export function putNodeInfo(sink: ByteSink, node: NodeInfoProto): void {
  const start = beginField(sink, 1);
  putText(sink, 1, node.serverId);
  putText(sink, 2, node.advertisedAddress);
  putText(sink, 3, node.state);
  putText(sink, 4, node.leaderId);
  putNumber(sink, 5, node.commitIndex);
  putNumber(sink, 6, node.appliedIndex);
  putNumber(sink, 7, node.lastIndex);
  const stats = beginField(sink, 8);
  for (const [name] of node.stats) putTextElement(sink, 1, name);
  for (const [, value] of node.stats) putTextElement(sink, 2, value);
  endLength(sink, stats);
  for (const { serverId, serverAddress, suffrage } of node.peers) {
    const peer = beginField(sink, 9);
    putText(sink, 1, serverId);
    putText(sink, 2, serverAddress);
    putText(sink, 3, suffrage);
    endLength(sink, peer);
  }
  putNumber(sink, 10, node.configurationIndex);
  putNumber(sink, 11, node.currentTerm);
  putText(sink, 12, node.buildVersion);
  putText(sink, 13, node.buildRevision);
  endLength(sink, start);
}

/** grpc.health.v1.HealthCheckResponse.ServingStatus. */
export const SERVING_STATUS = { unknown: 0, serving: 1, notServing: 2, serviceUnknown: 3 } as const;

export type ServingStatus = keyof typeof SERVING_STATUS;

/** HealthCheckResponse. */
export function putHealth(sink: ByteSink, status: ServingStatus): void {
  putNumber(sink, 1, SERVING_STATUS[status]);
}

/** HealthListResponse. */
export function putHealthList(
  sink: ByteSink,
  statuses: Readonly<Record<string, ServingStatus>>,
): void {
  for (const [service, status] of Object.entries(statuses)) {
    const entry = beginField(sink, 1);
    putText(sink, 1, service);
    const value = beginField(sink, 2);
    putHealth(sink, status);
    endLength(sink, value);
    endLength(sink, entry);
  }
}

/** google.rpc.Status, with the leader as its one detail where there is one. */
export function putStatus(
  sink: ByteSink,
  status: {
    readonly code: number;
    readonly message: string;
    readonly leader: { readonly id: string; readonly address: string } | null;
  },
): void {
  putNumber(sink, 1, status.code);
  putText(sink, 2, status.message);
  if (status.leader === null) return;
  const detail = beginField(sink, 3);
  putText(sink, 1, RAFT_NODE_TYPE);
  const node = beginField(sink, 2);
  putText(sink, 1, status.leader.id);
  putText(sink, 2, status.leader.address);
  endLength(sink, node);
  endLength(sink, detail);
}

const RAFT_NODE_TYPE = "type.googleapis.com/raft_node.RaftNode";
