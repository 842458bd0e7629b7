/**
 * Proto3 JSON with the field names of the .proto files: reading requests, writing responses, and comparing messages
 * rather than text (absent equals default).
 */

import { isDeepStrictEqual } from "node:util";
import type { BlockMeta, DatasetMeta } from "../../../src/protocol/index.ts";
import type { Json, JsonObject, LabelPair, TenantStatistics } from "./types.ts";

/** Fields whose values are 64-bit: strings in JSON, but a number means the same. */
const LONG_FIELDS: ReadonlySet<string> = new Set([
  "min_time",
  "max_time",
  "size",
  "metadata_offset",
  "table_of_contents",
  "start_time",
  "end_time",
  "timestamp",
  "duration",
  "term",
  "oldest_profile_time",
  "newest_profile_time",
]);

/**
 * The message that a JSON value stands for, in one form: defaults absent, 64-bit values as decimal strings.
 *
 * Lists keep their elements even when these are defaults; so does a list of lists. An empty message stays: its
 * presence is part of the message around it.
 */
export function normalizeMessage(value: Json, field = ""): Json {
  if (Array.isArray(value)) return value.map((item) => normalizeElement(item, field));
  if (typeof value !== "object" || value === null) return normalizeElement(value, field);
  const result: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    const normal = normalizeMessage(member, name);
    if (!isDefault(normal)) result[name] = normal;
  }
  return result;
}

function normalizeElement(value: Json, field: string): Json {
  if (typeof value === "object" && value !== null) return normalizeMessage(value, field);
  if (LONG_FIELDS.has(field) && value !== null) return BigInt(value as string | number).toString();
  return value;
}

function isDefault(value: Json): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === null || value === 0 || value === "" || value === "0" || value === false;
}

/** Whether two JSON values stand for the same message. */
export function areSameMessages(actual: Json, expected: Json, isUnordered: boolean): boolean {
  const left = normalizeMessage(actual);
  const right = normalizeMessage(expected);
  if (!isUnordered) return isDeepStrictEqual(left, right);
  return isDeepStrictEqual(sortLists(left), sortLists(right));
}

/** Sorts the top-level lists, to compare them as multisets. */
function sortLists(message: Json): Json {
  const sort = (list: Json[]): Json[] =>
    list.map((item) => JSON.stringify(item)).sort() as unknown as Json[];
  if (Array.isArray(message)) return sort(message);
  if (typeof message !== "object" || message === null) return message;
  return Object.fromEntries(
    Object.entries(message).map(([name, value]) => [
      name,
      Array.isArray(value) ? sort(value) : value,
    ]),
  );
}

export function blockToMessage(block: BlockMeta): JsonObject {
  return {
    format_version: block.formatVersion,
    id: block.id,
    tenant: block.tenant,
    shard: block.shard,
    compaction_level: block.compactionLevel,
    min_time: String(block.minTimeMs),
    max_time: String(block.maxTimeMs),
    created_by: block.createdBy,
    size: block.sizeBytes.toString(),
    datasets: block.datasets.map(datasetToMessage),
    string_table: [...block.stringTable],
    metadata_offset: block.metadataOffset.toString(),
  };
}

function datasetToMessage(dataset: DatasetMeta): JsonObject {
  return {
    tenant: dataset.tenant,
    name: dataset.name,
    min_time: String(dataset.minTimeMs),
    max_time: String(dataset.maxTimeMs),
    table_of_contents: dataset.tableOfContents.map(String),
    size: dataset.sizeBytes.toString(),
    labels: [...dataset.labels],
    format: dataset.format,
  };
}

export function labelsToMessage(rows: readonly (readonly LabelPair[])[]): JsonObject {
  const labels = rows.map((row) => ({ labels: row.map(({ name, value }) => ({ name, value })) }));
  return { labels };
}

export function tenantToMessage(stats: TenantStatistics): JsonObject {
  return {
    stats: {
      data_ingested: stats.dataIngested,
      oldest_profile_time: String(stats.oldestProfileTimeMs),
      newest_profile_time: String(stats.newestProfileTimeMs),
    },
  };
}

/** A string field; absent is "". */
export function textField(message: JsonObject, name: string): string {
  return (message[name] as string | undefined) ?? "";
}

/** A numeric field; absent is 0. 64-bit values lose precision beyond 2^53. */
export function numberField(message: JsonObject, name: string): number {
  return Number(message[name] ?? 0);
}

/** A 64-bit field; absent is 0. */
export function longField(message: JsonObject, name: string): bigint {
  return BigInt((message[name] as string | number | undefined) ?? 0);
}

/** A repeated field; absent is empty. */
export function listField<T extends Json>(message: JsonObject, name: string): T[] {
  return (message[name] as T[] | undefined) ?? [];
}

/** A message field; absent is null. */
export function messageField(message: JsonObject, name: string): JsonObject | null {
  return (message[name] as JsonObject | undefined) ?? null;
}
