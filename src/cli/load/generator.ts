/**
 * Blocks as a cluster would write them, from a seed: for `hearth bench load`, the benchmarks and tests.
 *
 * Modelled on real entries (shared block files): a fresh segment is anonymous, has one to three datasets of several
 * tenants, one label set per profile type of the last push, three sections per dataset, about 600 bytes on the wire;
 * a compacted block belongs to one tenant, has ten datasets with all their profile types, and a dataset of format 1
 * that indexes the tenant. Block n depends on the seed and n alone, so threads and repeats can make any part.
 */
import { assert, encodeUlid, Prng, ULID_BYTES } from "../../base/index.ts";
import type { BlockMeta, DatasetMeta } from "../../protocol/index.ts";
import { PROFILE_TYPES, SERVICE_ROLES, SERVICE_WORDS } from "./names.ts";
import { StringTable } from "./string-table.ts";

export interface LoadOptions {
  readonly seed: number;
  readonly blockCount: number;
  readonly tenantCount: number;
  /** Over all tenants. */
  readonly serviceCount: number;
  readonly shardCount: number;
  /** Share of compacted blocks, 0 to 1. */
  readonly compactedShare: number;
  /** Creation time of the first and the last block, Unix ms; the others lie evenly between. */
  readonly startAtMs: number;
  readonly endAtMs: number;
}

export const LOAD_DEFAULTS = {
  seed: 1,
  blockCount: 10_000,
  tenantCount: 5,
  serviceCount: 100,
  shardCount: 8,
  // After level-0 blocks have been compacted away, most of an index is compacted blocks; while it is being written,
  // twenty segments make one of them.
  compactedShare: 0.05,
} as const;

/** Datasets of a compacted block before its tenant index. */
const COMPACTED_DATASETS = 9;
/** Fresh segments cover half a second. */
const SEGMENT_SPAN_MS = 500;
const COMPACTED_SPAN_MS = 60_000;

interface Service {
  readonly name: string;
  readonly tenant: number;
  readonly shard: number;
  readonly profileTypes: readonly string[];
}

export class LoadGenerator {
  readonly options: LoadOptions;
  readonly #services: readonly Service[];
  readonly #byShard: readonly (readonly Service[])[];
  readonly #byTenant: readonly (readonly Service[])[];
  readonly #idBytes = new Uint8Array(ULID_BYTES);

  constructor(options: LoadOptions) {
    assert(options.tenantCount >= 1, "Load needs at least one tenant");
    assert(options.serviceCount >= 1, "Load needs at least one service");
    assert(options.shardCount >= 1, "Load needs at least one shard");
    assert(options.endAtMs >= options.startAtMs, "Load ends before it starts");
    this.options = options;
    const count = Math.max(options.serviceCount, 1);
    this.#services = Array.from({ length: count }, (_, i) => makeService(i, options));
    this.#byShard = groupBy(this.#services, options.shardCount, (service) => service.shard);
    this.#byTenant = groupBy(this.#services, options.tenantCount, (service) => service.tenant);
  }

  /** Tenants that the blocks belong to. */
  get tenantNames(): string[] {
    return this.#byTenant.map((_, tenant) => tenantName(tenant));
  }

  get serviceNames(): string[] {
    return this.#services.map((service) => service.name);
  }

  /** Block `position` of the load, from 0. Cost: a few microseconds. */
  block(position: number): BlockMeta {
    const prng = new Prng(this.options.seed, position);
    const createdAtMs = this.#createdAtMs(position);
    const id = this.#id(prng, createdAtMs);
    const isCompacted = prng.nextChance(this.options.compactedShare);
    return isCompacted
      ? this.#compacted(id, createdAtMs, prng)
      : this.#segment(id, createdAtMs, prng);
  }

  /** Blocks [start, end) one after another. */
  *blocks(start = 0, end: number = this.options.blockCount): Generator<BlockMeta, void, undefined> {
    for (let position = start; position < end; position++) yield this.block(position);
  }

