import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { isHearthError } from "../../src/base/index.ts";
import {
  blockMetaFromJson,
  blockMetaToJson,
  decodeBlock,
  encodeBlockMetaProto,
  parseBlockMetaProto,
  readBlockObject,
  validateBlock,
} from "../../src/protocol/index.ts";
import { blockArbitrary, blockOf, EXAMPLES, realBlocks, wireOf } from "./support.ts";

function refused(reason: string): (error: unknown) => boolean {
  return (error) =>
    isHearthError(error) && error.code === "invalid_argument" && error.reason === reason;
}

function files(suffix: string): { name: string; bytes: Uint8Array }[] {
  return readdirSync(EXAMPLES)
    .filter((name) => name.endsWith(suffix))
    .map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(EXAMPLES, name))) }));
}

test("real protobuf metadata is written back byte for byte", () => {
  const found = files(".meta.pb");
  assert.equal(found.length, 6);
  for (const { name, bytes } of found) {
    const meta = parseBlockMetaProto(bytes);
    assert.deepEqual(new Uint8Array(encodeBlockMetaProto(meta)), bytes, name);
    assert.equal(meta.id.length, 26, name);
    assert.ok(meta.datasets.length > 0, name);
  }
});

test("real blocks survive protobuf, JSON in both namings and the wire", () => {
  for (const { name, meta } of realBlocks()) {
    assert.deepEqual(parseBlockMetaProto(encodeBlockMetaProto(meta)), meta, name);
    for (const naming of ["camel", "snake"] as const) {
      const text = JSON.stringify(blockMetaToJson(meta, naming));
      assert.deepEqual(blockMetaFromJson(JSON.parse(text)), meta, name);
    }
    const wire = wireOf(meta);
    assert.equal(validateBlock(wire), null, name);
    assert.deepEqual(decodeBlock(wire), meta, name);
  }
});

test("real JSON metadata is written back as it was", () => {
  const [file] = files("block-metas.json");
  const { blocks } = JSON.parse(Buffer.from(file?.bytes ?? []).toString("utf8")) as {
    blocks: unknown[];
  };
  assert.equal(blocks.length, 10);
  for (const block of blocks) assert.deepEqual(blockMetaToJson(blockMetaFromJson(block)), block);
});

test("any block survives protobuf and JSON", () => {
  fc.assert(
    fc.property(blockArbitrary, (meta) => {
      assert.deepEqual(parseBlockMetaProto(encodeBlockMetaProto(meta)), meta);
      assert.deepEqual(blockMetaFromJson(JSON.parse(JSON.stringify(blockMetaToJson(meta)))), meta);
    }),
    { numRuns: 200 },
  );
});

test("the message of a block has the field numbers of the contract", () => {
  const meta = blockOf({
    tenant: 1,
    compactionLevel: 2,
    minTimeMs: 5,
    maxTimeMs: 6,
    sizeBytes: 7n,
    metadataOffset: 2n ** 63n,
    stringTable: ["", "t"],
    createdBy: 1,
    datasets: [
      {
        tenant: 1,
        name: 1,
        minTimeMs: -1,
        maxTimeMs: 6,
        tableOfContents: [0n, 300n],
        sizeBytes: 1n,
        labels: [1, 1, 1],
        format: 1,
      },
    ],
  });
  const dataset =
    "08011001" + "18ffffffffffffffffff01" + "2006" + "2a0300ac02" + "3001" + "4203010101" + "4801";
  const expected =
    "0801" +
    "121a" +
    Buffer.from(meta.id).toString("hex") +
    "1801" +
    "2003" +
    "2802" +
    "3005" +
    "3806" +
    "4001" +
    "4807" +
    "52" +
    (dataset.length / 2).toString(16) +
    dataset +
    "5a00" +
    "5a0174" +
    "6080808080808080808001";
  assert.equal(Buffer.from(encodeBlockMetaProto(meta)).toString("hex"), expected);
  assert.deepEqual(parseBlockMetaProto(Buffer.from(expected, "hex")), meta);
});

test("unknown protobuf fields are ignored", () => {
  const bytes = Buffer.concat([encodeBlockMetaProto(blockOf()), Buffer.from("a00601", "hex")]);
  assert.deepEqual(parseBlockMetaProto(bytes), blockOf());
});

