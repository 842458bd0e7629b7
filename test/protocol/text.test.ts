/** Checks of text by words against checks by bytes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "../../src/base/index.ts";
import { isAscii, isAsciiInWords } from "../../src/protocol/bytes/text.ts";

test("ASCII is told by words as by bytes, wherever it begins and ends", () => {
  const prng = new Prng(3, 0);
  const words = new Int32Array(16);
  const bytes = new Uint8Array(words.buffer);
  let others = 0;
  for (let i = 0; i < 50_000; i++) {
    for (let at = 0; at < bytes.length; at++) bytes[at] = prng.nextInt(128);
    bytes[prng.nextInt(bytes.length)] = prng.nextInt(256);
    const start = prng.nextInt(bytes.length + 1);
    const end = start + prng.nextInt(bytes.length - start + 1);
    const wanted = isAscii(bytes, start, end);
    if (!wanted) others++;
    assert.equal(isAsciiInWords(bytes, words, start, end), wanted, `${start} to ${end}`);
  }
  assert.ok(others > 2_000, "text with other characters was among it");
});
