/**
 * Blocks for the benchmarks, in the shape of the real entries: services, two label sets of two pairs per dataset
 * (`service_name` and `__profile_type__`), three sections per dataset.
 */

import { encodeUlid } from "../../src/base/index.ts";
import type { BlockMeta, DatasetMeta } from "../../src/protocol/index.ts";

export const PROFILE_TYPES = [
  "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
  "memory:inuse_space:bytes:space:bytes",
] as const;

export interface BlockShape {
  /** Creation time, Unix ms: decides the partition. */
  readonly createdAtMs: number;
  /** Distinguishes ids made for the same millisecond. */
  readonly serial: number;
  /** Empty: a level-0 segment; its datasets then belong to `datasetTenant`. */
  readonly owner: string;
  readonly datasetTenant: string;
  readonly shard: number;
  readonly services: readonly string[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly level?: number;
}

/** A canonical ULID of that time whose random part is the serial number. */
export function ulidAt(createdAtMs: number, serial: number): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(createdAtMs / 0x1_0000_0000));
  view.setUint32(2, createdAtMs >>> 0);
  view.setUint32(12, serial >>> 0);
  return encodeUlid(bytes, 0);
}

export function makeBlock(shape: BlockShape): BlockMeta {
  const strings: string[] = [""];
  const ref = (text: string): number => {
    const known = strings.indexOf(text);
    return known >= 0 ? known : strings.push(text) - 1;
  };
  const tenant = ref(shape.owner);
  const createdBy = ref("segment-writer-7f9c6d-0");
  const datasets = shape.services.map((service, i): DatasetMeta => {
    const labels: number[] = [];
    for (const type of PROFILE_TYPES) {
      labels.push(2, ref("service_name"), ref(service), ref("__profile_type__"), ref(type));
    }
    const offset = BigInt(10_000 * i);
    return {
      tenant: ref(shape.datasetTenant),
      name: ref(service),
      minTimeMs: shape.minTimeMs,
      maxTimeMs: shape.maxTimeMs,
      tableOfContents: [offset, offset + 4_549n, offset + 7_747n],
      sizeBytes: 19_471n,
      labels,
      format: 0,
    };
  });
  return {
    formatVersion: 1,
    id: ulidAt(shape.createdAtMs, shape.serial),
    tenant,
    shard: shape.shard,
    compactionLevel: shape.level ?? (shape.owner === "" ? 0 : 1),
    minTimeMs: shape.minTimeMs,
    maxTimeMs: shape.maxTimeMs,
    createdBy,
    sizeBytes: BigInt(20_000 * shape.services.length),
    datasets,
    stringTable: strings,
    metadataOffset: 0n,
  };
}

export function serviceNames(count: number, prefix = "service"): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(5, "0")}`);
}