test("protobuf that is cut off, wrong or out of range is refused", () => {
  const good = encodeBlockMetaProto(blockOf());
  assert.throws(
    () => parseBlockMetaProto(good.subarray(0, good.length - 3)),
    refused("bad_protobuf"),
  );
  assert.throws(
    () => parseBlockMetaProto(Buffer.from("ffffffffff", "hex")),
    refused("bad_protobuf"),
  );
  // min_time = 2^62
  const far = Buffer.from("30808080808080808040", "hex");
  assert.throws(() => parseBlockMetaProto(far), refused("bad_time"));
});

test("JSON takes 64-bit integers as strings and numbers, null as the default, both namings", () => {
  const meta = blockMetaFromJson({
    id: "01J2VJR31PT3X4NDJC4Q2BHWQ1",
    min_time: "1721060035611",
    maxTime: 1_721_060_035_612,
    size: "18446744073709551615",
    created_by: null,
    datasets: [{ table_of_contents: ["0", 5] }],
    stringTable: ["", "a"],
  });
  assert.equal(meta.minTimeMs, 1_721_060_035_611);
  assert.equal(meta.maxTimeMs, 1_721_060_035_612);
  assert.equal(meta.sizeBytes, 18_446_744_073_709_551_615n);
  assert.equal(meta.createdBy, 0);
  assert.deepEqual(meta.datasets[0]?.tableOfContents, [0n, 5n]);
});

test("JSON that is no block is refused with the place", () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [[], /block is \[\], wanted is an object/],
    [null, /block is null/],
    [undefined, /block is undefined/],
    [{ shards: 1 }, /unknown field "shards" in block/],
    [{ minTime: "1", min_time: "1" }, /block.minTime/],
    [{ id: 5 }, /block.id is 5, wanted is a string/],
    [{ shard: -1 }, /block.shard is -1, wanted is an integer from 0 to 4294967295/],
    [{ shard: 1.5 }, /block.shard is 1.5/],
    [{ shard: "0x10" }, /block.shard/],
    [{ tenant: 2_147_483_648 }, /block.tenant/],
    [{ minTime: "9007199254740994" }, /block.minTime/],
    [{ size: "-1" }, /block.size/],
    [{ size: "18446744073709551616" }, /block.size/],
    [{ datasets: {} }, /block.datasets is \{\}, wanted is a list/],
    [{ datasets: [{ labels: [0, "x"] }] }, /block.datasets\[0\].labels\[1\] is "x"/],
    [{ string_table: ["", 1] }, /block.stringTable\[1\] is 1/],
  ];
  for (const [value, message] of cases) {
    assert.throws(
      () => blockMetaFromJson(value),
      (error) => refused("bad_json")(error) && message.test((error as Error).message),
      JSON.stringify(value),
    );
  }
});

test("the metadata at the end of a real block object is read, with the size of the object", () => {
  const found = files(".block.bin");
  assert.equal(found.length, 2);
  for (const { name, bytes } of found) {
    const { meta, metadataOffset, metadataBytes } = readBlockObject(bytes);
    assert.equal(meta.sizeBytes, BigInt(bytes.length), name);
    assert.equal(meta.metadataOffset, BigInt(metadataOffset), name);
    assert.equal(metadataOffset + metadataBytes + 8, bytes.length, name);
    assert.equal(validateBlock(wireOf(meta)), null, name);
    const end = readBlockObject(bytes.subarray(metadataOffset), bytes.length);
    assert.deepEqual(end, { meta, metadataOffset, metadataBytes }, name);
  }
});

test("a block object that was damaged, cut or is none is refused", () => {
  const [file] = files(".block.bin");
  const bytes = file?.bytes ?? new Uint8Array(0);
  const damaged = bytes.slice();
  damaged[bytes.length - 20] = (damaged[bytes.length - 20] as number) ^ 1;
  assert.throws(() => readBlockObject(damaged), refused("bad_checksum"));
  const badLength = bytes.slice();
  badLength[bytes.length - 8] = 0x7f;
  assert.throws(() => readBlockObject(badLength), refused("bad_block_object"));
  assert.throws(() => readBlockObject(bytes.subarray(0, bytes.length - 1)), isHearthError);
  assert.throws(
    () => readBlockObject(bytes.subarray(bytes.length - 8)),
    refused("bad_block_object"),
  );
  assert.throws(() => readBlockObject(new Uint8Array(0)), refused("bad_block_object"));
  assert.throws(() => readBlockObject(new Uint8Array(9)), refused("bad_checksum"));
});
