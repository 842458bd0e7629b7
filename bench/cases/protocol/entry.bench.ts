/** Stored entries against protobuf: what it costs to look into a block, and to make one. */

import { readFileSync } from "node:fs";
import protobuf from "protobufjs";
import {
  type BlockMeta,
  BlockReader,
  ByteSink,
  encodeBlock,
  ENTRY_ROW,
  EntryReader,
  EntryWriter,
} from "../../../src/protocol/index.ts";
import { type BenchCase, type PreparedCase, repeat } from "../../harness/index.ts";
import { makeBlock, PROFILE_TYPES, serviceNames } from "../../support/block-fixture.ts";

const AT_MS = Date.UTC(2026, 10, 22, 12);
const ABSENT_SERVICE = "no-such-service";

function blockOf(datasets: number): BlockMeta {
  return makeBlock({
    createdAtMs: AT_MS,
    serial: 1,
    owner: "acme",
    datasetTenant: "acme",
    shard: 3,
    services: serviceNames(datasets),
    minTimeMs: AT_MS - 60_000,
    maxTimeMs: AT_MS,
  });
}

/** The message type from the project's own .proto, as a client of the compatibility API would use it. */
function blockMetaType(): protobuf.Type {
  const source = readFileSync("schemas/metastore.proto", "utf8");
  return protobuf.parse(source, { keepCase: true }).root.lookupType("metastore.v1.BlockMeta");
}

function protoMessage(type: protobuf.Type, block: BlockMeta): protobuf.Message {
  return type.fromObject({
    format_version: block.formatVersion,
    id: block.id,
    tenant: block.tenant,
    shard: block.shard,
    compaction_level: block.compactionLevel,
    min_time: block.minTimeMs,
    max_time: block.maxTimeMs,
    created_by: block.createdBy,
    size: Number(block.sizeBytes),
    string_table: [...block.stringTable],
    datasets: block.datasets.map((dataset) => ({
      tenant: dataset.tenant,
      name: dataset.name,
      min_time: dataset.minTimeMs,
      max_time: dataset.maxTimeMs,
      table_of_contents: dataset.tableOfContents.map(Number),
      size: Number(dataset.sizeBytes),
      labels: [...dataset.labels],
    })),
  });
}

interface DecodedBlock {
  readonly string_table: string[];
  readonly datasets: {
    readonly min_time: unknown;
    readonly max_time: unknown;
    readonly labels: number[];
  }[];
}

/** Datasets in time with a label set that holds service_name=`service`, the plain way. */
function countDecoded(
  block: DecodedBlock,
  service: string,
  startMs: number,
  endMs: number,
): number {
  const name = block.string_table.indexOf("service_name");
  const value = block.string_table.indexOf(service);
  let matches = 0;
  for (const dataset of block.datasets) {
    if (startMs > Number(dataset.max_time) || endMs < Number(dataset.min_time)) continue;
    if (hasPair(dataset.labels, name, value)) matches++;
  }
  return matches;
}

function hasPair(labels: readonly number[], name: number, value: number): boolean {
  for (let i = 0; i < labels.length; ) {
    const pairs = labels[i++] as number;
    for (let pair = 0; pair < pairs; pair++, i += 2) {
      if (labels[i] === name && labels[i + 1] === value) return true;
    }
  }
  return false;
}

/** The query engine's row filter: a bitmap over dataset keys and two double comparisons. */
function countRows(
  reader: EntryReader,
  wanted: Uint8Array,
  startMs: number,
  endMs: number,
): number {
  const { i32, f64, rowsCount } = reader;
  let matches = 0;
  for (let i = 0, at = reader.rowsOffset; i < rowsCount; i++, at += ENTRY_ROW.bytes) {
    if (startMs > (f64[(at + ENTRY_ROW.maxTimeMs) >>> 3] as number)) continue;
    if (endMs < (f64[(at + ENTRY_ROW.minTimeMs) >>> 3] as number)) continue;
    matches += wanted[i32[(at + ENTRY_ROW.key) >>> 2] as number] as number;
  }
  return matches;
}

