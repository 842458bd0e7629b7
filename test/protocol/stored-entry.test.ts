import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Builder, ByteBuffer } from "flatbuffers";
import { isHearthError } from "../../src/base/index.ts";
import { BlockEntry, EntryDataset, EntryHead } from "../../src/protocol/gen/stored.ts";
import {
  type BlockMeta,
  BlockReader,
  ENTRY_PRELUDE,
  ENTRY_ROW,
  EntryReader,
  EntryWriter,
} from "../../src/protocol/index.ts";
import { blockArbitrary, blockOf, datasetOf, range, realBlocks, wireOf } from "./support.ts";

const WRITER = new EntryWriter();
const IDS = { tenant: 7, createdBy: 4_000_000_000 };

function entryOf(meta: BlockMeta): Uint8Array {
  const keys = Uint32Array.from(meta.datasets, (_, i) => 0xffff_fff0 - i);
  return WRITER.write(new BlockReader().reset(wireOf(meta)), { ...IDS, keys }).slice();
}

function readerOf(entry: Uint8Array): EntryReader {
  const reader = new EntryReader({
    u8: entry,
    i32: new Int32Array(entry.buffer, 0, entry.length >>> 2),
    f64: new Float64Array(entry.buffer, 0, entry.length >>> 3),
  });
  reader.reset(0, entry.length);
  return reader;
}

/** The same entry, by the generated builder. */
function generatedEntry(meta: BlockMeta): Uint8Array {
  const builder = new Builder(256);
  const sections = meta.datasets.flatMap((dataset) => [...dataset.tableOfContents]);
  const toc = BlockEntry.createTocVector(builder, sections);
  let tocStart = sections.length;
  BlockEntry.startDatasetsVector(builder, meta.datasets.length);
  for (let i = meta.datasets.length - 1; i >= 0; i--) {
    const dataset = meta.datasets[i] ?? datasetOf();
    tocStart -= dataset.tableOfContents.length;
    EntryDataset.createEntryDataset(
      builder,
      dataset.minTimeMs,
      dataset.maxTimeMs,
      dataset.sizeBytes,
      0xffff_fff0 - i,
      tocStart,
      dataset.tableOfContents.length,
      dataset.format,
    );
  }
  const datasets = builder.endVector();
  const id = new BlockReader().reset(wireOf(meta));
  BlockEntry.startBlockEntry(builder);
  BlockEntry.addHead(
    builder,
    EntryHead.createEntryHead(
      builder,
      [...id.u8.subarray(id.headOffset, id.headOffset + 16)],
      meta.minTimeMs,
      meta.maxTimeMs,
      meta.sizeBytes,
      meta.metadataOffset,
      meta.formatVersion,
      meta.shard,
      meta.compactionLevel,
      IDS.tenant,
      IDS.createdBy,
      0,
    ),
  );
  BlockEntry.addDatasets(builder, datasets);
  BlockEntry.addToc(builder, toc);
  builder.finish(BlockEntry.endBlockEntry(builder));
  return builder.asUint8Array().slice();
}

/** What the reader tells about an entry, as plain values. */
function readBack(reader: EntryReader): object {
  const toc = (i: number): bigint =>
    Buffer.from(reader.u8).readBigUInt64LE(reader.tocOffset + 8 * i);
  return {
    id: reader.id,
    minTimeMs: reader.minTimeMs,
    maxTimeMs: reader.maxTimeMs,
    shard: reader.shard,
    compactionLevel: reader.compactionLevel,
    tenant: reader.tenant,
    createdBy: reader.createdBy,
    rows: range(reader.rowsCount, (i) => ({
      minTimeMs: reader.rowF64(i, ENTRY_ROW.minTimeMs),
      maxTimeMs: reader.rowF64(i, ENTRY_ROW.maxTimeMs),
      key: reader.rowU32(i, ENTRY_ROW.key),
      format: reader.rowU32(i, ENTRY_ROW.format),
      toc: range(reader.rowU32(i, ENTRY_ROW.tocCount), (k) =>
        toc(reader.rowU32(i, ENTRY_ROW.tocStart) + k),
      ),
    })),
  };
}

