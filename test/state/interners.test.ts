import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteInterner, hashView } from "../../src/state/index/byte-interner.ts";
import { WordInterner } from "../../src/state/index/word-interner.ts";
import { Random } from "./random-entries.ts";

test("a byte interner finds exactly what was added, also under equal hashes", () => {
  for (const hashOf of [hashView, (): number => 42, (): number => -1]) {
    const interner = new ByteInterner();
    const known = new Map<string, number>();
    const random = new Random(3);
    for (let i = 0; i < 700; i++) {
      const bytes = Uint8Array.from({ length: random.below(11) }, () => 97 + random.below(3));
      const view = new DataView(bytes.buffer);
      const text = Buffer.from(bytes).toString();
      const hash = hashOf(view, 0, bytes.length);
      assert.equal(interner.find(view, 0, bytes.length, hash), known.get(text) ?? -1, text);
      if (!known.has(text)) interner.add(view, 0, bytes.length, hash, i);
      if (!known.has(text)) known.set(text, i);
    }
    assert.equal(known.size > 400, true);
  }
});

test("a whole string table is found up to the first unknown string", () => {
  const interner = new ByteInterner();
  const bytes = new TextEncoder().encode("xxalphabetagamma");
  const view = new DataView(bytes.buffer);
  for (const [id, [start, end]] of [
    [2, 7],
    [7, 11],
  ].entries()) {
    interner.add(view, start ?? 0, end ?? 0, hashView(view, start ?? 0, end ?? 0), id + 5);
  }
  const ends = Int32Array.of(99, 0, 5, 9, 9, 14);
  const ids = new Int32Array(8);
  assert.equal(interner.findTable(view, 2, ends, 1, 5, ids), 4);
  assert.deepEqual([...ids.subarray(0, 4)], [0, 5, 6, 0]);
});

test("a word interner finds exactly what was added, also under equal hashes", () => {
  for (const isColliding of [false, true]) {
    const interner = new WordInterner();
    const known = new Map<string, number>();
    const random = new Random(4);
    for (let i = 0; i < 700; i++) {
      const words = Int32Array.from({ length: 2 + random.below(6) }, () => random.below(3));
      const hash = isColliding ? 7 : words.reduce((sum, word) => Math.imul(sum, 31) + word, 1);
      const text = words.join();
      assert.equal(interner.find(words, 0, words.length, hash), known.get(text) ?? -1, text);
      if (!known.has(text)) interner.add(words, 0, words.length, hash, i);
      if (!known.has(text)) known.set(text, i);
    }
  }
});
