/** What every object store promises, as tests that any implementation runs. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { isHearthError } from "../../../src/base/index.ts";
import type { ListOptions, ObjectStore } from "../../../src/storage/index.ts";

export type Open = () => Promise<ObjectStore>;

export async function keysOf(store: ObjectStore, options: ListOptions): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list(options)) {
    assert.ok(page.length > 0, "a page is empty");
    keys.push(...page.map(({ key }) => key));
  }
  return keys;
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

export async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (isHearthError(error)) return error.reason;
    throw error;
  }
  return "none";
}

/** Each test takes an empty store. */
export function describeContract(open: Open): void {
  async function filled(keys: readonly string[]): Promise<ObjectStore> {
    const store = await open();
    for (const key of keys) await store.put(key, bytesOf(key));
    return store;
  }

  it("gives back what was put, also nothing at all and every byte", async () => {
    const store = await open();
    const every = Uint8Array.from({ length: 256 }, (_, i) => i);
    await store.put("a/every", every);
    await store.put("a/empty", new Uint8Array(0));
    assert.deepEqual(new Uint8Array((await store.get("a/every")) ?? []), every);
    assert.equal((await store.get("a/empty"))?.length, 0);
    assert.equal(await store.get("a/missing"), null);
    assert.equal(await store.get("missing/deeply/there"), null);
  });

  it("put replaces the object as a whole", async () => {
    const store = await filled(["key"]);
    await store.put("key", bytesOf("longer than before"));
    await store.put("key", bytesOf("short"));
    assert.equal(textOf(await store.get("key")), "short");
  });

  it("gives ranges, clipped at the end", async () => {
    const store = await open();
    await store.put("a", bytesOf("0123456789"));
    const range = async (start: number, end: number): Promise<string | null> =>
      textOf(await store.get("a", { range: { start, end } }));
    assert.equal(await range(0, 1), "0");
    assert.equal(await range(2, 5), "234");
    assert.equal(await range(8, 100), "89");
    assert.equal(await range(10, 20), "");
    assert.equal(await range(3, 3), "");
    assert.equal(await store.get("b", { range: { start: 0, end: 1 } }), null);
  });

  it("refuses to give more than the caller can hold", async () => {
    const store = await filled(["0123456789"]);
    const get = (maxBytes: number) => store.get("0123456789", { maxBytes });
    assert.equal(textOf(await get(10)), "0123456789");
    assert.equal(await reasonOf(get(9)), "object_too_large");
  });

  it("head tells the size and a time of now, or nothing", async () => {
    const store = await filled(["a/b"]);
    const info = await store.head("a/b");
    assert.equal(info?.key, "a/b");
    assert.equal(info?.sizeBytes, 3);
    assert.ok(Math.abs((info?.modifiedAtMs ?? 0) - Date.now()) < 60_000);
    assert.equal(await store.head("a/c"), null);
    assert.equal(await store.head("a"), null);
  });

  it("delete removes one object, and repeating it is success", async () => {
    const store = await filled(["d/1/x", "d/1/y", "d/2/x"]);
    await store.delete("d/1/x");
    await store.delete("d/1/x");
    await store.delete("d/missing/x");
    assert.deepEqual(await keysOf(store, { prefix: "" }), ["d/1/y", "d/2/x"]);
    await store.delete("d/1/y");
    await store.put("d/1/x", bytesOf("again"));
    assert.equal(textOf(await store.get("d/1/x")), "again");
  });

  const SORTED = [
    "a-b",
    "a.b/c",
    "a/1/x",
    "a/10/x",
    "a/2/x",
    "a/2/x-1",
    "a0",
    "b/ü",
    "b/\u{ffee}",
    "b/\u{1f600}",
  ];

  it("lists keys in the order of their bytes, whatever the directories are", async () => {
    const store = await filled([...SORTED].reverse());
    assert.deepEqual(await keysOf(store, { prefix: "" }), SORTED);
  });

  it("lists by prefix, also in the middle of a word", async () => {
    const store = await filled(SORTED);
    for (const prefix of ["a", "a/", "a/1", "a/1/", "a/2/x", "a.", "b/", "c", "a/2/x-1"]) {
      const wanted = SORTED.filter((key) => key.startsWith(prefix));
      assert.deepEqual(await keysOf(store, { prefix }), wanted, `prefix ${prefix}`);
    }
  });

  it("goes on behind any key, there or not, in pages of any size", async () => {
    const store = await filled(SORTED);
    for (const after of [...SORTED, "a", "a/", "a/15", "a/2", "zzz"]) {
      for (const pageMaxCount of [1, 3, 1_000]) {
        const wanted = SORTED.filter(
          (key) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0,
        );
        const found = await keysOf(store, { prefix: "", after, pageMaxCount });
        assert.deepEqual(found, wanted, `after ${after}, pages of ${pageMaxCount}`);
      }
    }
    assert.deepEqual(await keysOf(store, { prefix: "a/", after: "a/10/x", pageMaxCount: 1 }), [
      "a/2/x",
      "a/2/x-1",
    ]);
  });

  it("a bucket without objects is an empty list", async () => {
    const store = await open();
    assert.deepEqual(await keysOf(store, { prefix: "" }), []);
    assert.deepEqual(await keysOf(store, { prefix: "dlq/" }), []);
  });

  it("keys that lead out, or that no store can hold, are refused in every call", async () => {
    const store = await open();
    const bad = [
      "",
      "/a",
      "a/",
      "a//b",
      "..",
      "../a",
      "a/../b",
      "a/./b",
      "a\0b",
      "\ud800",
      "x".repeat(1_025),
    ];
    for (const key of bad) {
      for (const work of [
        store.get(key),
        store.put(key, bytesOf("x")),
        store.delete(key),
        store.head(key),
      ]) {
        assert.equal(await reasonOf(work), "bad_object_key", JSON.stringify(key));
      }
    }
    assert.equal(await reasonOf(keysOf(store, { prefix: "../" })), "bad_object_key");
    await store.put("x".repeat(200), bytesOf("fits"));
  });

  it("an aborted call does nothing", async () => {
    const store = await filled(["a"]);
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(store.get("a", { signal }), /enough/);
    await assert.rejects(store.delete("a", { signal }), /enough/);
    await assert.rejects(store.put("a", bytesOf("b"), { signal }), /enough/);
    await assert.rejects(keysOf(store, { prefix: "", signal }), /enough/);
    assert.equal(textOf(await store.get("a")), "a");
  });
}
