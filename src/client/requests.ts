/** Every request of the protocol that users can make: its name, its operation, how often it may be made, its bytes. */
import { invalidArgument } from "../base/index.ts";
import {
  beginSessionWrite,
  ByteSink,
  type Consistency,
  encodeBlock,
  encodeBlockBatch,
  encodeBlockListRequest,
  encodeJsonMessage,
  encodePollRequest,
  encodeQueryRequest,
  encodeTenantRequest,
  OP,
  type PollRequest,
  type QueryRequest,
  type SessionNumbers,
  type SessionWrite,
} from "../protocol/index.ts";
import { buildFrame, type PayloadWriter } from "./frames.ts";
import type { RequestSpec } from "./requester.ts";
import type {
  BlockInput,
  BlockListParams,
  JsonValue,
  QueryParams,
  RawCommandOptions,
  ReadConsistency,
} from "./types.ts";

/** Reads change nothing; of writes, `repeatable` says that a second execution does no harm. */
const KINDS = {
  read: { isWrite: false, isRepeatable: true },
  repeatable: { isWrite: true, isRepeatable: true },
  once: { isWrite: true, isRepeatable: false },
} as const;

/** A write before it is known how it travels: by itself, or under a number of a session. */
export interface PlainWrite {
  readonly method: string;
  readonly opcode: SessionWrite["opcode"];
  readonly payload: PayloadWriter;
}

export function addBlockWrite(block: BlockInput): PlainWrite {
  const payload = (sink: ByteSink): void => {
    if (block instanceof Uint8Array) sink.append(block);
    else encodeBlock(block, sink);
  };
  return { method: "addBlock", opcode: OP.add_block, payload };
}

export function addBlocksWrite(blocks: readonly BlockInput[]): PlainWrite {
  const payload = (sink: ByteSink): void => {
    if (blocks.length === 0) throw invalidArgument("no_blocks", "Cannot add blocks: none given");
    encodeBlockBatch(sink, blocks);
  };
  return { method: "addBlocks", opcode: OP.add_blocks, payload };
}

/** The first write of a block id wins, so adding a block again changes nothing. */
export function writeRequest({ method, opcode, payload }: PlainWrite): RequestSpec {
  return build(method, opcode, KINDS.repeatable, payload);
}

/** Under its number it takes effect once, so repeating it is harmless whatever it is. */
export function sessionWriteRequest(
  { method, opcode, payload }: PlainWrite,
  numbers: SessionNumbers,
): RequestSpec {
  return build(method, OP.session_write, KINDS.repeatable, (sink) => {
    beginSessionWrite(sink, { ...numbers, opcode });
    payload(sink);
  });
}

/** Opening one more session than is used does no harm: it is forgotten. */
export function openSessionRequest(): RequestSpec {
  return build("openSession", OP.open_session, KINDS.repeatable, writeNothing);
}

export function blockListRequest(
  params: BlockListParams,
  consistency: ReadConsistency | undefined,
): RequestSpec {
  const { tenant = "", shard, blocks } = params;
  const request = { tenant, shard, blocks, consistency: plainConsistency(consistency) };
  return build("getBlockMetadata", OP.get_block_metadata, KINDS.read, (sink) => {
    encodeBlockListRequest(sink, request);
  });
}

export function planRequest(
  params: QueryParams,
  consistency: ReadConsistency | undefined,
): RequestSpec {
  return build("queryMetadata", OP.query_metadata, KINDS.read, queryWriter(params, consistency));
}

export function labelsRequest(
  params: QueryParams,
  consistency: ReadConsistency | undefined,
): RequestSpec {
  const write = queryWriter(params, consistency);
  return build("queryMetadataLabels", OP.query_metadata_labels, KINDS.read, write);
}

export function tenantsRequest(consistency: ReadConsistency | undefined): RequestSpec {
  return build("getTenants", OP.get_tenants, KINDS.read, tenantWriter("", consistency));
}

