/**
 * A block of a plan as a plain object. Its string table is rebuilt: the order is part of the
 * contract (spec 2.2), since a consumer of compaction input derives a series identity from the
 * number of `created_by`.
 */

import type { BlockMeta, DatasetMeta } from "../block-meta.ts";
import { structureError } from "../bytes/flat-reader.ts";

/** What the walk needs of a dataset of a plan; said here, because the reader imports this file. */
interface PlanDataset extends Omit<DatasetMeta, "tenant" | "name" | "labels"> {
  readonly tenant: string;
  readonly name: string;
  readonly labelInts: Int32Array;
  text(reference: number): string;
}

interface PlanBlock extends Omit<BlockMeta, "tenant" | "createdBy" | "datasets" | "stringTable"> {
  readonly tenant: string;
  readonly createdBy: string;
  datasets(): Iterable<PlanDataset>;
}

/** String 0 is the empty one; every other enters the table where it is first referred to. */
class CompactTable {
  readonly strings: string[] = [""];
  readonly #references = new Map<string, number>([["", 0]]);

  reference(text: string): number {
    const known = this.#references.get(text);
    if (known !== undefined) return known;
    const reference = this.strings.length;
    this.strings.push(text);
    this.#references.set(text, reference);
    return reference;
  }
}

/**
 * Walks tenant, creator, then per dataset tenant, name and labels: the order that spec 2.2 fixes.
 */
export function planBlockToMeta(block: PlanBlock): BlockMeta {
  const table = new CompactTable();
  const tenant = table.reference(block.tenant);
  const createdBy = table.reference(block.createdBy);
  const datasets: DatasetMeta[] = [];
  for (const dataset of block.datasets()) datasets.push(planDatasetToMeta(dataset, table));
  return {
    formatVersion: block.formatVersion,
    id: block.id,
    tenant,
    shard: block.shard,
    compactionLevel: block.compactionLevel,
    minTimeMs: block.minTimeMs,
    maxTimeMs: block.maxTimeMs,
    createdBy,
    sizeBytes: block.sizeBytes,
    datasets,
    stringTable: table.strings,
    metadataOffset: block.metadataOffset,
  };
}

function planDatasetToMeta(dataset: PlanDataset, table: CompactTable): DatasetMeta {
  const tenant = table.reference(dataset.tenant);
  const name = table.reference(dataset.name);
  const ints = dataset.labelInts;
  const labels: number[] = [];
  let i = 0;
  while (i < ints.length) {
    const pairs = ints[i++] as number;
    if (pairs < 0 || pairs > (ints.length - i) / 2) {
      throw structureError(`a label set of ${pairs} pairs`);
    }
    labels.push(pairs);
    for (const end = i + 2 * pairs; i < end; i++) {
      labels.push(table.reference(dataset.text(ints[i] as number)));
    }
  }
  return {
    tenant,
    name,
    minTimeMs: dataset.minTimeMs,
    maxTimeMs: dataset.maxTimeMs,
    tableOfContents: dataset.tableOfContents,
    sizeBytes: dataset.sizeBytes,
    labels,
    format: dataset.format,
  };
}