  #createdAtMs(position: number): number {
    const { startAtMs, endAtMs, blockCount } = this.options;
    const steps = Math.max(1, blockCount - 1);
    return Math.floor(startAtMs + ((endAtMs - startAtMs) * Math.min(position, steps)) / steps);
  }

  #id(prng: Prng, createdAtMs: number): string {
    const bytes = this.#idBytes;
    const view = new DataView(bytes.buffer);
    view.setUint16(0, Math.floor(createdAtMs / 0x1_0000_0000));
    view.setUint32(2, createdAtMs >>> 0);
    view.setUint16(6, prng.nextU32() & 0xffff);
    view.setUint32(8, prng.nextU32());
    view.setUint32(12, prng.nextU32());
    return encodeUlid(bytes, 0);
  }

  #segment(id: string, createdAtMs: number, prng: Prng): BlockMeta {
    const shard = prng.nextInt(this.options.shardCount);
    const local = this.#byShard[shard] as readonly Service[];
    // A shard without services of its own takes anybody's: the ring moves services between shards.
    const candidates = local.length > 0 ? local : this.#services;
    const services = pickSeveral(candidates, prng.nextBetween(1, 3), prng);
    const strings = new StringTable();
    const maxTimeMs = createdAtMs;
    const writer = new DatasetWriter(
      strings,
      { minTimeMs: maxTimeMs - SEGMENT_SPAN_MS, maxTimeMs },
      prng,
    );
    // A push carries one to three profile types of a service.
    for (const service of services) writer.add(service, prng.nextBetween(1, 3));
    return {
      formatVersion: 1,
      id,
      tenant: 0,
      shard: shard + 1,
      compactionLevel: 0,
      ...writer.range,
      createdBy: strings.reference(`segment-writer-${prng.nextInt(3)}`),
      sizeBytes: writer.sizeBytes,
      datasets: writer.datasets,
      stringTable: strings.strings,
      metadataOffset: writer.sizeBytes,
    };
  }

  #compacted(id: string, createdAtMs: number, prng: Prng): BlockMeta {
    const tenant = prng.nextInt(this.options.tenantCount);
    const own = this.#byTenant[tenant] as readonly Service[];
    const services = pickSeveral(own.length > 0 ? own : this.#services, COMPACTED_DATASETS, prng);
    const strings = new StringTable();
    const owner = strings.reference(tenantName(tenant));
    const range = {
      minTimeMs: createdAtMs - SEGMENT_SPAN_MS,
      maxTimeMs: createdAtMs + COMPACTED_SPAN_MS,
    };
    const writer = new DatasetWriter(strings, range, prng);
    for (const service of services) writer.add({ ...service, tenant }, service.profileTypes.length);
    writer.addTenantIndex(tenantName(tenant));
    return {
      formatVersion: 1,
      id,
      tenant: owner,
      shard: prng.nextInt(this.options.shardCount) + 1,
      compactionLevel: prng.nextBetween(1, 3),
      ...writer.range,
      createdBy: strings.reference(`compaction-worker-${prng.nextInt(3)}`),
      sizeBytes: writer.sizeBytes,
      datasets: writer.datasets,
      stringTable: strings.strings,
      metadataOffset: writer.sizeBytes,
    };
  }
}

/** Collects the datasets of one block, section after section. */
class DatasetWriter {
  readonly datasets: DatasetMeta[] = [];
  readonly range: { readonly minTimeMs: number; readonly maxTimeMs: number };
  readonly #strings: StringTable;
  readonly #prng: Prng;
  #offset = 0;

  constructor(strings: StringTable, range: { minTimeMs: number; maxTimeMs: number }, prng: Prng) {
    this.#strings = strings;
    this.range = range;
    this.#prng = prng;
  }

  /** Of the block so far. */
  get sizeBytes(): bigint {
    return BigInt(this.#offset);
  }

  add(service: Service, typeCount: number): void {
    const strings = this.#strings;
    const name = strings.reference(service.name);
    const [nameLabel, typeLabel] = [
      strings.reference("service_name"),
      strings.reference("__profile_type__"),
    ];
    const first = this.#prng.nextInt(service.profileTypes.length);
    const labels: number[] = [];
    for (let i = 0; i < Math.min(typeCount, service.profileTypes.length); i++) {
      const type = service.profileTypes[(first + i) % service.profileTypes.length] as string;
      labels.push(2, nameLabel, name, typeLabel, strings.reference(type));
    }
    const sections = [
      this.#prng.nextBetween(2_000, 60_000),
      this.#prng.nextBetween(500, 6_000),
      this.#prng.nextBetween(2_000, 20_000),
    ];
    this.#push(
      { tenant: strings.reference(tenantName(service.tenant)), name, labels, format: 0 },
      sections,
    );
  }

  addTenantIndex(tenant: string): void {
    const strings = this.#strings;
    const labels = [
      1,
      strings.reference("__tenant_dataset__"),
      strings.reference("dataset_tsdb_index"),
    ];
    const sections = [this.#prng.nextBetween(2_000, 8_000)];
    this.#push({ tenant: strings.reference(tenant), name: 0, labels, format: 1 }, sections);
  }

  #push(
    dataset: Pick<DatasetMeta, "tenant" | "name" | "labels" | "format">,
    sections: readonly number[],
  ): void {
    const tableOfContents: bigint[] = [];
    const start = this.#offset;
    for (const section of sections) {
      tableOfContents.push(BigInt(this.#offset));
      this.#offset += section;
    }
    this.datasets.push({
      ...dataset,
      ...this.range,
      tableOfContents,
      sizeBytes: BigInt(this.#offset - start),
    });
  }
}

/** Services never change with the number of blocks: a longer load is a continuation of a shorter one. */
function makeService(position: number, options: LoadOptions): Service {
  const prng = new Prng(options.seed ^ 0x5e_41_1c_e5, position);
  const word = SERVICE_WORDS[position % SERVICE_WORDS.length] as string;
  const role = SERVICE_ROLES[
    Math.floor(position / SERVICE_WORDS.length) % SERVICE_ROLES.length
  ] as string;
  const round = Math.floor(position / (SERVICE_WORDS.length * SERVICE_ROLES.length));
  return {
    name: round === 0 ? `${word}-${role}` : `${word}-${role}-${round}`,
    tenant: position % options.tenantCount,
    shard: prng.nextInt(options.shardCount),
    profileTypes: prng.pick(PROFILE_TYPES),
  };
}

function tenantName(tenant: number): string {
  return `tenant-${tenant + 1}`;
}

/** Distinct items in order of the list: a walk from a random start. */
function pickSeveral<T>(items: readonly T[], count: number, prng: Prng): T[] {
  const start = prng.nextInt(items.length);
  const taken = Math.min(count, items.length);
  return Array.from({ length: taken }, (_, i) => items[(start + i) % items.length] as T);
}

function groupBy<T>(items: readonly T[], groupCount: number, groupOf: (item: T) => number): T[][] {
  const groups: T[][] = Array.from({ length: groupCount }, () => []);
  for (const item of items) groups[groupOf(item)]?.push(item);
  return groups;
}
