/**
 * What is written and read: keys that hold small sets of blocks. A key is a shard of a tenant and a minute of data, an
 * element is a block in it whose id follows from key and element. So a set that was seen is a number (bit per
 * element), and every block of the index leads back to the write that made it.
 */

import { encodeUlid, tryDecodeUlid } from "../../../src/base/index.ts";
import { buildFrame } from "../../../src/client/frames.ts";
import {
  type BlockMeta,
  encodeBlock,
  encodeBlockListRequest,
  encodeQueryRequest,
  type PlanBatch,
} from "../../../src/protocol/index.ts";

/** Elements of a key: the bits that a number holds without a sign. */
export const ELEMENTS_MAX = 30;
const TENANTS_COUNT = 4;
const SHARDS_COUNT = 5;
/** Distance of two keys in data time, so that a query finds the blocks of one key. */
const KEY_SPACING_MS = 60_000;
const DATA_START_MS = 1_760_000_000_000;
const ELEMENT_BITS = 5;

export interface KeyPlace {
  readonly tenant: string;
  readonly shard: number;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

export function placeOf(key: number): KeyPlace {
  const minTimeMs = DATA_START_MS + key * KEY_SPACING_MS;
  return {
    tenant: `tenant-${key % TENANTS_COUNT}`,
    shard: 1 + (key % SHARDS_COUNT),
    minTimeMs,
    maxTimeMs: minTimeMs + KEY_SPACING_MS / 2,
  };
}

export function blockId(key: number, element: number): string {
  const { minTimeMs } = placeOf(key);
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(minTimeMs / 0x1_0000_0000));
  view.setUint32(2, minTimeMs >>> 0);
  view.setUint32(12, ((key << ELEMENT_BITS) | element) >>> 0);
  return encodeUlid(bytes, 0);
}

const idBytes = new Uint8Array(16);

/** Key and element that a block id stands for; null when no write of ours has made it. */
export function placeOfId(id: string): { readonly key: number; readonly element: number } | null {
  if (!tryDecodeUlid(id, idBytes, 0)) return null;
  const serial = new DataView(idBytes.buffer).getUint32(12);
  const element = serial % (1 << ELEMENT_BITS);
  const key = serial >>> ELEMENT_BITS;
  return blockId(key, element) === id ? { key, element } : null;
}

function blockOf(key: number, element: number): BlockMeta {
  const { tenant, shard, minTimeMs, maxTimeMs } = placeOf(key);
  return {
    formatVersion: 1,
    id: blockId(key, element),
    tenant: 1,
    shard,
    compactionLevel: 1,
    minTimeMs,
    maxTimeMs,
    createdBy: 0,
    sizeBytes: 1_000n,
    metadataOffset: 0n,
    stringTable: ["", tenant, `service-${element}`, "service_name"],
    datasets: [
      {
        tenant: 1,
        name: 2,
        minTimeMs,
        maxTimeMs,
        tableOfContents: [1n, 2n, 3n],
        sizeBytes: 1_000n,
        labels: [1, 3, 2],
        format: 0,
      },
    ],
  };
}

export function addBlockFrame(key: number, element: number): Uint8Array {
  return buildFrame((sink) => encodeBlock(blockOf(key, element), sink));
}

const ELEMENTS = Array.from({ length: ELEMENTS_MAX }, (_, element) => element);

/** Asks for every element of the key by its id, also for those that nobody has written. */
export function blockListFrame(key: number): Uint8Array {
  const { tenant, shard } = placeOf(key);
  const blocks = ELEMENTS.map((element) => blockId(key, element));
  return buildFrame((sink) =>
    encodeBlockListRequest(sink, { tenant, shard, blocks, consistency: "strong" }),
  );
}

/** Asks for what there is in the key's minute. */
export function queryFrame(key: number): Uint8Array {
  const { tenant, minTimeMs, maxTimeMs } = placeOf(key);
  return buildFrame((sink) =>
    encodeQueryRequest(sink, {
      tenants: [tenant],
      startMs: minTimeMs,
      endMs: maxTimeMs,
      selector: "{}",
      labels: [],
      consistency: "strong",
      maxStalenessMs: 0,
    }),
  );
}

/** The elements of `key` in an answer, as bits. Errors: throws for a block of another key, and for one seen twice. */
export function elementsIn(batch: PlanBatch, key: number): number {
  let elements = 0;
  for (const { id } of batch) {
    const place = placeOfId(id);
    if (place?.key !== key) throw new Error(`Asked for key ${key}, the answer holds block ${id}`);
    const bit = 1 << place.element;
    if ((elements & bit) !== 0) throw new Error(`Block ${id} stands twice in one answer`);
    elements |= bit;
  }
  return elements;
}
