/**
 * Blocks without any cleverness: every string in place, label sets as lists of pairs. The model computes with these;
 * the state machine gets them encoded, and answers are compared with what they must look like (spec 2.2).
 */

import {
  ByteSink,
  type BlockMeta,
  type DatasetMeta,
  encodeBlock,
} from "../../src/protocol/index.ts";

export type LabelPair = readonly [name: string, value: string];
export type LabelSet = readonly LabelPair[];

export interface PlainDataset {
  readonly tenant: string;
  readonly name: string;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly sections: readonly bigint[];
  readonly sizeBytes: bigint;
  readonly labelSets: readonly LabelSet[];
  readonly format: number;
}

export interface PlainBlock {
  readonly id: string;
  readonly tenant: string;
  readonly createdBy: string;
  readonly shard: number;
  readonly level: number;
  readonly formatVersion: number;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly sizeBytes: bigint;
  readonly metadataOffset: bigint;
  readonly datasets: readonly PlainDataset[];
}

/** How a request's string table is laid out: all of these are legal and must make no difference. */
export interface TableStyle {
  /** Unreferenced strings in front of the others. */
  readonly unused: readonly string[];
  /** Every second reference of a string goes to a second copy of it. */
  readonly hasCopies: boolean;
}

/** Gives out string references. */
class Table {
  readonly strings: string[] = [""];
  readonly #references = new Map<string, number[]>([["", [0]]]);
  readonly #hasCopies: boolean;
  #uses = 0;

  constructor(hasCopies: boolean) {
    this.#hasCopies = hasCopies;
  }

  readonly reference = (text: string): number => {
    const known = this.#references.get(text);
    if (known === undefined) return this.#append(text, []);
    if (!this.#hasCopies || text === "") return known[0] as number;
    if (known.length === 1) return this.#append(text, known);
    return known[this.#uses++ % 2] as number;
  };

  #append(text: string, known: number[]): number {
    known.push(this.strings.push(text) - 1);
    this.#references.set(text, known);
    return known.at(-1) as number;
  }
}

/** The block as a request would carry it. */
export function toRequestMeta(block: PlainBlock, style: TableStyle): BlockMeta {
  const table = new Table(style.hasCopies);
  for (const text of style.unused) table.reference(text);
  // Not the order of answers: datasets first, in reverse.
  const datasets = [...block.datasets]
    .reverse()
    .map((dataset) => datasetMeta(dataset, dataset.labelSets, table.reference))
    .reverse();
  return blockMeta(block, datasets, table);
}

/** The block as an answer must carry it: these datasets, with these label sets, and the compact table of spec 2.2. */
export function toAnswerMeta(
  block: PlainBlock,
  datasets: readonly { readonly dataset: PlainDataset; readonly labelSets: readonly LabelSet[] }[],
): BlockMeta {
  const table = new Table(false);
  table.reference(block.tenant);
  table.reference(block.createdBy);
  return blockMeta(
    block,
    datasets.map(({ dataset, labelSets }) => datasetMeta(dataset, labelSets, table.reference)),
    table,
  );
}

/** All of the block, as GetBlockMetadata answers. */
export function toWholeMeta(block: PlainBlock): BlockMeta {
  return toAnswerMeta(
    block,
    block.datasets.map((dataset) => ({ dataset, labelSets: dataset.labelSets })),
  );
}

function blockMeta(block: PlainBlock, datasets: DatasetMeta[], table: Table): BlockMeta {
  return {
    formatVersion: block.formatVersion,
    id: block.id,
    tenant: table.reference(block.tenant),
    shard: block.shard,
    compactionLevel: block.level,
    minTimeMs: block.minTimeMs,
    maxTimeMs: block.maxTimeMs,
    createdBy: table.reference(block.createdBy),
    sizeBytes: block.sizeBytes,
    datasets,
    stringTable: table.strings,
    metadataOffset: block.metadataOffset,
  };
}

function datasetMeta(
  dataset: PlainDataset,
  labelSets: readonly LabelSet[],
  reference: (text: string) => number,
): DatasetMeta {
  const tenant = reference(dataset.tenant);
  const name = reference(dataset.name);
  const labels: number[] = [];
  for (const set of labelSets) {
    labels.push(set.length);
    for (const [label, value] of set) labels.push(reference(label), reference(value));
  }
  return {
    tenant,
    name,
    minTimeMs: dataset.minTimeMs,
    maxTimeMs: dataset.maxTimeMs,
    tableOfContents: dataset.sections,
    sizeBytes: dataset.sizeBytes,
    labels,
    format: dataset.format,
  };
}

const SINK = new ByteSink();

/** The wire form of a request block. Owned. */
export function toWireBytes(block: PlainBlock, style: TableStyle): Uint8Array {
  SINK.reset();
  encodeBlock(toRequestMeta(block, style), SINK);
  return SINK.copy();
}

/** Whether two blocks are the same message, string table included. */
export function areSameBlocks(a: BlockMeta, b: BlockMeta): boolean {
  return (
    a.id === b.id &&
    a.formatVersion === b.formatVersion &&
    a.tenant === b.tenant &&
    a.shard === b.shard &&
    a.compactionLevel === b.compactionLevel &&
    a.minTimeMs === b.minTimeMs &&
    a.maxTimeMs === b.maxTimeMs &&
    a.createdBy === b.createdBy &&
    a.sizeBytes === b.sizeBytes &&
    a.metadataOffset === b.metadataOffset &&
    areSameLists(a.stringTable, b.stringTable) &&
    a.datasets.length === b.datasets.length &&
    a.datasets.every((dataset, i) => areSameDatasets(dataset, b.datasets[i] as DatasetMeta))
  );
}

function areSameDatasets(a: DatasetMeta, b: DatasetMeta): boolean {
  return (
    a.tenant === b.tenant &&
    a.name === b.name &&
    a.minTimeMs === b.minTimeMs &&
    a.maxTimeMs === b.maxTimeMs &&
    a.sizeBytes === b.sizeBytes &&
    a.format === b.format &&
    areSameLists(a.labels, b.labels) &&
    areSameLists(a.tableOfContents, b.tableOfContents)
  );
}

function areSameLists<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