function storedEntry(block: BlockMeta): {
  entry: Uint8Array;
  reader: BlockReader;
  writer: EntryWriter;
} {
  const sink = new ByteSink();
  encodeBlock(block, sink);
  const reader = new BlockReader().reset(sink.view());
  const writer = new EntryWriter();
  const keys = Uint32Array.from(block.datasets, (_, i) => i);
  return { entry: writer.write(reader, { tenant: 1, createdBy: 2, keys }).slice(), reader, writer };
}

function filterCase(datasets: number): PreparedCase {
  const block = blockOf(datasets);
  const { entry } = storedEntry(block);
  const views = {
    u8: entry,
    i32: new Int32Array(entry.buffer),
    f64: new Float64Array(entry.buffer),
  };
  const reader = new EntryReader(views);
  const wanted = new Uint8Array(datasets);
  const type = blockMetaType();
  const encoded = type.encode(protoMessage(type, block)).finish();
  const [startMs, endMs] = [AT_MS - 30_000, AT_MS];
  const ours = (): number => {
    reader.reset(0, entry.length);
    return countRows(reader, wanted, startMs, endMs);
  };
  const plain = (service: string): number =>
    countDecoded(type.decode(encoded) as unknown as DecodedBlock, service, startMs, endMs);
  wanted[1] = 1;
  if (ours() !== 1 || plain(serviceNames(2)[1] as string) !== 1)
    throw new Error("Filters disagree");
  // The worst case: every row is in time, none matches.
  wanted[1] = 0;
  return {
    ours: repeat("row filter in place", ours, { operationsPerCall: datasets }),
    limit: repeat("protobufjs decode + filter", () => plain(ABSENT_SERVICE), {
      operationsPerCall: datasets,
    }),
  };
}

function buildCase(datasets: number): PreparedCase {
  const block = blockOf(datasets);
  const { reader, writer } = storedEntry(block);
  const ids = { tenant: 1, createdBy: 2, keys: Uint32Array.from(block.datasets, (_, i) => i) };
  const type = blockMetaType();
  const message = protoMessage(type, block);
  return {
    ours: repeat("entry writer", () => writer.write(reader, ids)[0]),
    limit: repeat("protobufjs encode", () => type.encode(message).finish()[0]),
  };
}

function wireCase(datasets: number): PreparedCase {
  const block = blockOf(datasets);
  const type = blockMetaType();
  const message = protoMessage(type, block);
  if (block.stringTable.length < datasets + PROFILE_TYPES.length)
    throw new Error("Strings are missing");
  const sink = new ByteSink();
  return {
    ours: repeat("encodeBlock from a plain object", () => {
      sink.reset();
      return encodeBlock(block, sink);
    }),
    limit: repeat("protobufjs encode", () => type.encode(message).finish()[0]),
  };
}

export const cases: readonly BenchCase[] = [10, 100].flatMap((datasets): BenchCase[] => [
  {
    name: `protocol/filter-entry/${datasets}-datasets`,
    about:
      "Time and label filter over a stored entry, against protobuf decode and the same filter.",
    goals: [{ metric: "cpuUs", form: "limit/ours", atLeast: 50 }],
    prepare: () => filterCase(datasets),
  },
  {
    name: `protocol/build-entry/${datasets}-datasets`,
    about: "Building a stored entry from a wire block, against a protobufjs encode of the block.",
    goals: [{ metric: "cpuUs", form: "ours/limit", atMost: 0.35 }],
    prepare: () => buildCase(datasets),
  },
  {
    name: `protocol/encode-block/${datasets}-datasets`,
    about:
      "Encoding a plain object for the wire, strings included, against a protobufjs encode of it.",
    goals: [{ metric: "cpuUs", form: "ours/limit" }],
    prepare: () => wireCase(datasets),
  },
]);
