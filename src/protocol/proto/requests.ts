/**
 * Requests of the gRPC services (schemas/metastore.proto, raft_node.proto, health.proto) to plain values.
 *
 * Every decoder takes a whole message, borrowed, and throws HearthError invalid_argument for anything that is none or is
 * over a limit; the values it returns are owned.
 */

import { HearthError, isHearthError, tryDecodeUlid, ULID_BYTES } from "../../base/index.ts";
import { validateBlock } from "../block/block-validator.ts";
import type { BlockIdsRequest, QueryRequest } from "../client/messages.ts";
import { type JobReport, REPORT_STATUS } from "../client/compaction-polls.ts";
import type { CompactedBlocks, SourceBlocks } from "../command/types.ts";
import { ByteSink } from "../bytes/sink.ts";
import { LIMITS, TIME_MAX_MS } from "../limits.ts";
import { refusalError } from "../refusals.ts";
import { BlockTranscoder } from "./block-from-proto.ts";
import { ProtoReader, tagOf, tooLong, WIRE } from "./wire.ts";

const { varint, bytes } = WIRE;

const READER = new ProtoReader();
const TRANSCODER = new BlockTranscoder();

/** Blocks of requests are made in one buffer per thread; after a large one it is made anew. */
const KEPT_BLOCK_BYTES = 1024 * 1024;
let blockSink = new ByteSink(64 * 1024);

/**
 * AddBlockRequest -> wire Block, borrowed until the next call; null: the message has no block.
 *
 * Cost: see BlockTranscoder.
 */
export function decodeAddBlockProto(message: Uint8Array): Uint8Array | null {
  const block = singleMessage(message, 0, message.length, tagOf(1, bytes));
  if (block === null) return null;
  if (blockSink.buffer.byteLength > KEPT_BLOCK_BYTES) blockSink = new ByteSink(64 * 1024);
  blockSink.reset();
  return transcode(block, blockSink);
}

function transcode(block: Range, sink: ByteSink): Uint8Array {
  TRANSCODER.append(sink, block.bytes, block.start, block.end);
  return sink.view();
}

/** QueryMetadataRequest and QueryMetadataLabelsRequest. Times are clamped to what doubles hold. */
export function decodeQueryProto(message: Uint8Array): QueryRequest {
  const reader = READER.reset(message);
  const tenants: string[] = [];
  const labels: string[] = [];
  let startMs = 0;
  let endMs = 0;
  let selector = "";
  while (reader.next()) {
    switch (reader.tag) {
      case tagOf(1, bytes):
        push(tenants, reader.text(LIMITS.tenantMaxBytes, "tenant"), LIMITS.tenantsPerQueryMax);
        break;
      case tagOf(2, varint):
        startMs = clampedTime(reader);
        break;
      case tagOf(3, varint):
        endMs = clampedTime(reader);
        break;
      case tagOf(4, bytes):
        selector = reader.text(LIMITS.selectorMaxBytes, "query");
        break;
      case tagOf(5, bytes):
        push(labels, reader.text(LIMITS.labelNameMaxBytes, "label name"), LIMITS.labelNamesMax);
        break;
      default:
        reader.skip();
    }
  }
  return { tenants, startMs, endMs, selector, labels, consistency: "strong", maxStalenessMs: 0 };
}

/** GetBlockMetadataRequest; null: the message has no list. */
export function decodeBlockListProto(message: Uint8Array): BlockIdsRequest | null {
  const list = singleMessage(message, 0, message.length, tagOf(1, bytes));
  if (list === null) return null;
  const { tenant, shard, blocks } = readBlockList(list, LIMITS.idsPerListMax);
  // As everywhere: what is no id of a block is refused, since it can never be found.
  const ids = new Uint8Array(ULID_BYTES * blocks.length);
  for (const [i, id] of blocks.entries())
    if (!tryDecodeUlid(id, ids, ULID_BYTES * i)) throw badId(id);
  return { tenant, shard, ids, consistency: "strong" };
}

