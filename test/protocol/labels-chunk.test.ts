import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteBuffer } from "flatbuffers";
import { isHearthError } from "../../src/base/index.ts";
import { LabelsChunk } from "../../src/protocol/gen/wire.ts";
import { LabelsChunkReader, LabelsChunkWriter } from "../../src/protocol/index.ts";
import { textArbitrary } from "./support.ts";

function chunkOf(names: readonly string[], rows: readonly (readonly string[])[]): Uint8Array {
  const writer = new LabelsChunkWriter();
  writer.begin(names);
  for (const row of rows) {
    for (const value of row) writer.pushValue(value === "" ? 0 : writer.addText(value));
  }
  return writer.finish(12).slice();
}

test("rows come out of a chunk in order, with every requested name", () => {
  const shape = fc.integer({ min: 1, max: 5 }).chain((width) =>
    fc.record({
      names: fc.array(textArbitrary, { minLength: width, maxLength: width }),
      rows: fc.array(fc.array(textArbitrary, { minLength: width, maxLength: width }), {
        maxLength: 8,
      }),
    }),
  );
  fc.assert(
    fc.property(shape, ({ names, rows }) => {
      const reader = new LabelsChunkReader(chunkOf(names, rows));
      assert.deepEqual(reader.names, names);
      assert.equal(reader.rowCount, rows.length);
      assert.equal(reader.appliedIndex, 12);
      assert.deepEqual(
        [...reader],
        rows.map((row) => row.map((value, i) => ({ name: names[i], value }))),
      );
      rows.forEach((row, i) => {
        assert.deepEqual(reader.row(i), row);
      });
    }),
    { numRuns: 200 },
  );
});

test("the generated accessors read what the chunk writer wrote", () => {
  const chunk = LabelsChunk.getRootAsLabelsChunk(
    new ByteBuffer(
      chunkOf(
        ["a", ""],
        [
          ["1", "2"],
          ["", "4"],
        ],
      ),
    ),
  );
  assert.equal(chunk.namesCount(), 2);
  assert.equal(chunk.namesLength(), 2);
  assert.equal(chunk.names(1), 0);
  assert.equal(chunk.rowsLength(), 4);
  assert.equal(chunk.rows(2), 0);
  assert.equal(chunk.stringEndsLength(), 5);
  assert.equal(chunk.appliedIndex(), 12);
});

test("no bytes are an empty chunk", () => {
  const reader = new LabelsChunkReader(new Uint8Array(0));
  assert.equal(reader.rowCount, 0);
  assert.deepEqual([...reader], []);
});

test("a row outside of the chunk is a bug of the caller", () => {
  const reader = new LabelsChunkReader(chunkOf(["a"], [["1"]]));
  assert.throws(() => reader.value(1, 0), RangeError);
  assert.throws(() => reader.value(0, 1), RangeError);
});

test("a mutated chunk gives an error or values", () => {
  const good = chunkOf(
    ["service_name", "region"],
    [
      ["api", "eu"],
      ["web", "us"],
    ],
  );
  let refused = 0;
  for (let word = 0; word < good.length; word += 4) {
    for (const value of [0, 3, 0x7fff_ffff, 0xffff_fff0]) {
      const bytes = good.slice();
      new DataView(bytes.buffer).setUint32(word, value, true);
      try {
        for (const row of new LabelsChunkReader(bytes)) assert.ok(row.length <= 256);
      } catch (error) {
        assert.ok(isHearthError(error), `word ${word} = ${value}: ${String(error)}`);
        refused++;
      }
    }
  }
  assert.ok(refused > 20, `${refused} refused`);
});
