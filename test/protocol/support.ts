/**
 * Blocks to test with: real ones, generated ones, and the same blocks through the generated
 * FlatBuffers code.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { Builder, ByteBuffer } from "flatbuffers";
import { Block } from "../../src/protocol/gen/wire.ts";
import { BlockHead, Dataset } from "../../src/protocol/gen/wire.ts";
import {
  type BlockMeta,
  blockMetaFromJson,
  ByteSink,
  type DatasetMeta,
  encodeBlock,
  parseBlockMetaProto,
  readBlockObject,
} from "../../src/protocol/index.ts";
import { tryDecodeUlid, ULID_BYTES } from "../../src/base/index.ts";

/** examples/blocks, seen from the compiled test. */
export const EXAMPLES = fileURLToPath(new URL("../../../examples/blocks/", import.meta.url));

/** Every real block of the examples, whatever form it is kept in. */
export function realBlocks(): { readonly name: string; readonly meta: BlockMeta }[] {
  const blocks: { name: string; meta: BlockMeta }[] = [];
  for (const name of readdirSync(EXAMPLES).sort()) {
    const bytes = readFileSync(join(EXAMPLES, name));
    if (name.endsWith(".meta.pb")) blocks.push({ name, meta: parseBlockMetaProto(bytes) });
    if (name.endsWith(".block.bin")) blocks.push({ name, meta: readBlockObject(bytes).meta });
    if (name.endsWith(".json")) {
      const { blocks: list } = JSON.parse(bytes.toString("utf8")) as { blocks: unknown[] };
      list.forEach((value, i) => {
        blocks.push({ name: `${name}[${i}]`, meta: blockMetaFromJson(value) });
      });
    }
  }
  return blocks;
}

/** A wire Block, owned. */
export function wireOf(meta: BlockMeta): Uint8Array {
  const sink = new ByteSink();
  encodeBlock(meta, sink);
  return sink.copy();
}

/** A small block that passes the door; `changes` make it fail or differ. */
export function blockOf(changes: Partial<BlockMeta> = {}): BlockMeta {
  return {
    formatVersion: 1,
    id: "01J2VJR31PT3X4NDJC4Q2BHWQ1",
    tenant: 0,
    shard: 3,
    compactionLevel: 0,
    minTimeMs: 1_721_060_035_611,
    maxTimeMs: 1_721_060_095_611,
    createdBy: 2,
    sizeBytes: 65_536n,
    datasets: [datasetOf()],
    stringTable: ["", "acme", "segment-writer-0", "service_name", "api"],
    metadataOffset: 60_000n,
    ...changes,
  };
}

export function datasetOf(changes: Partial<DatasetMeta> = {}): DatasetMeta {
  return {
    tenant: 1,
    name: 4,
    minTimeMs: 1_721_060_035_611,
    maxTimeMs: 1_721_060_095_611,
    tableOfContents: [0n, 4549n, 7747n],
    sizeBytes: 19_471n,
    labels: [1, 3, 4],
    format: 0,
    ...changes,
  };
}

const ULID_CHARACTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Ids created before 2262: the first two characters carry the highest bits of the time. */
export const ulidArbitrary: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom("00", "01", "07"),
    fc.array(fc.constantFrom(...ULID_CHARACTERS), { minLength: 24, maxLength: 24 }),
  )
  .map(([high, rest]) => high + rest.join(""));

const u32 = fc.nat(0xffff_ffff);
const u64 = fc.bigInt(0n, 0xffff_ffff_ffff_ffffn);
const time = fc.oneof(
  fc.integer({ min: 1_600_000_000_000, max: 1_800_000_000_000 }),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -1, 2 ** 53, -(2 ** 53)),
);
/** ASCII of any length, and the rest of Unicode; lone surrogates are no text. */
export const textArbitrary: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: "grapheme", maxLength: 12 }),
);

/** Blocks that pass the door. */
export const blockArbitrary: fc.Arbitrary<BlockMeta> = fc
  .array(
    textArbitrary.filter((text) => text !== ""),
    { minLength: 1, maxLength: 12 },
  )
  .chain((texts) => {
    const stringTable = ["", ...texts];
    const reference = fc.nat(stringTable.length - 1);
    const named = fc.integer({ min: 1, max: stringTable.length - 1 });
    const labelSet = fc
      .array(fc.tuple(named, reference), { maxLength: 4 })
      .map((pairs) => [pairs.length, ...pairs.flat()]);
    const dataset = fc.record<DatasetMeta>({
      tenant: named,
      name: reference,
      minTimeMs: time,
      maxTimeMs: time,
      tableOfContents: fc.array(u64, { maxLength: 4 }),
      sizeBytes: u64,
      labels: fc.array(labelSet, { maxLength: 4 }).map((sets) => sets.flat()),
      format: u32,
    });
    return fc.record<BlockMeta>({
      formatVersion: u32,
      id: ulidArbitrary,
      tenant: reference,
      shard: u32,
      compactionLevel: u32,
      minTimeMs: time,
      maxTimeMs: time,
      createdBy: reference,
      sizeBytes: u64,
      datasets: fc.array(dataset.map(ordered), { maxLength: 6 }),
      stringTable: fc.constant(stringTable),
      metadataOffset: u64,
    });
  })
  .map(ordered);

