/** Images whose bytes are wrong, cut, out of order or made up: a typed error each, and no memory taken on their word. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32c } from "@node-rs/crc32";
import { isHearthError } from "../../../src/base/index.ts";
import { INDEX_LAYOUT_VERSION } from "../../../src/state/counters.ts";
import { encodeFrame, FRAME, FRAME_HEADER_BYTES } from "../../../src/state/snapshot/frames.ts";
import { encodeEnd, encodeHead } from "../../../src/state/snapshot/head.ts";
import { ImageReader } from "../../../src/state/snapshot/image-reader.ts";
import { contentSize, hasNodeZstd, loadZstd, type Zstd } from "../../../src/state/snapshot/zstd.ts";
import { RandomEntries } from "../random-entries.ts";
import { withState } from "../support.ts";
import { imageOf } from "./support.ts";

const HEAD = { index: 5, term: 1, appendedAtMs: 7, layout: INDEX_LAYOUT_VERSION };

interface Read {
  readonly rows: string[];
  readonly index: number;
}

/** Reads an image in pieces of one size; throws what is wrong with it. */
function readImage(image: Uint8Array, zstd: Zstd, pieceBytes = image.length): Read {
  const rows: string[] = [];
  const reader = new ImageReader({
    zstd,
    layout: INDEX_LAYOUT_VERSION,
    onRows: (visitAll) =>
      visitAll((table, key, value) =>
        rows.push(`${table} ${Buffer.from(key).toString("hex")} ${value.length}`),
      ),
  });
  for (let at = 0; at < image.length; at += pieceBytes) {
    reader.push(image.subarray(at, at + pieceBytes));
  }
  return { rows, index: reader.finish().index };
}

function reasonOf(image: Uint8Array, zstd: Zstd): string | null {
  try {
    readImage(image, zstd);
    return null;
  } catch (error) {
    if (!isHearthError(error)) throw error;
    return error.reason;
  }
}

async function smallImage(zstd: Zstd | null): Promise<Uint8Array> {
  let image = new Uint8Array(0);
  await withState((fixture) => {
    const source = new RandomEntries(5);
    for (let i = 0; i < 6; i++) fixture.apply([source.next()]);
    image = Buffer.from(imageOf(fixture.db, zstd));
  });
  return image;
}

test("pieces of any size give the same rows", async () => {
  const zstd = await loadZstd();
  const image = await smallImage(zstd);
  const whole = readImage(image, zstd);
  assert.equal(whole.index, 6);
  assert.equal(whole.rows.length > 10, true);
  for (const pieceBytes of [1, 7, FRAME_HEADER_BYTES, 1_000]) {
    assert.deepEqual(readImage(image, zstd, pieceBytes), whole, `pieces of ${pieceBytes} bytes`);
  }
});

for (const encoding of ["zstd", "plain"] as const) {
  test(`every changed byte is found, ${encoding}`, async () => {
    const zstd = await loadZstd();
    const image = await smallImage(encoding === "zstd" ? zstd : null);
    const step = Math.max(1, Math.floor(image.length / 3_000));
    for (let at = 0; at < image.length; at += at < 200 ? 1 : step) {
      const wrong = new Uint8Array(image);
      wrong[at] = (wrong[at] as number) ^ (1 << (at % 8));
      const reason = reasonOf(wrong, zstd);
      if (reason === null) {
        // A few bits of zstd mean nothing.
        assert.deepEqual(readImage(wrong, zstd), readImage(image, zstd), `byte ${at}`);
        continue;
      }
      assert.match(reason, /^image_(damaged|version_unsupported)$/);
    }
  });

  test(`every cut is found, ${encoding}`, async () => {
    const zstd = await loadZstd();
    const image = await smallImage(encoding === "zstd" ? zstd : null);
    const step = Math.max(1, Math.floor(image.length / 1_000));
    for (let length = 0; length < image.length; length += step) {
      assert.equal(reasonOf(image.subarray(0, length), zstd), "image_damaged", `cut at ${length}`);
    }
    assert.equal(reasonOf(Buffer.concat([image, image.subarray(0, 1)]), zstd), "image_damaged");
  });
}

function piece(table: number, rows: readonly (readonly [string, string])[]): Uint8Array {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(table);
  const parts = rows.flatMap(([key, value]) => {
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32LE(key.length);
    lengths.writeUInt32LE(value.length, 4);
    return [lengths, Buffer.from(key), Buffer.from(value)];
  });
  return Buffer.concat([head, ...parts]);
}

function imageWith(...frames: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([encodeFrame(FRAME.head, encodeHead(HEAD), 0, null), ...frames]);
}

function rowsFrame(content: Uint8Array, rows: number): Uint8Array {
  return encodeFrame(FRAME.rows, content, rows, null);
}

/** A header that lies, with a right checksum over nothing. */
function header(fields: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  for (const [i, field] of fields.entries()) bytes.writeUInt32LE(field, 4 * i);
  return bytes;
}

