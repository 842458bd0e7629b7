import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteBuffer } from "flatbuffers";
import { isHearthError } from "../../src/base/index.ts";
import { PlanChunk } from "../../src/protocol/gen/wire.ts";
import {
  type BlockMeta,
  BlockReader,
  CHUNK_HEADROOM_BYTES,
  type DatasetMeta,
  EntryReader,
  EntryWriter,
  PlanChunkReader,
  PlanChunkWriter,
} from "../../src/protocol/index.ts";
import { blockArbitrary, blockOf, datasetOf, realBlocks, wireOf } from "./support.ts";

const ENTRIES = new EntryWriter();

/**
 * Writes a block as the query engine does: from its stored entry, with strings mapped to the
 * chunk's.
 */
function addBlock(chunk: PlanChunkWriter, meta: BlockMeta): void {
  const keys = new Uint32Array(meta.datasets.length);
  const bytes = ENTRIES.write(new BlockReader().reset(wireOf(meta)), {
    tenant: 0,
    createdBy: 0,
    keys,
  }).slice();
  const entry = new EntryReader({
    u8: bytes,
    i32: new Int32Array(bytes.buffer),
    f64: new Float64Array(bytes.buffer),
  });
  entry.reset(0, bytes.length);
  const reference = (text: number): number => {
    const string = meta.stringTable[text] ?? "";
    if (string === "") return 0;
    const utf8 = Buffer.from(`<${string}>`, "utf8");
    return chunk.addString(utf8, 1, utf8.length - 1);
  };
  chunk.addBlock(entry, reference(meta.tenant), reference(meta.createdBy));
  for (const [row, dataset] of meta.datasets.entries()) {
    const labelsStart = chunk.labelsCount;
    const isText = textPositions(dataset.labels);
    dataset.labels.forEach((value, i) => {
      chunk.pushLabel(isText[i] === true ? reference(value) : value);
    });
    chunk.addDataset(entry, row, {
      tenant: reference(dataset.tenant),
      name: reference(dataset.name),
      labelsStart,
      labelsCount: chunk.labelsCount - labelsStart,
    });
  }
}

/** Which of the ints are references: all but the counts. */
function textPositions(labels: readonly number[]): boolean[] {
  const isText: boolean[] = [];
  for (let i = 0; i < labels.length; ) {
    const pairs = labels[i++] as number;
    isText.push(false);
    for (const end = i + 2 * pairs; i < end; i++) isText.push(true);
  }
  return isText;
}

/** The compact table of spec 2.2, written the plain way. */
function compact(meta: BlockMeta): BlockMeta {
  const stringTable = [""];
  const map = (reference: number): number => {
    const text = meta.stringTable[reference] ?? "";
    if (!stringTable.includes(text)) stringTable.push(text);
    return stringTable.indexOf(text);
  };
  const tenant = map(meta.tenant);
  const createdBy = map(meta.createdBy);
  const datasets = meta.datasets.map((dataset): DatasetMeta => {
    const named = { tenant: map(dataset.tenant), name: map(dataset.name) };
    const isText = textPositions(dataset.labels);
    const labels = dataset.labels.map((value, i) => (isText[i] === true ? map(value) : value));
    return { ...dataset, ...named, labels };
  });
  return { ...meta, tenant, createdBy, datasets, stringTable };
}

test("blocks come out of a chunk whole, with the compact string table of the spec", () => {
  fc.assert(
    fc.property(fc.array(blockArbitrary, { maxLength: 4 }), fc.nat(), (metas, appliedIndex) => {
      const writer = new PlanChunkWriter();
      for (const meta of metas) addBlock(writer, meta);
      const bytes = writer.finish(appliedIndex);
      const reader = new PlanChunkReader(bytes);
      assert.equal(reader.appliedIndex, appliedIndex);
      assert.deepEqual(
        [...reader].map((block) => block.toBlockMeta()),
        metas.map(compact),
      );
      assert.ok(Math.abs(writer.byteLength - bytes.length) <= 64);
    }),
    { numRuns: 300 },
  );
});