function ordered<T extends { minTimeMs: number; maxTimeMs: number }>(value: T): T {
  const { minTimeMs: a, maxTimeMs: b } = value;
  return { ...value, minTimeMs: Math.min(a, b), maxTimeMs: Math.max(a, b) };
}

/** The same block, written by the generated builder. */
export function generatedBlock(meta: BlockMeta): Uint8Array {
  const builder = new Builder(256);
  const text = Buffer.from(meta.stringTable.join(""), "utf8");
  const bytes = Block.createStringBytesVector(builder, text);
  const ends = Block.createStringEndsVector(builder, stringEnds(meta.stringTable));
  const toc = Block.createTocVector(
    builder,
    meta.datasets.flatMap((dataset) => [...dataset.tableOfContents]),
  );
  const labels = Block.createLabelsVector(
    builder,
    meta.datasets.flatMap((dataset) => [...dataset.labels]),
  );
  const datasets = addDatasets(builder, meta.datasets);
  Block.startBlock(builder);
  Block.addHead(builder, addHead(builder, meta));
  Block.addDatasets(builder, datasets);
  Block.addLabels(builder, labels);
  Block.addToc(builder, toc);
  Block.addStringEnds(builder, ends);
  Block.addStringBytes(builder, bytes);
  builder.finish(Block.endBlock(builder));
  return builder.asUint8Array();
}

/** What the generated accessors read, as a plain block. */
export function readGeneratedBlock(bytes: Uint8Array): BlockMeta {
  const block = Block.getRootAsBlock(new ByteBuffer(bytes));
  const head = block.head();
  if (head === null) throw new Error("no head");
  const ends = range(block.stringEndsLength(), (i) => block.stringEnds(i) as number);
  const text = Buffer.from(block.stringBytesArray() ?? []);
  return {
    formatVersion: head.formatVersion(),
    id: ulidText(Uint8Array.from(range(ULID_BYTES, (i) => head.id(i) as number))),
    tenant: head.tenant(),
    shard: head.shard(),
    compactionLevel: head.compactionLevel(),
    minTimeMs: head.minTimeMs(),
    maxTimeMs: head.maxTimeMs(),
    createdBy: head.createdBy(),
    sizeBytes: head.sizeBytes(),
    datasets: range(block.datasetsLength(), (i) => readDataset(block, i)),
    stringTable: ends.map((end, i) => text.toString("utf8", ends[i - 1] ?? 0, end)),
    metadataOffset: head.metadataOffset(),
  };
}

function readDataset(block: Block, i: number): DatasetMeta {
  const dataset = block.datasets(i);
  if (dataset === null) throw new Error("no dataset");
  return {
    tenant: dataset.tenant(),
    name: dataset.name(),
    minTimeMs: dataset.minTimeMs(),
    maxTimeMs: dataset.maxTimeMs(),
    tableOfContents: range(dataset.tocCount(), (k) => block.toc(dataset.tocStart() + k) as bigint),
    sizeBytes: dataset.sizeBytes(),
    labels: range(dataset.labelsCount(), (k) => block.labels(dataset.labelsStart() + k) as number),
    format: dataset.format(),
  };
}

function addHead(builder: Builder, meta: BlockMeta): number {
  const id = new Uint8Array(ULID_BYTES);
  if (!tryDecodeUlid(meta.id, id, 0)) throw new Error("bad id");
  return BlockHead.createBlockHead(
    builder,
    [...id],
    meta.minTimeMs,
    meta.maxTimeMs,
    meta.sizeBytes,
    meta.metadataOffset,
    meta.formatVersion,
    meta.shard,
    meta.compactionLevel,
    meta.tenant,
    meta.createdBy,
    0,
  );
}

function addDatasets(builder: Builder, datasets: readonly DatasetMeta[]): number {
  let toc = datasets.reduce((sum, dataset) => sum + dataset.tableOfContents.length, 0);
  let labels = datasets.reduce((sum, dataset) => sum + dataset.labels.length, 0);
  Block.startDatasetsVector(builder, datasets.length);
  for (const dataset of [...datasets].reverse()) {
    toc -= dataset.tableOfContents.length;
    labels -= dataset.labels.length;
    Dataset.createDataset(
      builder,
      dataset.minTimeMs,
      dataset.maxTimeMs,
      dataset.sizeBytes,
      dataset.tenant,
      dataset.name,
      labels,
      dataset.labels.length,
      toc,
      dataset.tableOfContents.length,
      dataset.format,
      0,
    );
  }
  return builder.endVector();
}

function stringEnds(strings: readonly string[]): number[] {
  let end = 0;
  return strings.map((text) => (end += Buffer.byteLength(text, "utf8")));
}

export function range<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

/** Written apart from the code under test: base 32 of a 128-bit number. */
function ulidText(bytes: Uint8Array): string {
  let value = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  let text = "";
  for (let i = 0; i < 26; i++) {
    text = ULID_CHARACTERS[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return text;
}
