import assert from "node:assert/strict";
import { test } from "node:test";
import { chunkLength } from "../../src/base/index.ts";

test("all chunks are full but the last, and together they are the whole", () => {
  for (const sizeBytes of [1, 9, 10, 11, 20, 25]) {
    const chunkCount = Math.ceil(sizeBytes / 10);
    const lengths = Array.from({ length: chunkCount }, (_, chunk) =>
      chunkLength({ sizeBytes, chunkBytes: 10 }, chunk),
    );
    assert.equal(
      lengths.reduce((sum, length) => sum + length, 0),
      sizeBytes,
      `${sizeBytes} bytes`,
    );
    assert.ok(
      lengths.slice(0, -1).every((length) => length === 10),
      `${sizeBytes} bytes`,
    );
    assert.ok((lengths.at(-1) ?? 0) > 0, `${sizeBytes} bytes`);
  }
});
