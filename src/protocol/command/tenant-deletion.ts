/**
 * Payloads of the commands that delete a tenant (src/state/deletions/DESIGN.md): few, small, and read by people in
 * `hearth data inspect log`, so JSON in UTF-8.
 *
 * ```
 * deleteTenant   {"tenant":"acme","closedForMs":604800000}
 * clearTenant    {"term":7,"id":812,"shardsMax":64,"segments":[{"shard":3,"ids":["01J..."]}]}
 * noteDeletion   {"term":7,"id":812,"from":"","to":"blocks/3/acme/...","objects":1000,"bytes":1,"isEnd":false,"segmentsLeft":0}
 * openTenant     {"term":0,"id":812}
 * ```
 *
 * `id` is the log index of the deleteTenant entry; `term` the one in which it was decided, 0: an operator's wish.
 */

import { invalidArgument, tryDecodeUlid, ULID_BYTES } from "../../base/index.ts";
import { LIMITS } from "../limits.ts";
import { decodeJsonPayload, encodeJsonPayload, type JsonFields } from "./json-payload.ts";

export interface DeleteTenant {
  /** Not empty. */
  readonly tenant: string;
  /** How long nothing of the name is taken after all is gone; 0: until somebody opens it. */
  readonly closedForMs: number;
}

/** Blocks of the anonymous owner, of one shard number. */
export interface SegmentList {
  readonly shard: number;
  readonly ids: readonly string[];
}

export interface ClearTenant {
  readonly term: number;
  readonly id: number;
  /** Shards of the tenant that go with this entry, oldest first. */
  readonly shardsMax: number;
  /** Segments that hold data of deleted tenants alone. */
  readonly segments: readonly SegmentList[];
}

/** What was deleted from the bucket in one stretch of its list. */
export interface NoteDeletion {
  readonly term: number;
  readonly id: number;
  /** Where the stretch began: the place that the state knows, or the note is ignored. */
  readonly from: string;
  readonly to: string;
  readonly objects: number;
  readonly bytes: number;
  /** The list was read to its end. */
  readonly isEnd: boolean;
  /** Segments from before the request that hold data of the tenant beside that of others. */
  readonly segmentsLeft: number;
}

export interface OpenTenant {
  readonly term: number;
  readonly id: number;
}

export const TENANT_DELETION_LIMITS = {
  shardsPerEntryMax: 256,
  segmentsPerEntryMax: 1_024,
  /** A key of the object store. */
  placeMaxBytes: 4_096,
  payloadMaxBytes: 256 * 1_024,
} as const;

const scratch = new Uint8Array(ULID_BYTES);

export function encodeTenantCommand(
  payload: DeleteTenant | ClearTenant | NoteDeletion | OpenTenant,
): Uint8Array {
  return encodeJsonPayload(payload);
}

/** Errors: HearthError invalid_argument, as of the others. */
export function decodeDeleteTenant(
  bytes: Uint8Array,
  offset: number,
  length: number,
): DeleteTenant {
  const fields = fieldsOf(bytes, offset, length);
  const tenant = textOf(fields, "tenant", LIMITS.tenantMaxBytes);
  if (tenant === "") throw bad("an empty tenant: the anonymous owner is nobody's to delete");
  return { tenant, closedForMs: countOf(fields, "closedForMs") };
}

export function decodeClearTenant(bytes: Uint8Array, offset: number, length: number): ClearTenant {
  const fields = fieldsOf(bytes, offset, length);
  const shardsMax = countOf(fields, "shardsMax");
  if (shardsMax > TENANT_DELETION_LIMITS.shardsPerEntryMax) throw bad(`${shardsMax} shards`);
  const { segments } = fields;
  if (!Array.isArray(segments)) throw bad("its segments");
  const lists = segments.map(segmentsOf);
  const count = lists.reduce((sum, { ids }) => sum + ids.length, 0);
  if (count > TENANT_DELETION_LIMITS.segmentsPerEntryMax) throw bad(`${count} segments`);
  return { term: countOf(fields, "term"), id: countOf(fields, "id"), shardsMax, segments: lists };
}

export function decodeNoteDeletion(
  bytes: Uint8Array,
  offset: number,
  length: number,
): NoteDeletion {
  const fields = fieldsOf(bytes, offset, length);
  const { isEnd } = fields;
  if (typeof isEnd !== "boolean") throw bad("isEnd");
  return {
    term: countOf(fields, "term"),
    id: countOf(fields, "id"),
    from: textOf(fields, "from", TENANT_DELETION_LIMITS.placeMaxBytes),
    to: textOf(fields, "to", TENANT_DELETION_LIMITS.placeMaxBytes),
    objects: countOf(fields, "objects"),
    bytes: countOf(fields, "bytes"),
    isEnd,
    segmentsLeft: countOf(fields, "segmentsLeft"),
  };
}

export function decodeOpenTenant(bytes: Uint8Array, offset: number, length: number): OpenTenant {
  const fields = fieldsOf(bytes, offset, length);
  return { term: countOf(fields, "term"), id: countOf(fields, "id") };
}

function fieldsOf(bytes: Uint8Array, offset: number, length: number): JsonFields {
  const payload = bytes.subarray(offset, offset + length);
  return decodeJsonPayload(payload, TENANT_DELETION_LIMITS.payloadMaxBytes, bad);
}

function segmentsOf(list: unknown): SegmentList {
  if (typeof list !== "object" || list === null) throw bad("its segments");
  const fields = list as JsonFields;
  const shard = countOf(fields, "shard");
  if (shard > 0xffff_ffff) throw bad(`shard ${shard}`);
  const { ids } = fields;
  if (!Array.isArray(ids)) throw bad("ids of its segments");
  for (const id of ids) {
    if (typeof id !== "string" || !tryDecodeUlid(id, scratch, 0)) throw bad("ids of its segments");
  }
  return { shard, ids: ids as string[] };
}

function textOf(fields: JsonFields, name: string, maxBytes: number): string {
  const value = fields[name];
  if (typeof value !== "string") throw bad(name);
  if (Buffer.byteLength(value) > maxBytes) throw bad(`${name}: more than ${maxBytes} bytes`);
  return value;
}

function countOf(fields: JsonFields, name: string): number {
  const value = fields[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw bad(name);
  return value as number;
}

function bad(what: string): Error {
  return invalidArgument("bad_tenant_command", `Cannot read a command about a tenant: ${what}`);
}