/** GetTenantRequest and DeleteTenantRequest. */
export function decodeTenantProto(message: Uint8Array): string {
  const reader = READER.reset(message);
  let tenant = "";
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes)) tenant = reader.text(LIMITS.tenantMaxBytes, "tenant");
    else reader.skip();
  }
  return tenant;
}

/** A message without fields, or whose fields do not matter: it must be one all the same. */
export function decodeEmptyProto(message: Uint8Array): void {
  const reader = READER.reset(message);
  while (reader.next()) reader.skip();
}

/** HealthCheckRequest: the name of the service that is asked for; "" is the server itself. */
export function decodeHealthProto(message: Uint8Array): string {
  const reader = READER.reset(message);
  let service = "";
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes)) service = reader.text(LIMITS.peerNameMaxBytes, "service");
    else reader.skip();
  }
  return service;
}

/** AddNodeRequest, RemoveNodeRequest, PromoteToLeaderRequest, DemoteLeaderRequest. */
export interface MemberProto {
  readonly serverId: string;
  /** 2^53 for larger ones: newer than any term there is. */
  readonly currentTerm: number;
}

export function decodeMemberProto(message: Uint8Array): MemberProto {
  const reader = READER.reset(message);
  let serverId = "";
  let currentTerm = 0;
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes))
      serverId = reader.text(LIMITS.peerNameMaxBytes, "server id");
    else if (reader.tag === tagOf(2, varint)) currentTerm = clampedCount(reader);
    else reader.skip();
  }
  return { serverId, currentTerm };
}

/** PollCompactionJobsRequest. */
export interface PollProto {
  readonly capacity: number;
  readonly reports: readonly JobReport[];
}

export function decodePollProto(message: Uint8Array): PollProto {
  const reader = READER.reset(message);
  const updates: Range[] = [];
  let capacity = 0;
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes)) push(updates, takeRange(reader), LIMITS.jobsPerCommandMax);
    else if (reader.tag === tagOf(2, varint)) capacity = reader.uint32();
    else reader.skip();
  }
  return { capacity, reports: oncePerJob(updates.map(readStatusUpdate)) };
}

/** Of two reports about a job the later one counts, but a success is never taken back. */
function oncePerJob(reports: readonly JobReport[]): readonly JobReport[] {
  const byName = new Map<string, JobReport>();
  for (const report of reports) {
    const isDone = byName.get(report.name)?.status === REPORT_STATUS.success;
    if (!isDone || report.status === REPORT_STATUS.success) byName.set(report.name, report);
  }
  return [...byName.values()];
}

function readStatusUpdate({ bytes: message, start, end }: Range): JobReport {
  const reader = READER.reset(message, start, end);
  let name = "";
  let token = 0;
  let status = 0;
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes)) name = reader.text(LIMITS.jobNameMaxBytes, "job name");
    else if (reader.tag === tagOf(2, varint)) token = clampedCount(reader);
    else if (reader.tag === tagOf(3, varint)) status = statusOf(reader.int32());
    else reader.skip();
  }
  const report: JobReport = { name, token, status, reason: "", compacted: null };
  // A result counts with a success alone.
  if (status !== REPORT_STATUS.success) return report;
  const compacted = singleMessage(message, start, end, tagOf(4, bytes));
  return compacted === null ? report : withResult(report, compacted);
}

/**
 * A result that no index could take is a failure of its job. Refused with the poll, it would come again with every poll of
 * its worker, and keep it from everything else for ever.
 */
function withResult(report: JobReport, message: Range): JobReport {
  try {
    return { ...report, compacted: checkedResult(readCompacted(message)) };
  } catch (error) {
    if (!isHearthError(error) || error.reason === "bad_protobuf") throw error;
    const reason = error.message.slice(0, REASON_MAX_LENGTH);
    return { ...report, status: REPORT_STATUS.failed, reason };
  }
}

/** Characters of a reason, so that it has at most `jobReasonMaxBytes` whatever they are. */
const REASON_MAX_LENGTH = Math.floor(LIMITS.jobReasonMaxBytes / 3);

