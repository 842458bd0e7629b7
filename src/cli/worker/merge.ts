/**
 * What a compaction worker makes of the metadata of its source blocks, without the profiles: one block per tenant, with
 * a dataset per service that is the sum of those of the sources, and the dataset that indexes the tenant (spec
 * compaction, 14). Pure: the same sources in the same order give the same blocks under the same ids, so a job that is
 * done twice makes nothing new.
 */
import { createHash } from "node:crypto";
import { encodeUlid, ULID_BYTES, tryDecodeUlid } from "../../base/index.ts";
import type { BlockMeta, DatasetMeta } from "../../client/index.ts";
import { StringTable } from "../load/string-table.ts";

/** Bytes of a ULID that are its creation time. */
const ULID_TIME_BYTES = 6;
/** An index of a tenant's datasets is small beside them. Good enough: nobody reads it. */
const INDEX_BYTES_PER_DATASET = 400;

/** The parts of a dataset that add up, with their texts. */
interface Merged {
  readonly name: string;
  minTimeMs: number;
  maxTimeMs: number;
  /** Lengths of the sections, bytes. */
  readonly sections: bigint[];
  /** Label sets as lists of names and values, by their text. */
  readonly labelSets: Map<string, readonly string[]>;
}

/**
 * The blocks that a job over `sources` makes, by tenant in bytes order. `sources` is not empty, and of one shard.
 */
export function mergeBlocks(sources: readonly BlockMeta[], createdBy: string): BlockMeta[] {
  const byTenant = new Map<string, Map<string, Merged>>();
  for (const block of sources) {
    for (const dataset of block.datasets) {
      // The index of a tenant is made anew.
      if (dataset.format !== 0) continue;
      const tenant = textOf(block, dataset.tenant);
      const datasets = byTenant.get(tenant) ?? new Map<string, Merged>();
      byTenant.set(tenant, datasets);
      addDataset(datasets, block, dataset);
    }
  }
  const tenants = [...byTenant.keys()].sort();
  return tenants.map((tenant) =>
    buildBlock(sources, { tenant, createdBy, datasets: byTenant.get(tenant) ?? new Map() }),
  );
}

function textOf({ stringTable }: BlockMeta, reference: number): string {
  return stringTable[reference] ?? "";
}

function addDataset(datasets: Map<string, Merged>, block: BlockMeta, dataset: DatasetMeta): void {
  const name = textOf(block, dataset.name);
  const merged = datasets.get(name) ?? {
    name,
    minTimeMs: dataset.minTimeMs,
    maxTimeMs: dataset.maxTimeMs,
    sections: [],
    labelSets: new Map<string, readonly string[]>(),
  };
  datasets.set(name, merged);
  merged.minTimeMs = Math.min(merged.minTimeMs, dataset.minTimeMs);
  merged.maxTimeMs = Math.max(merged.maxTimeMs, dataset.maxTimeMs);
  for (const [i, length] of sectionLengths(dataset).entries()) {
    merged.sections[i] = (merged.sections[i] ?? 0n) + length;
  }
  for (const labels of labelSets(block, dataset)) merged.labelSets.set(labels.join("\0"), labels);
}

/** Sections follow one another; the last one ends with the dataset. */
function sectionLengths({ tableOfContents, sizeBytes }: DatasetMeta): bigint[] {
  const start = tableOfContents[0];
  if (start === undefined) return [sizeBytes];
  return tableOfContents.map((from, i) => (tableOfContents[i + 1] ?? start + sizeBytes) - from);
}

/** The label sets of a dataset: `n` and `n` pairs of references each. */
function* labelSets(block: BlockMeta, { labels }: DatasetMeta): Generator<string[]> {
  for (let at = 0; at < labels.length; ) {
    const end = at + 1 + 2 * (labels[at] as number);
    yield labels.slice(at + 1, end).map((reference) => textOf(block, reference));
    at = end;
  }
}

function buildBlock(
  sources: readonly BlockMeta[],
  parts: {
    readonly tenant: string;
    readonly createdBy: string;
    readonly datasets: ReadonlyMap<string, Merged>;
  },
): BlockMeta {
  const { tenant, createdBy, datasets } = parts;
  const strings = new StringTable();
  const owner = strings.reference(tenant);
  const merged = [...datasets.values()];
  const built: DatasetMeta[] = [];
  let offset = 0n;
  for (const dataset of merged) {
    built.push(buildDataset(dataset, { strings, owner, offset }));
    offset += built.at(-1)?.sizeBytes ?? 0n;
  }
  const range = {
    minTimeMs: Math.min(...merged.map(({ minTimeMs }) => minTimeMs)),
    maxTimeMs: Math.max(...merged.map(({ maxTimeMs }) => maxTimeMs)),
  };
  built.push(buildIndex(merged.length, { strings, owner, offset, range }));
  offset += built.at(-1)?.sizeBytes ?? 0n;
  const compactionLevel = Math.max(...sources.map((block) => block.compactionLevel)) + 1;
  return {
    formatVersion: 1,
    id: idOf(sources, tenant),
    tenant: owner,
    shard: sources[0]?.shard ?? 0,
    compactionLevel,
    ...range,
    createdBy: strings.reference(createdBy),
    sizeBytes: offset,
    datasets: built,
    stringTable: strings.strings,
    metadataOffset: offset,
  };
}

interface Place {
  readonly strings: StringTable;
  readonly owner: number;
  /** Where the dataset begins in the block, bytes. */
  readonly offset: bigint;
}

function buildDataset(merged: Merged, { strings, owner, offset }: Place): DatasetMeta {
  const labels: number[] = [];
  for (const texts of merged.labelSets.values()) {
    labels.push(texts.length / 2, ...texts.map((text) => strings.reference(text)));
  }
  const tableOfContents: bigint[] = [];
  let end = offset;
  for (const length of merged.sections) {
    tableOfContents.push(end);
    end += length;
  }
  const { minTimeMs, maxTimeMs } = merged;
  const name = strings.reference(merged.name);
  const sizeBytes = end - offset;
  const range = { minTimeMs, maxTimeMs };
  return { tenant: owner, name, ...range, tableOfContents, sizeBytes, labels, format: 0 };
}

function buildIndex(
  count: number,
  place: Place & { readonly range: { readonly minTimeMs: number; readonly maxTimeMs: number } },
): DatasetMeta {
  const { strings, owner, offset, range } = place;
  return {
    tenant: owner,
    name: 0,
    ...range,
    tableOfContents: [offset],
    sizeBytes: BigInt(count * INDEX_BYTES_PER_DATASET),
    labels: [1, strings.reference("__tenant_dataset__"), strings.reference("dataset_tsdb_index")],
    format: 1,
  };
}

/** The creation time of the first source, then a hash of what went in. */
function idOf(sources: readonly BlockMeta[], tenant: string): string {
  const hash = createHash("sha256");
  for (const { id, compactionLevel } of sources) hash.update(`${id}/${compactionLevel},`);
  hash.update(tenant);
  const id = new Uint8Array(ULID_BYTES);
  tryDecodeUlid(sources[0]?.id ?? "", id, 0);
  id.set(hash.digest().subarray(0, ULID_BYTES - ULID_TIME_BYTES), ULID_TIME_BYTES);
  return encodeUlid(id, 0);
}
