import assert from "node:assert/strict";
import { test } from "node:test";
import { packBytes, unpackBytes } from "../../src/base/index.ts";

test("parts come back as they were, each at a multiple of 8", () => {
  const parts = [0, 1, 8, 13].map((length) => new Uint8Array(length).fill(length));
  const packed = packBytes(parts);
  const back = unpackBytes(packed);
  assert.deepEqual(back, parts);
  for (const part of back) assert.equal(part.byteOffset % 8, 0);
  assert.equal(packed.bytes.byteOffset, 0);
  assert.equal(packed.bytes.buffer.byteLength, packed.ends.at(-1));
});

test("nothing is packed as nothing", () => {
  assert.deepEqual(unpackBytes(packBytes([])), []);
});
