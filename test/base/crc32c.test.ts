import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32c } from "@node-rs/crc32";
import { crc32cOf, Prng } from "../../src/base/index.ts";

test("CRC32C of the check string", () => {
  assert.equal(crc32cOf(new TextEncoder().encode("123456789"), 0, 9), 0xe306_9283);
});

test("parts of any length, short or long, together are the native CRC of the whole", () => {
  const prng = new Prng(7);
  for (let round = 0; round < 300; round++) {
    const bytes = Uint8Array.from({ length: prng.nextU32() % 400 }, () => prng.nextU32());
    const cut = prng.nextU32() % (bytes.length + 1);
    const head = crc32cOf(bytes, 0, cut);
    assert.equal(crc32cOf(bytes, cut, bytes.length, head), crc32c(bytes));
  }
});
