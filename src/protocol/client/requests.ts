/**
 * Requests to and from FlatBuffers tables (schemas/query.fbs).
 *
 * Every encoder appends to a sink that stands at a multiple of 8 and returns the bytes it took.
 * Every decoder takes bytes[offset, offset + length) as they came from a peer and throws
 * HearthError invalid_argument for anything that is no such table or is over a limit; the values it
 * returns are owned, but for decodeBlockListRequest's.
 */

import { HearthError, ULID_BYTES } from "../../base/index.ts";
import { AlignedViews } from "../bytes/aligned-views.ts";
import { FlatReader } from "../bytes/flat-reader.ts";
import { FlatWriter } from "../bytes/flat-writer.ts";
import type { ByteSink } from "../bytes/sink.ts";
import { TextMemo } from "../bytes/text.ts";
import { LIMITS, TIME_MAX_MS } from "../limits.ts";
import {
  type BlockIdsRequest,
  type BlockListRequest,
  CONSISTENCY,
  type Consistency,
  type Hello,
  type QueryRequest,
  type TenantRequest,
} from "./messages.ts";

/** One table is written or read at a time per thread: both ends are synchronous. */
const WRITER = new FlatWriter();

/** Requests come in a buffer each: up to about here a copy into one buffer beats three views of a new one. */
const REQUEST_COPY_MAX_BYTES = 1024;
const READER = new FlatReader(new AlignedViews(REQUEST_COPY_MAX_BYTES));

/** What decodeBlockListRequest returns, again and again. */
const BLOCK_LIST: { -readonly [Field in keyof BlockIdsRequest]: BlockIdsRequest[Field] } = {
  tenant: "",
  shard: 0,
  ids: new Uint8Array(ULID_BYTES),
  consistency: "strong",
};

/** A front end asks for the blocks of one tenant many times in a row. */
const TENANT = new TextMemo();

const CONSISTENCY_NAMES: readonly Consistency[] = ["strong", "bounded", "local"];

export function encodeQueryRequest(sink: ByteSink, request: QueryRequest): number {
  WRITER.begin(sink, 7);
  WRITER.f64(1, request.startMs);
  WRITER.f64(2, request.endMs);
  WRITER.u8(5, CONSISTENCY[request.consistency]);
  WRITER.u32(6, request.maxStalenessMs);
  WRITER.texts(0, request.tenants);
  WRITER.text(3, request.selector);
  WRITER.texts(4, request.labels);
  return WRITER.end();
}

export function decodeQueryRequest(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): QueryRequest {
  const table = READER.open(bytes, offset, length);
  return {
    startMs: readTime(table, 1),
    endMs: readTime(table, 2),
    consistency: readConsistency(table, 5),
    maxStalenessMs: table.u32(6),
    tenants: table.texts(0, LIMITS.tenantsPerQueryMax, LIMITS.tenantMaxBytes, "tenants"),
    selector: table.text(3, LIMITS.selectorMaxBytes, "selector"),
    labels: table.texts(4, LIMITS.labelNamesMax, LIMITS.labelNameMaxBytes, "labels"),
  };
}

export function encodeBlockListRequest(sink: ByteSink, request: BlockListRequest): number {
  WRITER.begin(sink, 4);
  WRITER.u32(1, request.shard);
  WRITER.u8(3, CONSISTENCY[request.consistency]);
  WRITER.text(0, request.tenant);
  WRITER.texts(2, request.blocks);
  return WRITER.end();
}

/** Borrowed, unlike the others: look-ups come by the hundred thousand. Valid until the next one is decoded. */
export function decodeBlockListRequest(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): BlockIdsRequest {
  const table = READER.open(bytes, offset, length);
  const list = BLOCK_LIST;
  list.tenant = table.textAgain(0, TENANT, LIMITS.tenantMaxBytes, "tenant");
  list.shard = table.u32(1);
  list.ids = table.ulids(2, list.ids, LIMITS.idsPerListMax, "blocks");
  list.consistency = readConsistency(table, 3);
  return list;
}

export function encodeTenantRequest(sink: ByteSink, request: TenantRequest): number {
  WRITER.begin(sink, 2);
  WRITER.u8(1, CONSISTENCY[request.consistency]);
  WRITER.text(0, request.tenant);
  return WRITER.end();
}

export function decodeTenantRequest(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): TenantRequest {
  const table = READER.open(bytes, offset, length);
  return {
    tenant: table.text(0, LIMITS.tenantMaxBytes, "tenant"),
    consistency: readConsistency(table, 1),
  };
}

export function encodeHello(sink: ByteSink, hello: Hello): number {
  WRITER.begin(sink, 7);
  WRITER.u8(0, hello.protocolMin);
  WRITER.u8(1, hello.protocolMax);
  WRITER.u32(4, hello.dictionaryMaxBytes);
  WRITER.u8(5, hello.wantsLeader ? 1 : 0);
  WRITER.u32(6, hello.bundleMaxBytes);
  WRITER.text(2, hello.name);
  WRITER.text(3, hello.role);
  return WRITER.end();
}

export function decodeHello(
  bytes: Uint8Array,
  offset = 0,
  length: number = bytes.length - offset,
): Hello {
  const table = READER.open(bytes, offset, length);
  return {
    protocolMin: table.u8(0),
    protocolMax: table.u8(1),
    name: table.text(2, LIMITS.peerNameMaxBytes, "name"),
    role: table.text(3, LIMITS.peerNameMaxBytes, "role"),
    dictionaryMaxBytes: table.u32(4),
    wantsLeader: table.u8(5) !== 0,
    bundleMaxBytes: table.u32(6),
  };
}

/**
 * Infinite and far times mean "no bound", so they are clamped; NaN means nothing and is refused.
 */
function readTime(table: FlatReader, field: number): number {
  const timeMs = table.f64(field);
  if (Number.isNaN(timeMs)) {
    throw new HearthError("invalid_argument", "Cannot read query: a time is not a number", {
      reason: "bad_time",
    });
  }
  return Math.min(TIME_MAX_MS, Math.max(-TIME_MAX_MS, timeMs));
}

function readConsistency(table: FlatReader, field: number): Consistency {
  const number = table.u8(field);
  const name = CONSISTENCY_NAMES[number];
  if (name !== undefined) return name;
  throw new HearthError(
    "invalid_argument",
    `Cannot read request: consistency is ${number}, allowed are 0 (strong), 1 (bounded), 2 (local)`,
    { reason: "bad_consistency" },
  );
}
