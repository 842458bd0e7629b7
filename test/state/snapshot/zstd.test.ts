/** One memory of the WebAssembly per thread, however many copies of the module that uses it a thread has loaded. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { inRoot } from "../../support/project.ts";

type Module = typeof import("../../../src/state/snapshot/zstd.ts");

/** A copy of its own, as the bundle of every task has one. */
function copy(name: string): Promise<Module> {
  const url = pathToFileURL(inRoot("dist", "src", "state", "snapshot", "zstd.js"));
  return import(`${url.href}?${name}`) as Promise<Module>;
}

test("copies of the module in one thread do not take each other's memory away", async () => {
  const [taking, filling] = [await copy("take"), await copy("fill")];
  assert.notEqual(taking.loadZstd, filling.loadZstd);
  const content = Buffer.from("a row of the index; ".repeat(40_000));
  const take = await taking.loadZstd("wasm");
  const before = take.compress(content);
  assert.ok(before.length < content.length / 10);
  const fill = await filling.loadZstd("wasm");
  for (const zstd of [take, fill, await taking.loadZstd("wasm")]) {
    const compressed = zstd.compress(content);
    assert.deepEqual(compressed, before);
    for (const other of [take, fill])
      assert.ok(Buffer.from(other.decompress(compressed, content.length)).equals(content));
  }
});

test("what is compressed was read back, from one byte to the most that is compressed", async () => {
  const { loadZstd, ZSTD_CONTENT_MAX_BYTES, hasNodeZstd } = await copy("sizes");
  for (const engine of hasNodeZstd() ? (["node", "wasm"] as const) : (["wasm"] as const)) {
    const zstd = await loadZstd(engine);
    for (const size of [1, 2, 255, 256, 257, 65_791, 65_792, 1_000_000, ZSTD_CONTENT_MAX_BYTES]) {
      const content = Buffer.alloc(size, "entry ");
      const compressed = zstd.compress(content);
      assert.ok(Buffer.from(zstd.decompress(compressed, size)).equals(content), `${size} bytes`);
    }
  }
});