/** Errors: HearthError invalid_argument. */
function checkedResult(compacted: CompactedBlocks): CompactedBlocks {
  const { source, newBlocks } = compacted;
  const id = new Uint8Array(ULID_BYTES);
  for (const text of source?.blocks ?? []) if (!tryDecodeUlid(text, id, 0)) throw badId(text);
  let bytes = 0;
  for (const block of newBlocks) {
    const failure = validateBlock(block);
    if (failure !== null) throw refusalError(failure);
    bytes += block.length;
  }
  if (bytes > LIMITS.resultMaxBytes)
    throw tooLong(`a result of ${bytes} bytes, limit is ${LIMITS.resultMaxBytes}`);
  return compacted;
}

/** Numbers that do not exist count as unspecified. */
function statusOf(number: number): number {
  const { inProgress, success, unspecified } = REPORT_STATUS;
  return number === inProgress || number === success ? number : unspecified;
}

function readCompacted({ bytes: message, start, end }: Range): CompactedBlocks {
  const list = singleMessage(message, start, end, tagOf(1, bytes));
  const source = list === null ? null : readBlockList(list, LIMITS.idsPerListMax);
  const blocks: Range[] = [];
  const reader = READER.reset(message, start, end);
  while (reader.next()) {
    if (reader.tag === tagOf(2, bytes)) push(blocks, takeRange(reader), LIMITS.resultsPerPollMax);
    else reader.skip();
  }
  const newBlocks = blocks.map((block) => {
    const sink = new ByteSink(2 * (block.end - block.start) + 256);
    return transcode(block, sink);
  });
  return { source, newBlocks };
}

function readBlockList({ bytes: message, start, end }: Range, idsMax: number): SourceBlocks {
  const reader = READER.reset(message, start, end);
  const blocks: string[] = [];
  let tenant = "";
  let shard = 0;
  while (reader.next()) {
    if (reader.tag === tagOf(1, bytes)) tenant = reader.text(LIMITS.tenantMaxBytes, "tenant");
    else if (reader.tag === tagOf(2, varint)) shard = reader.uint32();
    else if (reader.tag === tagOf(3, bytes))
      push(blocks, reader.text(LIMITS.idMaxBytes, "block id"), idsMax);
    else reader.skip();
  }
  return { tenant, shard, blocks };
}

// -- parts of messages -------------------------------------------------------------------------------------------------

/** bytes[start, end) */
interface Range {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

function takeRange(reader: ProtoReader): Range {
  const length = reader.length();
  const start = reader.position;
  reader.position += length;
  return { bytes: reader.bytes, start, end: start + length };
}

/**
 * The message in a field that is not repeated; null: it is absent. One that stands there several times is merged, which
 * for protobuf means: put one behind the other.
 */
function singleMessage(message: Uint8Array, start: number, end: number, tag: number): Range | null {
  const reader = READER.reset(message, start, end);
  let found: Range | null = null;
  while (reader.next()) {
    if (reader.tag !== tag) reader.skip();
    else if (found === null) found = takeRange(reader);
    else found = joined(found, takeRange(reader));
  }
  return found;
}

function joined(first: Range, second: Range): Range {
  const parts = [first, second].map((range) => range.bytes.subarray(range.start, range.end));
  const whole = Buffer.concat(parts);
  return { bytes: whole, start: 0, end: whole.length };
}

function push<T>(list: T[], item: T, countMax: number): void {
  if (list.length >= countMax) throw tooLong(`a list of more than ${countMax} elements`);
  list.push(item);
}

/** Far times mean "no bound". */
function clampedTime(reader: ProtoReader): number {
  const timeMs = reader.int64();
  if (!Number.isNaN(timeMs)) return timeMs;
  return reader.high < 0 ? -TIME_MAX_MS : TIME_MAX_MS;
}

function clampedCount(reader: ProtoReader): number {
  const count = reader.uint64();
  return Number.isNaN(count) ? TIME_MAX_MS : count;
}

function badId(id: string): HearthError {
  const shown = JSON.stringify(id.slice(0, 64));
  const message = `Cannot find block ${shown}: it is no upper-case ULID of 26 characters`;
  return new HearthError("invalid_argument", message, { reason: "bad_block_id" });
}
