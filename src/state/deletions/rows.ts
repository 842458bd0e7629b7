/**
 * How deletions of tenants stand in the database, for the writer and for readers.
 *
 * ```
 * tenantDeletions   u64 id (log index of the request)   ->   JSON of StoredDeletion
 * ```
 *
 * Few rows, written a few times a second at most while a deletion runs: text that people can read. Its fields are always
 * written in the order of `encode`, since members compare their rows byte by byte.
 */

import { type IndexDatabase, KeyBuffer } from "../../db/index.ts";
import type { DeletionState, TenantDeletion } from "../../protocol/index.ts";

export interface StoredDeletion extends TenantDeletion {
  /** Behind this key the pass over the bucket goes on; "": at the beginning. */
  readonly place: string;
  /** Objects that the pass under way has found. */
  readonly found: number;
}

const FIRST = new Uint8Array(8);
const LAST = new Uint8Array(9).fill(0xff);

export function newDeletion(
  request: Pick<TenantDeletion, "id" | "tenant" | "requestedAtMs" | "closedForMs">,
): StoredDeletion {
  return {
    ...request,
    state: "hidden",
    unindexedAtMs: null,
    emptiedAtMs: null,
    verifiedAtMs: null,
    openedAtMs: null,
    shards: 0,
    blocks: 0,
    bytes: 0,
    segments: 0,
    segmentsLeft: 0,
    objects: 0,
    objectBytes: 0,
    passes: 0,
    lateBlocks: 0,
    place: "",
    found: 0,
  };
}

/** Inside a write transaction. */
export function putDeletion(db: IndexDatabase, deletion: StoredDeletion): void {
  db.put("tenantDeletions", keyOf(deletion.id), encode(deletion));
}

/** Inside a write transaction. */
export function removeDeletion(db: IndexDatabase, id: number): void {
  db.remove("tenantDeletions", keyOf(id));
}

/** The one of that id, also when it is over; null: there is none. Inside a transaction, on any thread. */
export function readDeletion(db: IndexDatabase, id: number): StoredDeletion | null {
  const length = db.get("tenantDeletions", keyOf(id));
  return length < 0 ? null : decode(db.value(length));
}

/** All of them, oldest first. Inside a transaction, on any thread. */
export function readDeletions(db: IndexDatabase): StoredDeletion[] {
  const found: StoredDeletion[] = [];
  db.scan("tenantDeletions", FIRST, LAST, (_, length) => {
    found.push(decode(db.value(length)));
    return true;
  });
  return found;
}

/** For people: without what only the work on it needs. */
export function deletionView({ place, found, ...view }: StoredDeletion): TenantDeletion {
  return view;
}

/** Whether nothing of the tenant may be seen or taken. */
export function isHiding(state: DeletionState): boolean {
  return state !== "open";
}

function keyOf(id: number): Uint8Array {
  return new KeyBuffer(8).u64(0, id).bytes;
}

function decode(value: Uint8Array): StoredDeletion {
  return JSON.parse(Buffer.from(value).toString("utf8")) as StoredDeletion;
}

function encode(deletion: StoredDeletion): Uint8Array {
  const fields: Record<keyof StoredDeletion, unknown> = {
    id: deletion.id,
    tenant: deletion.tenant,
    state: deletion.state,
    requestedAtMs: deletion.requestedAtMs,
    unindexedAtMs: deletion.unindexedAtMs,
    emptiedAtMs: deletion.emptiedAtMs,
    verifiedAtMs: deletion.verifiedAtMs,
    openedAtMs: deletion.openedAtMs,
    closedForMs: deletion.closedForMs,
    shards: deletion.shards,
    blocks: deletion.blocks,
    bytes: deletion.bytes,
    segments: deletion.segments,
    segmentsLeft: deletion.segmentsLeft,
    objects: deletion.objects,
    objectBytes: deletion.objectBytes,
    passes: deletion.passes,
    lateBlocks: deletion.lateBlocks,
    place: deletion.place,
    found: deletion.found,
  };
  return new TextEncoder().encode(JSON.stringify(fields));
}