test("rows that are too large for zstd are kept as they are", async () => {
  const zstd = await loadZstd();
  const large = piece(5, [["a", "1".repeat(8 * 1024 * 1024)]]);
  const frame = encodeFrame(FRAME.rows, large, 1, zstd);
  assert.equal(frame.length > large.length, true);
  const end = encodeFrame(FRAME.end, encodeEnd({ rows: 1, bytes: large.length }), 0, null);
  assert.equal(readImage(imageWith(frame, end), zstd, 100_000).rows.length, 1);
});

test("made-up images are refused", async () => {
  const zstd = await loadZstd();
  const end = (rows: number, bytes: number): Uint8Array =>
    encodeFrame(FRAME.end, encodeEnd({ rows, bytes }), 0, null);
  const one = piece(5, [["a", "1"]]);
  const bomb = zstd.compress(new Uint8Array(2 * 1024 * 1024));
  const crc = crc32c(new Uint8Array(0));
  const images: Record<string, Uint8Array> = {
    nothing: new Uint8Array(0),
    "no end": imageWith(rowsFrame(one, 1)),
    "no head": Buffer.concat([rowsFrame(one, 1), end(1, one.length)]),
    "two heads": imageWith(imageWith(), end(0, 0)),
    "too few rows in the end": imageWith(rowsFrame(one, 1), end(2, one.length)),
    "another count in the frame": imageWith(rowsFrame(one, 2), end(1, one.length)),
    "an unknown table": imageWith(rowsFrame(piece(99, [["a", "1"]]), 1)),
    "tables in another order": imageWith(rowsFrame(one, 1), rowsFrame(piece(4, [["a", "1"]]), 1)),
    "a key twice": imageWith(
      rowsFrame(
        piece(5, [
          ["a", "1"],
          ["a", "2"],
        ]),
        2,
      ),
    ),
    "a key twice over frames": imageWith(rowsFrame(one, 1), rowsFrame(one, 1)),
    "an empty key": imageWith(rowsFrame(piece(5, [["", "1"]]), 1)),
    "a long key": imageWith(rowsFrame(piece(5, [["a".repeat(1_025), "1"]]), 1)),
    "a row that ends behind its piece": imageWith(rowsFrame(one.subarray(0, one.length - 1), 1)),
    "a row without lengths": imageWith(rowsFrame(one.subarray(0, 9), 1)),
    "a piece without a table": imageWith(rowsFrame(one.subarray(0, 3), 1)),
    "4 GiB stored": imageWith(header([FRAME.rows, 1, 0xffff_ffff, 1_000, crc, 1])),
    "4 GiB of content": imageWith(header([FRAME.rows, 1, 100, 0xffff_ffff, crc, 1])),
    "a large head": header([FRAME.head, 0, 1_000_000, 1_000_000, crc, 0]),
    "an unknown kind": imageWith(header([4, 0, 1, 1, crc, 0])),
    "an unknown encoding": imageWith(header([FRAME.rows, 2, 1, 1, crc, 0])),
    "zstd of more than it says": imageWith(
      header([FRAME.rows, 1, bomb.length, 1_000, crc, 1]),
      bomb,
    ),
    "no zstd": imageWith(header([FRAME.rows, 1, 8, 1_000, crc, 1]), new Uint8Array(8)),
  };
  for (const [what, image] of Object.entries(images)) {
    assert.equal(reasonOf(image, zstd), "image_damaged", what);
  }
  assert.equal(reasonOf(imageWith(rowsFrame(one, 1), end(1, one.length)), zstd), null);
});

test("another format or layout is not called damage", async () => {
  const zstd = await loadZstd();
  const heads = [
    { ...HEAD, layout: INDEX_LAYOUT_VERSION + 1 },
    { ...HEAD, format: 2 },
  ];
  for (const head of heads) {
    const image = encodeFrame(FRAME.head, encodeHead(head), 0, null);
    assert.equal(reasonOf(image, zstd), "image_version_unsupported", JSON.stringify(head));
  }
});

test("the content size of zstd frames is read as the format says", async () => {
  const zstd = await loadZstd("wasm");
  for (const size of [1, 255, 256, 257, 65_535, 65_792, 1_000_000]) {
    assert.equal(contentSize(zstd.compress(new Uint8Array(size))), size);
  }
  assert.equal(contentSize(new Uint8Array(4)), -1);
});

test("both zstd libraries read each other", { skip: !hasNodeZstd() }, async () => {
  const [node, wasm] = [await loadZstd("node"), await loadZstd("wasm")];
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) % 251);
  assert.deepEqual([...wasm.decompress(node.compress(bytes), bytes.length)], [...bytes]);
  assert.deepEqual([...node.decompress(wasm.compress(bytes), bytes.length)], [...bytes]);
});
