import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isHearthError } from "../../src/base/index.ts";
import {
  BlockReader,
  ByteSink,
  DATASET,
  decodeBlock,
  encodeBlock,
  validateBlock,
} from "../../src/protocol/index.ts";
import {
  blockArbitrary,
  blockOf,
  datasetOf,
  generatedBlock,
  readGeneratedBlock,
  realBlocks,
  wireOf,
} from "./support.ts";

test("the generated accessors read what the hand writer wrote", () => {
  fc.assert(
    fc.property(blockArbitrary, (meta) => {
      assert.deepEqual(readGeneratedBlock(wireOf(meta)), meta);
    }),
    { numRuns: 500 },
  );
});

test("the hand reader reads what the generated builder wrote", () => {
  fc.assert(
    fc.property(blockArbitrary, (meta) => {
      const bytes = generatedBlock(meta);
      assert.equal(validateBlock(bytes), null);
      assert.deepEqual(decodeBlock(bytes), meta);
    }),
    { numRuns: 500 },
  );
});

test("a block survives encoding and decoding at any place of a buffer", () => {
  fc.assert(
    fc.property(blockArbitrary, fc.nat(24), (meta, offset) => {
      const wire = wireOf(meta);
      const buffer = new Uint8Array(offset + wire.length + 16).fill(0xff);
      buffer.set(wire, offset);
      assert.deepEqual(decodeBlock(buffer, offset, wire.length), meta);
    }),
    { numRuns: 300 },
  );
});

test("real blocks survive encoding and decoding", () => {
  const blocks = realBlocks();
  assert.ok(blocks.length >= 18);
  for (const { name, meta } of blocks) {
    const wire = wireOf(meta);
    assert.equal(validateBlock(wire), null, name);
    assert.deepEqual(decodeBlock(wire), meta, name);
    assert.deepEqual(readGeneratedBlock(wire), meta, name);
  }
});

test("the bytes of a block depend on the block alone, not on what the sink held before", () => {
  const first = new ByteSink();
  encodeBlock(blockOf(), first);
  const used = new ByteSink(64);
  used.append(new Uint8Array(4096).fill(0xee));
  used.reset();
  encodeBlock(blockOf(), used);
  assert.deepEqual(used.copy(), first.copy());
});

test("blocks are appended one after the other, each a multiple of 8 long", () => {
  const sink = new ByteSink(64);
  const places = realBlocks().map(({ meta }) => ({
    meta,
    offset: sink.length,
    length: encodeBlock(meta, sink),
  }));
  const bytes = sink.view();
  for (const { meta, offset, length } of places) {
    assert.equal(length % 8, 0);
    assert.deepEqual(decodeBlock(bytes, offset, length), meta);
  }
});

test("the reader gives strings as byte ranges and words by field", () => {
  const wire = wireOf(blockOf());
  const reader = new BlockReader().reset(wire);
  assert.equal(reader.datasetsCount, 1);
  assert.equal(reader.datasetU32(0, DATASET.tocCount), 3);
  assert.equal(reader.string(reader.datasetI32(0, DATASET.name)), "api");
  assert.equal(reader.stringEnd(4) - reader.stringStart(4), 3);
  assert.equal(reader.sizeBytes, 65_536);
  assert.equal(reader.metadataOffset, 60_000);
});

test("an absent string table means only the empty string", () => {
  const wire = wireOf(blockOf({ stringTable: [], createdBy: 0, datasets: [] }));
  const reader = new BlockReader().reset(wire);
  assert.equal(validateBlock(wire), null);
  assert.equal(reader.stringsCount, 0);
  assert.equal(reader.string(0), "");
});

test("one reader moves between buffers", () => {
  const reader = new BlockReader();
  for (const shard of [1, 2, 3]) {
    assert.equal(reader.reset(wireOf(blockOf({ shard }))).shard, shard);
  }
});

test("what the layout cannot hold is refused and leaves the sink as it was", () => {
  const cases: readonly (readonly [string, Parameters<typeof blockOf>[0]])[] = [
    ["bad_block_id", { id: "01j2vjr31pt3x4ndjc4q2bhwq1" }],
    ["bad_block_id", { id: "81J2VJR31PT3X4NDJC4Q2BHWQ1" }],
    ["bad_block_id", { id: "" }],
    ["number_out_of_range", { shard: -1 }],
    ["number_out_of_range", { shard: 2 ** 32 }],
    ["number_out_of_range", { createdBy: 2 ** 31 }],
    ["number_out_of_range", { datasets: [datasetOf({ labels: [0.5] })] }],
    ["number_out_of_range", { datasets: [datasetOf({ format: Number.NaN })] }],
  ];
  for (const [reason, changes] of cases) {
    const sink = new ByteSink();
    sink.appendWords(1, 2);
    assert.throws(
      () => encodeBlock(blockOf(changes), sink),
      (error) =>
        isHearthError(error) && error.code === "invalid_argument" && error.reason === reason,
    );
    assert.equal(sink.length, 8, reason);
  }
});