export function tenantRequest(
  tenant: string,
  consistency: ReadConsistency | undefined,
): RequestSpec {
  return build("getTenant", OP.get_tenant, KINDS.read, tenantWriter(tenant, consistency));
}

/** A repeat finds the tenant hidden already. */
export function deleteTenantRequest(tenant: string): RequestSpec {
  return build("deleteTenant", OP.delete_tenant, KINDS.repeatable, tenantWriter(tenant, "strong"));
}

export function readIndexRequest(): RequestSpec {
  return build("readIndex", OP.read_index, KINDS.read, writeNothing);
}

export function nodeInfoRequest(): RequestSpec {
  return build("nodeInfo", OP.node_info, KINDS.read, writeNothing);
}

export function leaderActivitiesRequest(): RequestSpec {
  return build("leaderActivities", OP.leader_activities, KINDS.read, writeNothing);
}

export function pingRequest(): RequestSpec {
  return build("ping", OP.ping, KINDS.read, writeNothing);
}

/** A repeat has the same number, so the leader answers it alike. */
export function pollRequest(poll: PollRequest): RequestSpec {
  return build("pollCompactionJobs", OP.poll_compaction_jobs, KINDS.repeatable, (sink) => {
    sink.append(encodePollRequest(poll));
  });
}

/** Operations whose question and answer are JSON. A control may find its work done when it is repeated, and say so. */
export function jsonRequest(
  method: string,
  opcode: number,
  kind: "read" | "once",
  question: object,
): RequestSpec {
  return build(method, opcode, KINDS[kind], (sink) => {
    encodeJsonMessage(sink, JSON.stringify(question));
  });
}

/** The wire bytes of a block, owned. */
export function blockBytes(block: BlockInput): Uint8Array {
  if (block instanceof Uint8Array) return block;
  const sink = new ByteSink();
  encodeBlock(block, sink);
  return sink.copy();
}

/** Payload: f64 least term, f64 instant of appending, then the entries as they are. */
export function rawCommandRequest(entries: Uint8Array, options: RawCommandOptions): RequestSpec {
  const { termAtLeast = 0, appendedAtMs = 0 } = options;
  return build("rawCommand", OP.command, KINDS.once, (sink) => {
    sink.reserve(16);
    const position = sink.length >>> 3;
    sink.f64[position] = termAtLeast;
    sink.f64[position + 1] = appendedAtMs;
    sink.length += 16;
    sink.append(entries);
  });
}

export function inspectRequest(question: JsonValue): RequestSpec {
  return build("inspect", OP.inspect, KINDS.read, (sink) => {
    encodeJsonMessage(sink, JSON.stringify(question));
  });
}

function build(
  method: string,
  opcode: number,
  kind: (typeof KINDS)[keyof typeof KINDS],
  write: PayloadWriter,
): RequestSpec {
  return { method, opcode, ...kind, frame: buildFrame(write) };
}

function writeNothing(): void {}

function queryWriter(params: QueryParams, consistency: ReadConsistency | undefined): PayloadWriter {
  return (sink: ByteSink) => {
    encodeQueryRequest(sink, queryRequest(params, consistency ?? "strong"));
  };
}

function queryRequest(params: QueryParams, consistency: ReadConsistency): QueryRequest {
  const isBounded = typeof consistency === "object";
  return {
    tenants: params.tenants,
    startMs: params.startAtMs,
    endMs: params.endAtMs,
    selector: params.selector,
    labels: params.labels ?? [],
    consistency: isBounded ? "bounded" : consistency,
    maxStalenessMs: isBounded ? consistency.maxStalenessMs : 0,
  };
}

function tenantWriter(tenant: string, consistency: ReadConsistency | undefined): PayloadWriter {
  return (sink: ByteSink) => {
    encodeTenantRequest(sink, { tenant, consistency: plainConsistency(consistency) });
  };
}

/** Only queries carry a bound on staleness; elsewhere "strong" gives what was asked for, and more. */
function plainConsistency(consistency: ReadConsistency | undefined): Consistency {
  if (consistency === undefined || typeof consistency === "object") return "strong";
  return consistency;
}