test("real blocks come out of a chunk whole", () => {
  const writer = new PlanChunkWriter();
  const metas = realBlocks().map(({ meta }) => meta);
  for (const meta of metas) addBlock(writer, meta);
  const reader = new PlanChunkReader(writer.finish(1));
  assert.deepEqual(
    [...reader].map((block) => block.toBlockMeta()),
    metas.map(compact),
  );
});

test("the generated accessors read what the chunk writer wrote", () => {
  const writer = new PlanChunkWriter();
  addBlock(writer, blockOf({ shard: 9 }));
  addBlock(writer, blockOf({ shard: 10, datasets: [datasetOf(), datasetOf({ format: 1 })] }));
  const chunk = PlanChunk.getRootAsPlanChunk(new ByteBuffer(writer.finish(77).slice()));
  assert.equal(chunk.appliedIndex(), 77);
  assert.equal(chunk.blocksLength(), 2);
  assert.equal(chunk.blocks(1)?.head()?.shard(), 10);
  assert.equal(chunk.blocks(1)?.datasetsStart(), 1);
  assert.equal(chunk.blocks(1)?.datasetsCount(), 2);
  assert.equal(chunk.datasetsLength(), 3);
  assert.equal(chunk.datasets(2)?.format(), 1);
  assert.equal(chunk.toc(1), 4549n);
  assert.equal(chunk.labels(0), 1);
  assert.equal(chunk.stringEnds(0), 0);
});

test("views read values in words without making a plain block", () => {
  const writer = new PlanChunkWriter();
  addBlock(writer, blockOf());
  const block = new PlanChunkReader(writer.finish(1)).block(0);
  assert.equal(block.createdBy, "segment-writer-0");
  assert.equal(block.tenant, "");
  assert.equal(block.datasetCount, 1);
  const dataset = block.dataset(0);
  assert.equal(dataset.tenant, "acme");
  assert.equal(dataset.name, "api");
  assert.deepEqual(dataset.tableOfContents, [0n, 4549n, 7747n]);
  assert.deepEqual(dataset.labelSets, [[{ name: "service_name", value: "api" }]]);
  assert.throws(() => block.dataset(1), RangeError);
});

test("no bytes and no blocks are both an empty chunk", () => {
  assert.equal(new PlanChunkReader(new Uint8Array(0)).blockCount, 0);
  const empty = new PlanChunkReader(new PlanChunkWriter().finish(5));
  assert.equal(empty.blockCount, 0);
  assert.equal(empty.appliedIndex, 5);
  assert.deepEqual([...empty], []);
});

test("a chunk leaves room for the frame header in front of it", () => {
  const writer = new PlanChunkWriter();
  addBlock(writer, blockOf());
  const bytes = writer.finish(1);
  assert.equal(bytes.byteOffset % 8, 0);
  assert.ok(bytes.byteOffset >= CHUNK_HEADROOM_BYTES);
  const frame = new Uint8Array(bytes.buffer, bytes.byteOffset - CHUNK_HEADROOM_BYTES, 16);
  frame.fill(0xff);
  assert.equal(new PlanChunkReader(bytes).block(0).id, blockOf().id);
});

test("a writer that was reset starts from an empty string table", () => {
  const writer = new PlanChunkWriter();
  addBlock(writer, blockOf());
  const first = writer.finish(1).slice();
  writer.reset();
  assert.equal(writer.blockCount, 0);
  assert.equal(writer.stringCount, 1);
  addBlock(writer, blockOf());
  assert.deepEqual(writer.finish(1).slice(), first);
});

test("a mutated chunk gives an error or values, never a read outside of it", () => {
  const writer = new PlanChunkWriter();
  for (const { meta } of realBlocks().slice(0, 4)) addBlock(writer, meta);
  const good = writer.finish(1).slice();
  let refused = 0;
  for (let word = 0; word < good.length; word += 4) {
    for (const value of [0, 0x7fff_ffff, 0xffff_fff0]) {
      const bytes = good.slice();
      new DataView(bytes.buffer).setUint32(word, value, true);
      try {
        for (const block of new PlanChunkReader(bytes)) block.toBlockMeta();
      } catch (error) {
        assert.ok(isHearthError(error), `word ${word} = ${value}: ${String(error)}`);
        refused++;
      }
    }
  }
  assert.ok(refused > 100, `${refused} refused`);
});
