/** metastore.v1.BlockMeta in the proto3 JSON mapping, to and from plain objects. */

import type { BlockMeta, DatasetMeta } from "../block-meta.ts";
import { JsonFields } from "./json-fields.ts";

/** Field names: "camel" is the proto3 JSON default, "snake" keeps the names of the .proto file. */
export type JsonNaming = "camel" | "snake";

const BLOCK_FIELDS = [
  "formatVersion",
  "id",
  "tenant",
  "shard",
  "compactionLevel",
  "minTime",
  "maxTime",
  "createdBy",
  "size",
  "datasets",
  "stringTable",
  "metadataOffset",
] as const;

const DATASET_FIELDS = [
  "tenant",
  "name",
  "minTime",
  "maxTime",
  "tableOfContents",
  "size",
  "labels",
  "format",
] as const;

/**
 * A block from a parsed JSON value, with camelCase or snake_case names.
 *
 * Errors: HearthError invalid_argument, `bad_json`, naming the place; unknown fields included.
 *   Whether the index accepts the block is for `validateBlock` to say.
 */
export function blockMetaFromJson(value: unknown, path = "block"): BlockMeta {
  const fields = new JsonFields(value, path, BLOCK_FIELDS);
  return {
    formatVersion: fields.u32("formatVersion"),
    id: fields.text("id"),
    tenant: fields.i32("tenant"),
    shard: fields.u32("shard"),
    compactionLevel: fields.u32("compactionLevel"),
    minTimeMs: fields.time("minTime"),
    maxTimeMs: fields.time("maxTime"),
    createdBy: fields.i32("createdBy"),
    sizeBytes: fields.u64("size"),
    datasets: fields.list("datasets", datasetFromJson),
    stringTable: fields.texts("stringTable"),
    metadataOffset: fields.u64("metadataOffset"),
  };
}

/** The JSON value of a block: defaults left out, 64-bit integers as decimal strings. */
export function blockMetaToJson(meta: BlockMeta, naming: JsonNaming = "camel"): object {
  return toJson(
    {
      formatVersion: meta.formatVersion,
      id: meta.id,
      tenant: meta.tenant,
      shard: meta.shard,
      compactionLevel: meta.compactionLevel,
      minTime: BigInt(meta.minTimeMs),
      maxTime: BigInt(meta.maxTimeMs),
      createdBy: meta.createdBy,
      size: meta.sizeBytes,
      datasets: meta.datasets.map((dataset) => datasetToJson(dataset, naming)),
      stringTable: meta.stringTable,
      metadataOffset: meta.metadataOffset,
    },
    naming,
  );
}

function datasetFromJson(value: unknown, path: string): DatasetMeta {
  const fields = new JsonFields(value, path, DATASET_FIELDS);
  return {
    tenant: fields.i32("tenant"),
    name: fields.i32("name"),
    minTimeMs: fields.time("minTime"),
    maxTimeMs: fields.time("maxTime"),
    tableOfContents: fields.u64s("tableOfContents"),
    sizeBytes: fields.u64("size"),
    labels: fields.i32s("labels"),
    format: fields.u32("format"),
  };
}

function datasetToJson(dataset: DatasetMeta, naming: JsonNaming): object {
  return toJson(
    {
      tenant: dataset.tenant,
      name: dataset.name,
      minTime: BigInt(dataset.minTimeMs),
      maxTime: BigInt(dataset.maxTimeMs),
      tableOfContents: dataset.tableOfContents,
      size: dataset.sizeBytes,
      labels: dataset.labels,
      format: dataset.format,
    },
    naming,
  );
}

type JsonField = number | string | bigint | readonly (number | string | bigint | object)[];

function toJson(fields: Readonly<Record<string, JsonField>>, naming: JsonNaming): object {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === 0 || value === "" || value === 0n) continue;
    if (Array.isArray(value) && value.length === 0) continue;
    result[naming === "camel" ? name : toSnakeCase(name)] = toJsonValue(value);
  }
  return result;
}

function toJsonValue(value: JsonField): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object") return value;
  return value.map((item) => (typeof item === "bigint" ? item.toString() : item));
}

function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