function expected(meta: BlockMeta): object {
  return {
    id: meta.id,
    minTimeMs: meta.minTimeMs,
    maxTimeMs: meta.maxTimeMs,
    shard: meta.shard,
    compactionLevel: meta.compactionLevel,
    tenant: IDS.tenant,
    createdBy: IDS.createdBy,
    rows: meta.datasets.map((dataset, i) => ({
      minTimeMs: dataset.minTimeMs,
      maxTimeMs: dataset.maxTimeMs,
      key: 0xffff_fff0 - i,
      format: dataset.format,
      toc: dataset.tableOfContents,
    })),
  };
}

test("the entry reader reads what the entry writer wrote, at the canonical places", () => {
  fc.assert(
    fc.property(blockArbitrary, (meta) => {
      const reader = readerOf(entryOf(meta));
      assert.deepEqual(readBack(reader), expected(meta));
      assert.equal(reader.rowsOffset, ENTRY_PRELUDE.rowsOffset);
    }),
    { numRuns: 400 },
  );
});

test("the entry reader reads what the generated builder wrote", () => {
  fc.assert(
    fc.property(blockArbitrary, (meta) => {
      assert.deepEqual(readBack(readerOf(generatedEntry(meta))), expected(meta));
    }),
    { numRuns: 400 },
  );
});

test("the generated accessors read what the entry writer wrote", () => {
  for (const { name, meta } of [...realBlocks(), { name: "small", meta: blockOf() }]) {
    const entry = BlockEntry.getRootAsBlockEntry(new ByteBuffer(entryOf(meta)));
    const head = entry.head();
    assert.equal(head?.sizeBytes(), meta.sizeBytes, name);
    assert.equal(head?.metadataOffset(), meta.metadataOffset, name);
    assert.equal(head?.formatVersion(), meta.formatVersion, name);
    assert.equal(head?.tenant(), IDS.tenant, name);
    assert.equal(head?.createdBy(), IDS.createdBy, name);
    assert.equal(entry.datasetsLength(), meta.datasets.length, name);
    for (const [i, dataset] of meta.datasets.entries()) {
      const row = entry.datasets(i);
      assert.equal(row?.sizeBytes(), dataset.sizeBytes, name);
      assert.equal(row?.minTimeMs(), dataset.minTimeMs, name);
      assert.equal(row?.key(), 0xffff_fff0 - i, name);
      assert.equal(entry.toc(row?.tocStart() ?? 0), dataset.tableOfContents[0], name);
    }
  }
});

test("entries can stand one after the other in one buffer", () => {
  const entries = realBlocks().map(({ meta }) => ({ meta, entry: entryOf(meta) }));
  const buffer = new Uint8Array(entries.reduce((sum, { entry }) => sum + entry.length, 0));
  let offset = 0;
  for (const { entry } of entries) {
    buffer.set(entry, offset);
    offset += entry.length;
  }
  const reader = new EntryReader({
    u8: buffer,
    i32: new Int32Array(buffer.buffer),
    f64: new Float64Array(buffer.buffer),
  });
  offset = 0;
  for (const { meta, entry } of entries) {
    reader.reset(offset, entry.length);
    assert.deepEqual(readBack(reader), expected(meta));
    offset += entry.length;
  }
});

test("damaged entries are told from empty ones", () => {
  const entry = entryOf(blockOf());
  const cases: readonly (readonly [string, number, number])[] = [
    ["root", 0, 0xffff_fff0],
    ["vtable", 4, 0xffff_ffff],
    ["rows behind the entry", 108, 0x7fff_ffff],
    ["sections behind the entry", entry.length - 28, 1_000],
  ];
  for (const [what, offset, value] of cases) {
    const damaged = entry.slice();
    new DataView(damaged.buffer).setUint32(offset, value, true);
    assert.throws(
      () => readerOf(damaged),
      (error) => isHearthError(error) && error.code === "data_loss",
      what,
    );
  }
  assert.throws(() => readerOf(new Uint8Array(16)), isHearthError);
});
