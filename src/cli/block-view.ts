/** Blocks of the HTTP API (proto3 JSON) as rows for people: string references resolved, times and sizes in words. */
import { formatBytes } from "../base/index.ts";
import { type Cell, type Column, formatTable } from "./table.ts";
import { formatTime } from "./times.ts";

/** As the API writes them: zero and empty fields may be absent, 64-bit numbers are strings. */
export interface JsonDataset {
  readonly tenant?: number;
  readonly name?: number;
  readonly minTime?: string;
  readonly maxTime?: string;
  readonly size?: string;
  readonly labels?: readonly number[];
  readonly format?: number;
}

export interface JsonBlock {
  readonly id?: string;
  readonly tenant?: number;
  readonly shard?: number;
  readonly compactionLevel?: number;
  readonly minTime?: string;
  readonly maxTime?: string;
  readonly size?: string;
  readonly datasets?: readonly JsonDataset[];
  readonly stringTable?: readonly string[];
}

const BLOCK_COLUMNS: readonly Column[] = [
  { title: "BLOCK", align: "left" },
  { title: "TENANT", align: "left" },
  { title: "SHARD", align: "right" },
  { title: "LEVEL", align: "right" },
  { title: "FROM", align: "left" },
  { title: "TO", align: "left" },
  { title: "SIZE", align: "right" },
  { title: "DATASETS", align: "left" },
];

/** Names of datasets shown before the rest becomes a number. */
const NAMES_SHOWN = 3;

/** One row per block. */
export function blockTable(blocks: readonly JsonBlock[]): string[] {
  return formatTable(BLOCK_COLUMNS, blocks.map(blockRow));
}

function blockRow(block: JsonBlock): Cell[] {
  return [
    block.id ?? "",
    nameOf(block, block.tenant) || null,
    String(block.shard ?? 0),
    String(block.compactionLevel ?? 0),
    formatTime(Number(block.minTime ?? 0)),
    formatTime(Number(block.maxTime ?? 0)),
    formatBytes(Number(block.size ?? 0)),
    datasetNames(block),
  ];
}

function datasetNames(block: JsonBlock): string {
  const names = (block.datasets ?? []).map(
    (dataset) => nameOf(block, dataset.name) || "(tenant index)",
  );
  const shown = names.slice(0, NAMES_SHOWN).join(", ");
  return names.length > NAMES_SHOWN ? `${shown} and ${names.length - NAMES_SHOWN} more` : shown;
}

const DATASET_COLUMNS: readonly Column[] = [
  { title: "BLOCK", align: "left" },
  { title: "TENANT", align: "left" },
  { title: "DATASET", align: "left" },
  { title: "LABELS", align: "left" },
];

/** One row per label set; equal sets of a dataset once. */
export function labelTable(blocks: readonly JsonBlock[]): string[] {
  const rows = blocks.flatMap((block) =>
    (block.datasets ?? []).flatMap((dataset) =>
      [...new Set(labelSets(block, dataset.labels ?? []))].map((labels): Cell[] => [
        block.id ?? "",
        nameOf(block, dataset.tenant) || null,
        nameOf(block, dataset.name) || null,
        labels,
      ]),
    ),
  );
  return formatTable(DATASET_COLUMNS, rows);
}

/** Each set as `{name="value", ...}`. The runs are length-prefixed: 2 k1 v1 k2 v2 1 k1 v3. */
export function labelSets(block: JsonBlock, labels: readonly number[]): string[] {
  const sets: string[] = [];
  let position = 0;
  while (position < labels.length) {
    const pairCount = labels[position] ?? 0;
    const pairs: string[] = [];
    for (let i = 0; i < pairCount; i++) {
      const name = nameOf(block, labels[position + 1 + 2 * i]);
      const value = nameOf(block, labels[position + 2 + 2 * i]);
      pairs.push(`${name}=${JSON.stringify(value)}`);
    }
    sets.push(`{${pairs.join(", ")}}`);
    position += 1 + 2 * pairCount;
  }
  return sets;
}

function nameOf(block: JsonBlock, reference: number | undefined): string {
  return block.stringTable?.[reference ?? 0] ?? "";
}
